"""Values that the control plane and the gateway both speak.

Structs and arithmetic only: nothing here reads a clock, a file, a socket or a
setting. PostgreSQL carries these values between the planes (ADR 0001).
"""

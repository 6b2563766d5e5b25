"""Dure (두레): from a decision at the table to a token on the wire, one ledger."""

__version__ = "0.1.0"

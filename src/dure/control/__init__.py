"""The control plane: every rule about people, money and decisions. Slow is fine; wrong is not."""

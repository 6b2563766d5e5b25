"""The demonstration ecosystem: a file that can be read, and what builds it."""

"""The calls of the demonstration: two that a young start-up can apply to, and one that does not fit it."""

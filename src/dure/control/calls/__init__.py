"""Calls, their rounds, steps, forms and eligibility rules."""

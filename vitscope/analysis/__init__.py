"""Metrics of predictions, in NumPy: every function reads records and returns a frozen result."""

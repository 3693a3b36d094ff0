"""Figures of results: each function draws a record onto given axes, or makes a figure of column width."""

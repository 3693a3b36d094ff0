"""The records that the layers hand to each other: frozen, checked once when made, with save and load.

Import each from its own module: `attention` needs torch, the others need NumPy alone.
"""

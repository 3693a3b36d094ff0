"""Generators of random numbers that depend on what they are for, and on nothing else."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["stream"]


def stream(*key: int) -> torch.Generator:
    """Return a generator that depends on all of `key`, such as (seed, epoch, purpose)."""
    # NumPy pads keys with zeros: without its length, (seed, 3) would be (seed, 3, 0).
    state = np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2**63)

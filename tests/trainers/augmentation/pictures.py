"""Random uint8 images for the tests of augmentation."""

from __future__ import annotations

import torch


def some(count=5, channels=3, height=8, width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def varied(count=24, channels=3, height=12, width=10, seed=0):
    """Images of different brightness and contrast, of which one is constant and one black."""
    generator = torch.Generator().manual_seed(seed)
    spread, base = torch.rand(2, count, 1, 1, 1, generator=generator)
    images = (some(count, channels, height, width, seed) * spread + 80 * base).clamp(0, 255).to(torch.uint8)
    images[0], images[1] = 77, 0
    return images

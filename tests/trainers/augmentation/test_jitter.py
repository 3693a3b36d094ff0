"""Colour jitter against torchvision's functions, in the order drawn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from tests.trainers.augmentation.pictures import some, varied
from vitscope.trainers.augmentation.jitter import Jitter

CHANGES = [
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
]


def uniform(count, seed=0):
    return torch.rand(count, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_equals_torchvisions_functions_in_the_order_drawn(channels):
    images, draws, jitter = varied(40, channels), uniform(40), Jitter(0.4, 1.5, 0.3, 0.1)
    found = jitter.apply(images, draws)
    orders = set()
    for image, row, each in zip(images, draws.double(), found, strict=True):
        amounts = [
            0.6 + 0.8 * row[4],  # 1 − 0.4 … 1 + 0.4
            2.5 * row[5],  # at least 0
            0.7 + 0.6 * row[6],
            0.2 * row[7] - 0.1,
        ]
        order = sorted(range(4), key=lambda change, row=row: row[change])
        orders.add(tuple(order))
        for change in order:
            image = CHANGES[change](image, float(amounts[change]))
        off = (each.int() - image.int()).abs()
        # A level lost early is made larger by what follows.
        assert off.max() <= 4
        assert (off > 1).float().mean() < 0.02
    assert len(orders) > 12


def test_orders_and_amounts_are_distributed_as_torchvisions():
    white = torch.full((600, 3, 1, 1), 100, dtype=torch.uint8)
    found = Jitter(brightness=0.5).apply(white, uniform(600))[:, 0, 0, 0].float() / 100
    theirs = v2.ColorJitter(brightness=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        factors = [theirs.make_params([white])["brightness_factor"] for _ in range(600)]
    assert stats.ks_2samp(found + 0.005, factors).pvalue > 1e-3
    orders = Counter(tuple(row.argsort().tolist()) for row in uniform(2400)[:, :4])
    assert len(orders) == 24
    assert min(orders.values()) > 60


def test_what_is_off_changes_nothing():
    images, draws = some(6), uniform(6)
    assert Jitter().draws == 0
    assert torch.equal(Jitter(brightness=1e-9).apply(images, torch.full((6, 8), 0.5)), images)
    one = Jitter(contrast=0.7).apply(images, draws)
    factors = (0.3 + 1.4 * draws[:, 5].double()).tolist()
    for image, factor, each in zip(images, factors, one, strict=True):
        assert (each.int() - functional.adjust_contrast(image, factor).int()).abs().max() <= 1


def test_grey_images_keep_their_hue_and_saturation():
    images = some(5, channels=1)
    assert torch.equal(Jitter(saturation=0.9, hue=0.5).apply(images, uniform(5)), images)

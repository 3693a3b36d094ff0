"""Boxes against loops over one image, and against torchvision's distributions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import v2

from tests.oracles.augmenting import crop_window, erased_box
from vitscope.trainers.augmentation.boxes import BOX_DRAWS, areas, crop_boxes, erasing_boxes, inside, squares

SIDES = st.integers(1, 60)


def uniform(count, columns=BOX_DRAWS, seed=0):
    return torch.rand(count, columns, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(SIDES, SIDES, st.floats(0.01, 1), st.integers(0, 99))
def test_crops_equal_a_plain_loop(width, height, smallest, seed):
    draws = uniform(8, seed=seed)
    found = crop_boxes(draws, smallest, width, height)
    assert [tuple(box) for box in found.tolist()] == [
        crop_window(row, smallest, width, height) for row in draws
    ]
    assert (found[:, :2] >= 0).all()
    assert (found[:, :2] < found[:, 2:]).all()
    assert (found[:, 2:] <= torch.tensor([width, height])).all()


@settings(max_examples=20, deadline=None)
@given(SIDES, SIDES, st.integers(0, 99))
def test_erased_boxes_equal_a_plain_loop(width, height, seed):
    draws = uniform(8, seed=seed)
    for box, row in zip(erasing_boxes(draws, width, height), draws, strict=True):
        expected = erased_box(row, width, height)
        assert tuple(box.tolist()) == expected if expected else areas(box[None]) == 0


def test_a_crop_that_never_fits_is_the_largest_in_the_middle():
    draws = torch.full((1, BOX_DRAWS), 0.5)  # squares of the whole area, which a strip has no room for
    assert crop_boxes(draws, 1.0, 90, 30).tolist() == [[25, 0, 65, 30]]
    assert crop_boxes(draws, 1.0, 30, 90).tolist() == [[0, 25, 30, 65]]
    draws[0, :20:2] = 0.0
    draws[0, 1:20:2] = 0.999  # and here one of 4 to 3 of a square of 10 pixels
    assert crop_boxes(draws, 1.0, 10, 10).tolist() == [[0, 0, 10, 10]]


@pytest.mark.parametrize(("width", "height", "smallest"), [(32, 32, 0.08), (40, 24, 0.5)])
def test_crops_are_distributed_as_torchvisions(width, height, smallest):
    found = crop_boxes(uniform(700, seed=3), smallest, width, height)
    crop = v2.RandomResizedCrop(8, scale=(smallest, 1.0))
    image = torch.zeros(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        theirs = [crop.make_params([image]) for _ in range(700)]
    names = ("left", "top", "width", "height")
    sizes = torch.cat([found[:, :2], found[:, 2:] - found[:, :2]], dim=1)
    for name, values in zip(names, sizes.unbind(1), strict=True):
        assert stats.ks_2samp(values, [each[name] for each in theirs]).pvalue > 1e-3


def test_erased_boxes_are_distributed_as_torchvisions():
    found = erasing_boxes(uniform(700, seed=5), 32, 24)
    erase = v2.RandomErasing(1.0)
    image = torch.zeros(3, 24, 32)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        theirs = [erase.make_params([image]) for _ in range(700)]
    sizes = torch.cat([found[:, :2], found[:, 2:] - found[:, :2]], dim=1)
    for name, values in zip("jiwh", sizes.unbind(1), strict=True):
        assert stats.ks_2samp(values, [each[name] for each in theirs]).pvalue > 1e-3


def test_squares_by_hand():
    def square(row, column, side):
        return squares(torch.tensor([[row, column]]), side, 10, 8)[0].tolist()

    assert square(0.5, 0.5, 4) == [3, 2, 7, 6]  # the pixel (4, 5) and two before it, one after
    assert square(0.0, 0.0, 4) == [0, 0, 2, 2]
    assert square(0.999, 0.999, 4) == [7, 5, 10, 8]
    assert square(0.5, 0.5, 3) == [4, 3, 7, 6]
    assert square(0.5, 0.5, 1) == [5, 4, 6, 5]


@settings(max_examples=20, deadline=None)
@given(SIDES, SIDES, st.integers(1, 30), st.integers(0, 99))
def test_a_mask_has_its_boxs_pixels(width, height, side, seed):
    boxes = squares(uniform(5, 2, seed), side, width, height)
    masks = inside(boxes, width, height)
    assert masks.shape == (5, 1, height, width)
    assert torch.equal(masks.sum(dim=(1, 2, 3)), areas(boxes))
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        assert mask[0, top:bottom, left:right].all()

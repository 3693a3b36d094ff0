"""Planted patches: that nothing but the patch tells the class, and where it is."""

from __future__ import annotations

import numpy as np
import pytest

from vitscope.data.planted import planted_images
from vitscope.errors import DataError


@pytest.fixture(scope="module")
def planted():
    return planted_images(50, seed=4)


def test_images_are_labelled_in_turn_and_the_first_class_has_no_patch(planted):
    images = planted.images
    assert images.array.shape == (50, 3, 32, 32)
    assert images.labels.tolist() == [number % 5 for number in range(50)]
    assert images.classes[0] == "nothing"
    assert planted.planted.tolist() == [number for number in range(50) if number % 5]
    assert (planted.boxes[::5] == 0).all()
    assert planted.area_share == 64 / 1024
    assert len(planted) == 50


def test_the_texture_in_the_box_is_the_class_s(planted):
    """Period 4: along the rows, along the columns, along both together, or turning at each second pixel."""
    for number in planted.planted.tolist():
        left, top, right, bottom = planted.boxes[number]
        assert (right - left, bottom - top) == (8, 8)
        assert left % 4 == top % 4 == 0
        bright = planted.images.array[number, :, top:bottom, left:right] > 128
        assert (bright == bright[:1]).all()
        row, column = np.indices((8, 8))
        place = {
            "horizontal stripes": row,
            "vertical stripes": column,
            "diagonal stripes": row + column,
            "checks": 2 * (row // 2) + 2 * (column // 2),
        }[planted.images.classes[number % 5]]
        assert (bright[0] == (place % 4 < 2)).all()


def test_outside_the_box_nothing_depends_on_the_class():
    """With the patch cut out, bright and dark places are no different from one class to another."""
    planted = planted_images(600, seed=1)
    shares = []
    for label in range(1, 5):
        own = [number for number in planted.planted.tolist() if number % 5 == label]
        outside = []
        for number in own:
            image = planted.images.array[number].astype(float)
            left, top, right, bottom = planted.boxes[number]
            image[:, top:bottom, left:right] = np.nan
            outside.append([np.nanmean(image > 190), np.nanmean(image < 65), np.nanmean(image)])
        shares.append(np.mean(outside, axis=0))
    spread = np.ptp(shares, axis=0)
    assert spread[0] < 0.02
    assert spread[1] < 0.02
    assert spread[2] < 2


def test_patches_do_not_overlap_and_lie_everywhere():
    planted = planted_images(400, distractors=4, seed=2)
    starts = {tuple(box[:2].tolist()) for box in planted.boxes[planted.planted]}
    assert len(starts) == 49  # every multiple of 4 from 0 to 24, both ways
    for image in planted.images.array[:20]:
        strong = ((image > 190) | (image < 65)).all(axis=0)
        assert strong.sum() in (4 * 64, 5 * 64)


def test_an_image_depends_on_its_number_and_the_seed_alone(planted):
    few = planted_images(7, seed=4)
    np.testing.assert_array_equal(few.images.array, planted.images.array[:7])
    np.testing.assert_array_equal(few.boxes, planted.boxes[:7])
    assert (planted_images(7, seed=5).images.array != few.images.array).any()


@pytest.mark.parametrize("change", [{"count": 0}, {"patch": 6}, {"patch": 12}, {"distractors": 5}])
def test_numbers_out_of_range(change):
    with pytest.raises(DataError, match="expected at least 1 image"):
        planted_images(**{"count": 4} | change)

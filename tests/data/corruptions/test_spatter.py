from __future__ import annotations

import numpy as np
import pytest

from tests.oracles import corrupting as plain
from tests.oracles.corrupting import Told, cut
from vitscope.data.corruptions import spatter as module
from vitscope.data.corruptions.spatter import spatter

IMAGE = np.random.default_rng(3).integers(0, 200, (14, 17, 3), dtype=np.uint8)


def drops(severity, constants):
    mean, deviation, smoothness, threshold = constants
    draws = np.random.default_rng(severity).standard_normal((14, 17)).astype(np.float32)
    liquid = np.array(plain.gaussian((draws.astype(float) * deviation + mean).tolist(), smoothness))
    return draws, np.where(liquid >= threshold, liquid, 0)


def box_mean(values):
    return np.array(plain.correlate(values.tolist(), [[1 / 9] * 3] * 3))


def rims(depth):
    edges = plain.canny(depth)
    places = np.argwhere(edges)
    distance = np.full(depth.shape, 20.0)
    for row, column in np.ndindex(depth.shape):
        for place in places:
            distance[row, column] = min(distance[row, column], np.hypot(*(place - (row, column))))
    levels = plain.equalised((box_mean(distance) + 1e-9).astype(np.uint8))
    embossed = np.array(plain.correlate(levels.astype(float).tolist(), [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    return np.rint(box_mean(embossed.clip(0, 255)))


@pytest.mark.parametrize(
    ("severity", "constants"),
    [(1, (0.62, 0.1, 0.7, 0.7)), (2, (0.65, 0.1, 0.8, 0.7)), (3, (0.65, 0.3, 1, 0.69))],
)
def test_water_glistens_at_its_rims(severity, constants):
    draws, liquid = drops(severity, constants)
    depth = np.vectorize(cut)(255 * liquid).astype(np.uint8)
    assert depth.any()
    shine = depth * rims(depth)
    expected = IMAGE + 0.5 * (shine / max(shine.max(), 1))[..., None] * np.array([175, 238, 238])
    result = spatter(IMAGE.transpose(2, 0, 1)[None], severity, Told(draws))[0].transpose(1, 2, 0)
    difference = np.abs(result - np.vectorize(cut)(expected))
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.02


@pytest.mark.parametrize(
    ("severity", "constants"), [(4, (0.65, 0.1, 0.7, 0.69)), (5, (0.65, 0.1, 0.5, 0.68))]
)
def test_mud_covers(severity, constants):
    draws, liquid = drops(severity, constants)
    cover = np.array(plain.gaussian((liquid > 0).astype(float).tolist(), 0.6))
    cover[cover < 0.8] = 0
    assert cover.any()
    expected = IMAGE * (1 - cover[..., None]) + cover[..., None] * np.array([63, 42, 20])
    result = spatter(IMAGE.transpose(2, 0, 1)[None], severity, Told(draws))[0].transpose(1, 2, 0)
    assert np.abs(result - np.vectorize(cut)(expected)).max() <= 1
    assert np.array_equal(result[cover == 0], IMAGE[cover == 0])


@pytest.mark.parametrize("severity", [1, 4])
def test_no_drops_change_nothing(severity):
    dry = np.full((14, 17), -50, np.float32)
    assert np.array_equal(
        spatter(IMAGE.transpose(2, 0, 1)[None], severity, Told(dry))[0], IMAGE.transpose(2, 0, 1)
    )


@pytest.mark.parametrize("seed", range(6))
def test_edges_are_those_of_the_plain_search(seed):
    random = np.random.default_rng(seed)
    levels = np.kron(random.integers(0, 256, (5, 6)), np.ones((3, 3))).astype(np.uint8)
    levels = (levels * (random.random((15, 18)) > 0.1)).astype(np.uint8)
    both = np.stack([levels, levels[::-1]])
    edges = module._edges(both)
    assert np.array_equal(edges[0], plain.canny(levels))
    assert np.array_equal(edges[1], plain.canny(levels[::-1]))


def test_levels_are_spread():
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(3, 9, (7, 7)), np.full((7, 7), 5), random.integers(0, 256, (7, 7))])
    spread = module._equalised(levels.astype(np.uint8))
    for before, after in zip(levels.astype(np.uint8), spread, strict=True):
        assert np.array_equal(after, plain.equalised(before))

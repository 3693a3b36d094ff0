"""The pointing game: by hand, by chance, and by trained models that a planted patch decides for."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from vitscope.data.planted import planted_images
from vitscope.errors import InputError
from vitscope.explain.baselines import centre_map, random_map
from vitscope.explain.methods import explain
from vitscope.explain.pointing import pointing_hits, points_at

SIDE = 24


def test_hits_and_misses_by_hand():
    maps = np.zeros((4, 4, 6))
    maps[0, 1, 2] = maps[1, 0, 0] = maps[2, 3, 5] = 1
    boxes = np.array([[2, 1, 4, 3], [1, 1, 3, 3], [4, 2, 6, 4], [0, 0, 6, 4]])
    assert points_at(maps, (4, 6)).tolist() == [[1, 2], [0, 0], [3, 5], [0, 0]]
    assert pointing_hits(maps, boxes, (4, 6)).tolist() == [True, False, True, False]  # the last is flat
    assert pointing_hits(maps, boxes, (4, 6), tolerance=1).tolist() == [True, True, True, False]


def test_boxes_are_exclusive_at_the_right_and_the_bottom():
    maps = np.zeros((1, 4, 4))
    maps[0, 2, 2] = 1
    for box, hit in (
        ([0, 0, 3, 3], True),
        ([0, 0, 2, 3], False),
        ([0, 0, 3, 2], False),
        ([2, 2, 3, 3], True),
    ):
        assert pointing_hits(maps, np.array([box]), (4, 4)).tolist() == [hit]


def test_a_coarse_map_points_into_its_cell():
    maps = np.zeros((1, 3, 3))
    maps[0, 1, 2] = 1
    assert pointing_hits(maps, np.array([[8, 4, 12, 8]]), (12, 12)).tolist() == [True]


def test_noise_points_right_as_often_as_the_box_is_large():
    keys = np.stack([np.arange(2000), np.zeros(2000, dtype=np.int64)], axis=1)
    maps = random_map(keys, (8, 8)).values
    boxes = np.tile([8, 4, 24, 12], (2000, 1))
    assert pointing_hits(maps, boxes, (32, 32)).mean() == pytest.approx(16 * 8 / 1024, abs=0.02)


def test_noise_is_of_its_key_and_the_centre_of_none():
    keys = np.array([[3, 0], [4, 0], [3, 1]])
    maps = random_map(keys, (5, 4)).values
    np.testing.assert_array_equal(random_map(keys[1:], (5, 4)).values, maps[1:])
    assert len({each.tobytes() for each in maps}) == 3
    assert (random_map(keys, (5, 4), seed=1).values != maps).all()
    centre = centre_map(2, (5, 7)).values
    assert points_at(centre, (5, 7)).tolist() == [[2, 3], [2, 3]]
    np.testing.assert_allclose(centre[0], centre[1, ::-1, ::-1])
    assert centre_map(1, (3, 3)).values[0, 0, 1] == pytest.approx(np.exp(-((4 / 3) ** 2) / 2))


def test_bad_input():
    with pytest.raises(InputError, match="expected 2 boxes"):
        pointing_hits(np.zeros((2, 3, 3)), np.zeros((1, 4), dtype=np.int64), (3, 3))
    with pytest.raises(InputError, match="a tolerance of at least 0"):
        pointing_hits(np.zeros((1, 3, 3)), np.zeros((1, 4), dtype=np.int64), (3, 3), tolerance=-1)


def normalised(planted):
    return (torch.from_numpy(planted.images.array).float() / 255 - 0.5) / 0.25


def trained(model, *, steps):
    """The model after some steps on planted patches, in evaluation mode."""
    planted = planted_images(1000, size=SIDE, split="train", seed=1)
    images, labels = normalised(planted), torch.from_numpy(planted.images.labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(len(images), (64,), generator=generator)
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def transformer():
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=SIDE, patch_size=4, embed_dim=32, depth=2, num_heads=4, mlp_ratio=2, num_classes=5
    )
    return trained(model, steps=400)


def convolutional():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()]
    for before, after in ((16, 16), (16, 32)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5))
    return trained(model, steps=120)


POINTING = {
    transformer: {
        "gradient-shap": {},
        "gradient-x-input": {},
        "integrated-gradients": {"steps": 16},
        "legrad": {},
        "relevance": {},
        "rollout": {},
        "smoothgrad": {},
        "occlusion": {"window": 8, "stride": 2},
    },
    convolutional: {
        "grad-cam": {},
        "gradient-shap": {},
        "gradient-x-input": {},
        "integrated-gradients": {"steps": 16},
        "smoothgrad": {},
        "occlusion": {"window": 8, "stride": 2},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("build", POINTING)
def test_maps_of_trained_models_point_at_the_patch_that_decides_and_noise_does_not(build):
    model = build()
    planted = planted_images(200, size=SIDE, seed=2)
    images, labels = normalised(planted), torch.from_numpy(planted.images.labels)
    with torch.no_grad():
        assert (model(images).argmax(dim=1) == labels).float().mean() >= 0.99
    chosen = planted.planted[:100]
    boxes, places = planted.boxes[chosen], torch.from_numpy(chosen)
    for method, options in POINTING[build].items():
        maps = explain(model, images[places], method=method, targets=labels[places], **options).values
        assert pointing_hits(maps, boxes, (SIDE, SIDE)).mean() >= 0.95, method
    keys = np.stack([chosen, np.zeros_like(chosen)], axis=1)
    for grid in ((6, 6), (SIDE, SIDE)):
        share = pointing_hits(random_map(keys, grid).values, boxes, (SIDE, SIDE)).mean()
        assert share == pytest.approx(planted.area_share, abs=0.1)

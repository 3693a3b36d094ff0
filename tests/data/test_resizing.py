"""Pixels of models from elsewhere: those of timm's and torchvision's own evaluation transforms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import timm
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import transforms
from torchvision.models import get_model_weights

from vitscope.data.imageset import ImageSet
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import DataError
from vitscope.inference.timm_source import timm_preprocessing
from vitscope.inference.torchvision_source import torchvision_preprocessing

PLAIN = {"channels": 3, "mean": (0.0,) * 3, "std": (1.0,) * 3}
WAYS = {
    "bicubic": transforms.InterpolationMode.BICUBIC,
    "bilinear": transforms.InterpolationMode.BILINEAR,
    "lanczos": transforms.InterpolationMode.LANCZOS,
    "nearest": transforms.InterpolationMode.NEAREST,
}
sides = st.integers(1, 90)


def picture(width, height, seed=0, mode="RGB"):
    """Smooth structure with noise on it, as photographs have."""
    draw = np.random.default_rng(seed)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    coarse = Image.fromarray(draw.integers(0, 256, (3, 4, *shape[2:]), dtype=np.uint8))
    values = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(values + draw.integers(-40, 41, shape), 0, 255).astype(np.uint8))


def by_torchvision(resize, size, way):
    steps = [
        transforms.Resize(resize, interpolation=WAYS[way]),
        transforms.CenterCrop(size),
        transforms.PILToTensor(),
    ]
    return transforms.Compose(steps)


@settings(max_examples=150, deadline=None)
@given(
    sides, sides, st.integers(3, 40), st.integers(0, 17), st.sampled_from(["bicubic", "bilinear", "lanczos"])
)
def test_the_shorter_side_is_torchvisions(width, height, side, more, way):
    image = picture(width, height, seed=width * 100 + height)
    ours = Preprocessing((side, side), **PLAIN, interpolation=way, resize=side + more).pixels(image)
    theirs = by_torchvision(side + more, side, way)(image).numpy()
    assert np.array_equal(ours, theirs)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(3, 40), st.integers(3, 40), st.integers(0, 9), st.integers(0, 9))
def test_squashing_is_torchvisions(width, height, rows, columns, more, wider):
    image, resize = picture(width, height), (rows + more, columns + wider)
    ours = Preprocessing((rows, columns), **PLAIN, resize=resize).pixels(image)
    theirs = by_torchvision(resize, (rows, columns), "bicubic")(image).numpy()
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    "size", [(500, 375), (375, 500), (641, 480), (224, 224), (256, 256), (97, 331), (1000, 31)]
)
@pytest.mark.parametrize("way", WAYS)
def test_photographs_sizes_bit_for_bit(size, way):
    image = picture(*size)
    ours = Preprocessing((224, 224), **PLAIN, interpolation=way, resize=256).pixels(image)
    assert np.array_equal(ours, by_torchvision(256, 224, way)(image).numpy())


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "vit_base_patch16_384.augreg_in21k_ft_in1k",
        "convnext_tiny.fb_in1k",
        "resnet50.a1_in1k",
        "swinv2_tiny_window8_256",
        "beitv2_base_patch16_224",
        "vit_base_patch16_siglip_256.webli",
        "vit_large_patch14_clip_336.openai_ft_in12k_in1k",
    ],
)
def test_timms_own_transform(name, mode):
    """What is fed to the network, to a rounding of float32."""
    config = timm.get_pretrained_cfg(name).to_dict()
    theirs = create_transform(**resolve_data_config(pretrained_cfg=config), is_training=False)
    ours = timm_preprocessing(config)
    for size in ((317, 240), (240, 411)):
        image = picture(*size, mode=mode)
        given_ = ours.normalize(_batch(ours.pixels(image)))[0].numpy()
        wanted = theirs(image.convert("RGB")).numpy()
        assert given_.shape == wanted.shape
        np.testing.assert_allclose(given_, wanted, atol=2e-6)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "vit_b_16", "swin_t", "inception_v3", "efficientnet_b1"]
)
def test_torchvisions_own_transform(name):
    for entry in get_model_weights(name):
        ours, image = torchvision_preprocessing(entry), picture(413, 309)
        given_ = ours.normalize(_batch(ours.pixels(image)))[0].numpy()
        np.testing.assert_allclose(given_, entry.transforms()(image).numpy(), atol=2e-6)


def _batch(pixels):
    import torch

    return torch.from_numpy(pixels)[None]


def test_every_pretrained_configuration_of_timm_is_known_or_refused():
    from vitscope.errors import InputError

    refused = 0
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name).to_dict()
        try:
            preprocessing = timm_preprocessing(config)
        except InputError:
            refused += 1
            continue
        assert preprocessing.size == config["input_size"][1:]
    assert refused <= 20


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 60), st.integers(0, 30))
def test_the_region_is_the_seen_box_to_a_pixel(width, height, side, more):
    preprocessing = Preprocessing((side, side), **PLAIN, resize=side + more)
    left, top, right, bottom = preprocessing.region(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    short, long = min(width, height), max(width, height)
    resized = (side + more) * long // short
    wide, tall = (resized, side + more) if width > height else (side + more, resized)
    assert abs((right - left) - Fraction(side * width, wide)) <= 1
    assert abs((bottom - top) - Fraction(side * height, tall)) <= 1
    middle = Fraction(left + right, 2) - Fraction(width, 2)
    assert abs(middle) <= 1 + Fraction(width, wide)


@pytest.mark.parametrize(
    ("resize", "size", "image", "expected"),
    [
        (256, 224, (512, 256), (144, 16, 368, 240)),
        (256, 224, (256, 512), (16, 144, 240, 368)),
        (256, 224, (1024, 512), (288, 32, 736, 480)),
        ((224, 224), 224, (500, 100), (0, 0, 500, 100)),
        ((448, 448), 224, (500, 100), (125, 25, 375, 75)),
        (8, 8, (8, 8), (0, 0, 8, 8)),
        (256, 224, (1, 1), (0, 0, 1, 1)),
    ],
)
def test_regions_worked_by_hand(resize, size, image, expected):
    assert Preprocessing((size, size), **PLAIN, resize=resize).region(*image) == expected


def test_what_lies_outside_the_region_hardly_bears_on_the_pixels():
    preprocessing = Preprocessing((56, 56), **PLAIN, resize=64)
    values = np.asarray(picture(200, 150)).copy()
    left, top, right, bottom = preprocessing.region(200, 150)
    changed = np.zeros_like(values)
    changed[top:bottom, left:right] = values[top:bottom, left:right]
    inner = [preprocessing.pixels(Image.fromarray(item))[:, 3:-3, 3:-3] for item in (values, changed)]
    assert np.array_equal(*inner)


@pytest.mark.parametrize(("centring", "first"), [("round", 2), ("floor", 1)])
def test_half_a_pixel_of_room(centring, first):
    values = np.arange(11, dtype=np.uint8)[None].repeat(8, axis=0)
    preprocessing = Preprocessing((8, 8), 1, (0.0,), (1.0,), resize=8, centring=centring)
    assert preprocessing.pixels(Image.fromarray(values))[0, 0, 0] == first


def test_the_order_of_the_passes_is_kept():
    image = picture(300, 90)
    across = Preprocessing((64, 64), **PLAIN, resize=(64, 64), order="across").pixels(image)
    way = Image.Resampling.BICUBIC
    expected = np.asarray(image.resize((64, 90), way).resize((64, 64), way)).transpose(2, 0, 1)
    assert np.array_equal(across, expected)


def test_a_long_thin_picture_takes_little_memory():
    preprocessing = Preprocessing((224, 224), **PLAIN, resize=256)
    assert preprocessing.pixels(Image.new("RGB", (1, 20000), "red")).shape == (3, 224, 224)
    left, top, right, bottom = preprocessing.region(1, 20000)
    assert (left, right) == (0, 1)
    assert math.isclose((top + bottom) / 2, 10000, abs_tol=1)


@pytest.mark.parametrize("size", [(500, 375), (240, 411), (60, 700)])
def test_of_a_huge_resized_picture_what_is_seen_is_the_same(monkeypatch, size):
    """A fraction of the pixels differs, by rounding; where Pillow turns its passes round, by some levels."""
    preprocessing, image = Preprocessing((56, 56), **PLAIN, resize=64), picture(*size)
    whole = preprocessing.pixels(image).astype(int)
    monkeypatch.setattr("vitscope.data.preprocessing._LARGEST_RESIZED", 0)
    difference = np.abs(preprocessing.pixels(image) - whole)
    assert difference.max() <= 10
    assert difference.mean() < 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"resize": 7},
        {"resize": 0},
        {"resize": True},
        {"resize": 8.0},
        {"resize": "8"},
        {"resize": (8,)},
        {"resize": (8, 7)},
        {"resize": (8, 8, 8)},
        {"resize": (8, 10**9)},
        {"resize": 10**9},
        {"centring": "left"},
        {"centring": None},
        {"centring": []},
        {"order": "down"},
    ],
    ids=str,
)
def test_nonsense_is_refused(change):
    with pytest.raises(DataError, match="expected"):
        Preprocessing((8, 8), **(PLAIN | change))


def test_the_first_checkpoints_preprocessing_is_read_and_written_as_it_was():
    old = {"size": [8, 8], "channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    assert Preprocessing.from_dict(old).to_dict() == old
    for resize in (9, (9, 12)):
        new = Preprocessing((8, 8), **PLAIN, resize=resize, centring="floor", order="across")
        assert Preprocessing.from_dict(new.to_dict()) == new


@pytest.mark.parametrize("resize", [None, (8, 8), 8, 9])
def test_pixels_that_would_be_cut_twice_are_not_kept_in_memory(resize):
    array = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    images = ImageSet("made", "test", ("a", "b"), np.zeros(4, np.int64), tuple("0123"), array=array)
    preprocessing = Preprocessing((8, 8), **PLAIN, resize=resize)
    expected = np.stack([preprocessing.pixels(images.image(index)) for index in range(4)])
    assert np.array_equal(images.pixels(preprocessing).numpy(), expected)
    assert np.array_equal(expected, array) == (resize != 9)
    assert preprocessing.leaves((3, 8, 8)) == (resize in (None, (8, 8)))
    memory = images.in_memory(preprocessing)
    assert memory is images

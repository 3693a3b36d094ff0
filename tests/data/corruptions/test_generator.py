from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from vitscope.data.corruptions.frostplates import PLATES, crop_plate, frost_plate
from vitscope.data.corruptions.generator import corrupt, corrupt_batch
from vitscope.data.corruptions.kinds import CORRUPTIONS, SEVERITIES
from vitscope.errors import InputError, UsageError

KINDS = tuple(CORRUPTIONS)
# Constants that make every severity worse than the one before; CIFAR-C's frost, glass, elastic and saturation
# grow in other ways than squared error.
MONOTONE = tuple(
    kind for kind in KINDS if kind not in ("frost", "glass_blur", "elastic_transform", "saturate", "spatter")
)


def photographs(side=32):
    """Real pictures: tiles of two photographs, each pixel the mean of a square."""
    tiles, square = [], 4 if side == 32 else 2
    for name in ("china.jpg", "flower.jpg"):
        picture = load_sample_image(name)[:384, :640]
        small = (
            picture.reshape(384 // square, square, 640 // square, square, 3)
            .mean(axis=(1, 3))
            .astype(np.uint8)
        )
        rows, columns = small.shape[0] // side, small.shape[1] // side
        cut = small[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
        tiles.append(cut.transpose(0, 2, 4, 1, 3).reshape(-1, 3, side, side))
    return np.concatenate(tiles)


PICTURES = photographs()


SHAPES = ((1, 1), (1, 1, 3), (2, 3), (1, 9, 3), (9, 1), (3, 3, 3), (8, 8), (20, 33, 3), (70, 66))


@pytest.mark.parametrize("kind", KINDS)
def test_any_shape_keeps_its_shape_and_type(kind):
    for shape in SHAPES:
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        before = image.copy()
        for severity in (1, 5):
            result = corrupt(image, kind, severity, seed=1, index=4)
            assert result.shape == shape
            assert result.dtype == np.uint8
            assert result.flags["C_CONTIGUOUS"]
            assert np.array_equal(image, before)
            assert not np.shares_memory(result, image)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_the_same_alone_in_any_batch_and_order(kind):
    order = np.random.default_rng(0).permutation(12)
    for severity in SEVERITIES:
        whole = corrupt_batch(PICTURES[:12], kind, severity, seed=3)
        mixed = corrupt_batch(PICTURES[order], kind, severity, seed=3, indices=order)
        assert np.array_equal(mixed, whole[order])
        alone = corrupt(PICTURES[7].transpose(1, 2, 0), kind, severity, seed=3, index=7)
        assert np.array_equal(alone, whole[7].transpose(1, 2, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_large_images_are_the_same_alone_and_in_a_batch(kind):
    pictures = photographs(96)[:3]
    together = corrupt_batch(pictures, kind, 4, seed=2, indices=[8, 1, 5])
    for place, index in enumerate([8, 1, 5]):
        assert np.array_equal(
            corrupt_batch(pictures[place][None], kind, 4, seed=2, indices=[index])[0], together[place]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_change_and_stay_recognisable(kind):
    for severity in SEVERITIES:
        changed = corrupt_batch(PICTURES, kind, severity)
        assert not np.array_equal(changed, PICTURES)
        flat = zip(PICTURES.reshape(len(PICTURES), -1), changed.reshape(len(PICTURES), -1), strict=True)
        likeness = [np.corrcoef(*pair)[0, 1] for pair in flat if pair[0].std() > 10 and pair[1].std() > 0]
        assert np.median(likeness) > 0.25


@pytest.mark.parametrize("kind", MONOTONE)
@pytest.mark.parametrize("side", [32, 96])
def test_error_rises_with_severity(kind, side):
    pictures = photographs(side)[:24]
    errors = [
        np.mean((corrupt_batch(pictures, kind, severity).astype(float) - pictures) ** 2)
        for severity in SEVERITIES
    ]
    assert errors[0] < errors[-1]
    if kind not in ("motion_blur", "snow", "fog"):  # each severity has its own angles, flakes and clouds
        assert errors == sorted(errors)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "noise" in kind or kind in ("fog", "snow", "frost", "spatter")]
)
def test_the_seed_and_the_index_decide(kind):
    image = PICTURES[3].transpose(1, 2, 0)
    one = corrupt(image, kind, 3, seed=1, index=2)
    assert np.array_equal(one, corrupt(image, kind, 3, seed=1, index=2))
    assert not np.array_equal(one, corrupt(image, kind, 3, seed=2, index=2))
    assert not np.array_equal(one, corrupt(image, kind, 3, seed=1, index=3))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noises_have_their_mean_and_deviation(severity):
    grey = np.full((400, 1, 16, 16), 128, np.uint8)
    place = severity - 1
    for kind, deviation in (
        ("gaussian_noise", (0.04, 0.06, 0.08, 0.09, 0.10)[place]),
        ("speckle_noise", 128 / 255 * (0.06, 0.1, 0.12, 0.16, 0.2)[place]),
        ("shot_noise", np.sqrt(128 / 255 / (500, 250, 100, 75, 50)[place])),
    ):
        values = corrupt_batch(grey, kind, severity).astype(float)
        assert values.std() == pytest.approx(255 * deviation, rel=0.02)
        assert values.mean() == pytest.approx(127.5, abs=0.6)  # cut to whole levels: half a level darker
    values = corrupt_batch(grey, "impulse_noise", severity)
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[place]
    assert np.mean(values == 0) == pytest.approx(share / 2, rel=0.1)
    assert np.mean(values == 255) == pytest.approx(share / 2, rel=0.1)
    assert np.mean(values == 128) == pytest.approx(1 - share, abs=0.01)


@pytest.mark.parametrize("kind", ["gaussian_noise", "shot_noise", "speckle_noise", "impulse_noise"])
def test_noise_does_not_depend_on_its_neighbour(kind):
    grey = np.full((300, 1, 16, 16), 100, np.uint8)
    values = corrupt_batch(grey, kind, 4).astype(float)
    values -= values.mean()
    for one, other in ((values[..., 1:], values[..., :-1]), (values[1:], values[:-1])):
        assert np.mean(one * other) / values.var() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("kind", ["defocus_blur", "gaussian_blur", "motion_blur", "zoom_blur", "glass_blur"])
def test_blurs_leave_one_colour_alone(kind):
    for level in (0, 7, 128, 255):
        flat = np.full((2, 3, 32, 32), level, np.uint8)
        for severity in SEVERITIES:
            assert np.array_equal(corrupt_batch(flat, kind, severity), flat)


@pytest.mark.parametrize("kind", ["defocus_blur", "gaussian_blur", "motion_blur", "zoom_blur"])
def test_blurs_smooth(kind):
    rough = np.random.default_rng(0).integers(0, 256, (4, 1, 40, 40), dtype=np.uint8)
    # CIFAR-C's first defocus is a disk of one pixel with a softness of 0.4.
    assert corrupt_batch(rough, kind, 1).std() < rough.std()
    assert corrupt_batch(rough, kind, 5).std() < 0.65 * rough.std()


def test_a_black_picture_stays_black_in_fog_and_grows_grey_by_brightness():
    black = np.zeros((1, 3, 12, 12), np.uint8)
    assert not corrupt_batch(black, "fog", 5).any()
    assert (corrupt_batch(black, "brightness", 5) == 76).all()


def test_grey_pictures_have_no_saturation():
    grey = PICTURES[:4, :1]
    assert np.array_equal(corrupt_batch(grey, "saturate", 5), grey)


@pytest.mark.parametrize(
    "kind", ["brightness", "contrast", "pixelate", "fog", "motion_blur", "zoom_blur", "snow"]
)
def test_grey_in_one_channel_is_grey_in_three(kind):
    grey = PICTURES[:6, :1]
    one = corrupt_batch(grey, kind, 4)
    three = corrupt_batch(np.repeat(grey, 3, axis=1), kind, 4)
    assert np.abs(three.astype(int) - one).max() <= 1


@pytest.mark.parametrize("kind", ["defocus_blur", "gaussian_blur", "contrast", "brightness"])
def test_a_mirrored_picture_gives_the_mirrored_result(kind):
    turned = corrupt_batch(PICTURES[..., ::-1], kind, 3)[..., ::-1].astype(int)
    assert np.abs(turned - corrupt_batch(PICTURES, kind, 3)).max() <= 1


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    severity=st.sampled_from(SEVERITIES),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    grey=st.booleans(),
    seed=st.integers(-(2**70), 2**70),
    index=st.integers(0, 2**63 - 1),
)
def test_any_picture_seed_and_index(kind, severity, rows, columns, grey, seed, index):
    shape = (rows, columns) if grey else (rows, columns, 3)
    image = np.random.default_rng(abs(seed) % 1000).integers(0, 256, shape, dtype=np.uint8)
    result = corrupt(image, kind, severity, seed=seed, index=index)
    assert result.shape == shape
    assert result.dtype == np.uint8
    assert np.array_equal(result, corrupt(image, kind, severity, seed=seed, index=index))


@pytest.mark.slow
def test_another_process_makes_the_same_images():
    script = (
        "import hashlib, numpy as np\n"
        "from vitscope.data.corruptions.generator import corrupt_batch\n"
        "x = np.arange(4 * 3 * 32 * 32).reshape(4, 3, 32, 32).astype(np.uint8)\n"
        "kinds = ('frost', 'fog', 'gaussian_noise', 'glass_blur', 'elastic_transform', 'spatter')\n"
        "print(hashlib.sha256(b''.join(corrupt_batch(x, k, 3).tobytes() for k in kinds)).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    x = np.arange(4 * 3 * 32 * 32).reshape(4, 3, 32, 32).astype(np.uint8)
    kinds = ("frost", "fog", "gaussian_noise", "glass_blur", "elastic_transform", "spatter")
    digest = hashlib.sha256(b"".join(corrupt_batch(x, kind, 3).tobytes() for kind in kinds)).hexdigest()
    assert done.stdout.strip() == digest


@pytest.mark.parametrize("plate", range(PLATES))
def test_frost_has_its_colour_and_no_seam(plate):
    pane = frost_plate(plate)
    means = ((78, 149, 166), (201, 205, 214), (201, 205, 214), (138, 153, 165), (112, 123, 135))
    assert pane.mean(axis=(1, 2)) == pytest.approx(means[plate], abs=2)
    assert pane.std(axis=(1, 2)) == pytest.approx([(17, 21, 21, 28, 43)[plate]] * 3, rel=0.05)
    inside, seam = np.abs(np.diff(pane, axis=1)).mean(), np.abs(pane[:, 0] - pane[:, -1]).mean()
    assert seam < 1.5 * inside
    assert crop_plate(plate, (0.999, 0.5), size=(300, 900), step=5).shape == (3, 300, 900)


def test_frost_looks_less_like_noise_than_like_ice():
    """Neighbours agree more than distant pixels do."""
    pane = frost_plate(4).mean(axis=0)
    pane = (pane - pane.mean()) / pane.std()
    assert (pane[:, 1:] * pane[:, :-1]).mean() > 0.75
    assert (pane[:, 40:] * pane[:, :-40]).mean() < 0.45


@pytest.mark.parametrize(
    ("kind", "severity", "text"),
    [("rain", 1, "no corruption 'rain'"), ("fog", 0, "1 … 5, got 0"), ("fog", 6, "1 … 5, got 6")],
)
def test_unknown_kinds_and_severities_are_refused(kind, severity, text):
    with pytest.raises(UsageError, match=text):
        corrupt(np.zeros((4, 4), np.uint8), kind, severity)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(InputError, match="expected"):
        corrupt(image, "fog", 1)


def test_batches_are_checked_and_may_be_empty():
    assert corrupt_batch(np.zeros((0, 3, 4, 4), np.uint8), "fog", 1).shape == (0, 3, 4, 4)
    with pytest.raises(InputError, match="2 indices, one an image, got"):
        corrupt_batch(np.zeros((2, 3, 4, 4), np.uint8), "fog", 1, indices=[1])

"""Each kind that is no more than arithmetic, against plain loops; random ones are told their draws."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.oracles import corrupting as plain
from tests.oracles.corrupting import Told, cut
from vitscope.data.corruptions import blur, digital, noise, weather
from vitscope.data.corruptions.filters import directional_blur

SEVERITIES = (1, 2, 3, 4, 5)
COLOURS = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)
# Smooth enough for blurs to differ, with black, white and grey among its colours.
COLOURS[:3, :3] = 0
COLOURS[3:5, :4] = 255
COLOURS[6:, 6:] = 120


def changed(function, severity, *draws, image=COLOURS):
    batch = image.transpose(2, 0, 1)[None] if image.ndim == 3 else image[None, None]
    result = function(batch, severity, Told(*draws))[0]
    return result.transpose(1, 2, 0) if image.ndim == 3 else result[0]


def by_channel(image, change):
    channels = [np.array(change(image[..., channel].astype(float).tolist())) for channel in range(3)]
    return np.vectorize(cut)(np.stack(channels, axis=-1))


def near(actual, expected, *, share=0.02, most=1):
    """Equal but for a few values that lie so near a whole level that rounding decides."""
    difference = np.abs(actual.astype(int) - np.asarray(expected, dtype=int))
    assert difference.max() <= most
    assert np.mean(difference > 0) <= share


@pytest.mark.parametrize(("severity", "sigma"), list(enumerate((0.4, 0.6, 0.7, 0.8, 1), start=1)))
def test_gaussian_blur(severity, sigma):
    near(
        changed(blur.gaussian_blur, severity),
        by_channel(COLOURS, lambda channel: plain.gaussian(channel, sigma)),
    )


@pytest.mark.parametrize(
    ("severity", "constants"),
    list(enumerate(((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)), start=1)),
)
def test_defocus_blur(severity, constants):
    kernel = plain.defocus_kernel(*constants)
    assert np.sum(kernel) == pytest.approx(1)
    expected = by_channel(COLOURS, lambda channel: plain.correlate(channel, kernel))
    near(changed(blur.defocus_blur, severity), expected)


@pytest.mark.parametrize(("severity", "constants"), [(1, (3, 0.1)), (5, (10, 0.5))])
def test_defocus_blur_of_large_pictures(severity, constants):
    image = np.random.default_rng(2).integers(0, 256, (70, 12, 3), dtype=np.uint8)
    kernel = plain.defocus_kernel(*constants)
    expected = by_channel(image, lambda channel: plain.correlate(channel, kernel))
    near(changed(blur.defocus_blur, severity, image=image), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_blur(severity):
    # As the authors write it: with this step, rounding lets the end in or out.
    factors = np.arange(1, (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1], 0.01)
    assert abs(len(factors) - (6, 11, 16, 21, 26)[severity - 1]) <= 1

    def average(channel):
        pictures = [np.array(channel), *(np.array(plain.zoomed(channel, factor)) for factor in factors)]
        return np.mean(pictures, axis=0)

    near(changed(blur.zoom_blur, severity), by_channel(COLOURS, average))


@pytest.mark.parametrize("angle", [-45.0, -20.0, 0.0, 33.0])
@pytest.mark.parametrize(
    ("severity", "constants"), list(enumerate(((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), start=1))
)
def test_motion_blur(severity, constants, angle):
    expected = by_channel(COLOURS, lambda channel: plain.smear(channel, angle, *constants))
    near(changed(blur.motion_blur, severity, [(angle + 45) / 90]), expected)


def test_motion_goes_one_way():
    image = np.zeros((1, 1, 5, 7), np.float32)
    image[0, 0, 2, 3] = 1
    right = directional_blur(image, np.array([0.0]), radius=2, sigma=1.0)[0, 0]
    assert (right[2] > 0).tolist() == [True, True, True, True, False, False, False]  # fed from its right
    assert right[2, 3] == right.max()
    down = directional_blur(image, np.array([90.0]), radius=2, sigma=1.0)[0, 0]
    np.testing.assert_allclose(down[:3, 3][::-1], right[2, 1:4][::-1])


@pytest.mark.parametrize("shape", [(9, 12, 3), (70, 66, 3)])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_glass_blur(severity, shape):
    image = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    small = max(shape) <= 64
    constants = (
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))
        if small
        else ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
    )
    sigma, reach, rounds = constants[severity - 1]
    size = (shape[0] - 2 * reach, shape[1] - 2 * reach)
    shifts = np.random.default_rng(severity).integers(-reach, reach, (rounds, 2, *size))
    blurred = blur.truncated(blur.gaussian(image.transpose(2, 0, 1).astype(np.float32), sigma)).transpose(
        1, 2, 0
    )
    for shift in shifts:
        blurred = plain.glass(blurred, shift, reach)
    expected = blur.truncated(blur.gaussian(blurred.transpose(2, 0, 1).astype(np.float32), sigma))
    assert np.array_equal(
        changed(blur.glass_blur, severity, shifts, image=image), expected.transpose(1, 2, 0)
    )


@pytest.mark.parametrize(("severity", "factor"), list(enumerate((0.75, 0.5, 0.4, 0.3, 0.15), start=1)))
def test_contrast(severity, factor):
    means = COLOURS.reshape(-1, 3).mean(axis=0)
    near(changed(digital.contrast, severity), np.vectorize(cut)((COLOURS - means) * factor + means))


@pytest.mark.parametrize(("severity", "step"), list(enumerate((0.05, 0.1, 0.15, 0.2, 0.3), start=1)))
def test_brightness(severity, step):
    expected = plain.in_hsv(COLOURS, lambda hue, saturation, value: (hue, saturation, min(value + step, 1)))
    near(changed(weather.brightness, severity), expected, share=0.05)


@pytest.mark.parametrize(
    ("severity", "constants"), list(enumerate(((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)), start=1))
)
def test_saturate(severity, constants):
    factor, offset = constants
    expected = plain.in_hsv(
        COLOURS, lambda hue, saturation, value: (hue, min(saturation * factor + offset, 1), value)
    )
    near(changed(digital.saturate, severity), expected, share=0.08)


def test_grey_pixels_turn_red_where_saturation_is_added():
    image = np.full((2, 2, 3), 100, np.uint8)
    assert changed(digital.saturate, 5, image=image)[0, 0].tolist() == [100, 80, 80]
    assert np.array_equal(changed(digital.saturate, 1, image=image), image)


@pytest.mark.parametrize(("severity", "share"), list(enumerate((0.95, 0.9, 0.85, 0.75, 0.65), start=1)))
def test_pixelate(severity, share):
    """Across first and then down, each rounded to whole levels, as Pillow does."""
    coarse = COLOURS.astype(int)
    for target, source in (
        ((int(9 * share), int(12 * share)), (9, 12)),
        ((9, 12), (int(9 * share), int(12 * share))),
    ):
        coarse = boxes(coarse.transpose(1, 0, 2), source[1], target[1]).transpose(1, 0, 2)
        coarse = boxes(coarse, source[0], target[0])
    near(changed(digital.pixelate, severity), coarse)


def boxes(lines, source, target):
    """The mean of the lines whose middles lie in each box; of a box without any, the line below its own."""
    result = []
    for place in range(target):
        low, high = place * source / target, (place + 1) * source / target
        inside = [lines[line] for line in range(source) if low < line + 0.5 <= high]
        middle = lines[int((low + high) / 2)]
        result.append(np.floor(np.mean(inside, axis=0) + 0.5) if target < source else middle)
    return np.array(result).astype(int)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("severity", "quality"), list(enumerate((80, 65, 58, 50, 40), start=1)))
def test_jpeg_compression(severity, quality, grey):
    image = COLOURS[..., 0] if grey else COLOURS
    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    assert np.array_equal(changed(digital.jpeg_compression, severity, image=image), Image.open(stream))


@pytest.mark.parametrize(
    ("severity", "constants"),
    list(enumerate(((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)), start=1)),
)
def test_fog(severity, constants):
    thickness, decay = constants
    draws = np.random.default_rng(severity).random(16 * 16 - 1).astype(np.float32)
    clouds = plain.plasma(16, decay, 2.0 * draws - 1)[:9, :12, None]
    peak = COLOURS.max() / 255
    expected = (COLOURS / 255 + thickness * clouds) * peak / (peak + thickness)
    near(changed(weather.fog, severity, draws), np.vectorize(cut)(255 * expected))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_snow(severity):
    mean, deviation, size, threshold, radius, sigma, share = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    draws = np.random.default_rng(severity).standard_normal((1, 9, 12)).astype(np.float32)
    flakes = plain.zoomed((draws[0] * deviation + mean).tolist(), size)
    flakes = [[cut(255 * value) if value >= threshold else 0 for value in line] for line in flakes]
    flakes = np.vectorize(cut)(np.array(plain.smear(flakes, -100.0, radius, sigma)))
    grey = COLOURS @ [0.299, 0.587, 0.114]
    whitened = np.maximum(COLOURS, (1.5 * grey + 127.5)[..., None])
    expected = share * COLOURS + (1 - share) * whitened + (flakes + flakes[::-1, ::-1])[..., None]
    near(changed(weather.snow, severity, draws, [35 / 90]), np.vectorize(cut)(expected), share=0.05)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_transform(severity):
    length, smoothness, shift = (
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity - 1]
    random = np.random.default_rng(severity)
    corners, moves = random.random((3, 2)), random.random((2, 9, 12)).astype(np.float32)
    before = np.array([4, 6]) + 3 * np.array([(1, 1), (1, -1), (-1, -1)])
    after = before + (2 * corners - 1) * shift * 9
    # Six equations for the six numbers of the map from `after` back to `before`.
    system = np.hstack([after, np.ones((3, 1))])
    back = np.column_stack([np.linalg.solve(system, before[:, axis]) for axis in (0, 1)])

    def warped(channel):
        rows = []
        for y in range(9):
            places = [np.array([x, y, 1]) @ back for x in range(12)]
            rows.append([plain.between(channel, place[1], place[0], plain.mirror) for place in places])
        return rows

    def displaced(channel):
        if not length:
            return channel
        dx, dy = (
            np.array(plain.gaussian((2 * move - 1).tolist(), smoothness * 9, plain.reflect, 3.0)) * length * 9
            for move in moves
        )
        return [
            [plain.between(channel, y + dy[y, x], x + dx[y, x], plain.reflect) for x in range(12)]
            for y in range(9)
        ]

    expected = by_channel(COLOURS, lambda channel: displaced(warped(channel)))
    near(changed(digital.elastic_transform, severity, corners, moves), expected)


def test_noises_are_the_picture_and_their_draws():
    draws = np.random.default_rng(0).standard_normal((3, 9, 12)).astype(np.float32)
    turned = draws.transpose(1, 2, 0)
    expected = np.vectorize(cut)(COLOURS + 255 * 0.06 * turned.astype(float))
    near(changed(noise.gaussian_noise, 2, draws), expected)
    expected = np.vectorize(cut)(COLOURS * (1 + 0.2 * turned.astype(float)))
    near(changed(noise.speckle_noise, 5, draws), expected)
    counts = np.random.default_rng(0).integers(0, 120, (3, 9, 12))
    expected = np.vectorize(cut)(counts.transpose(1, 2, 0) / 75 * 255)
    near(changed(noise.shot_noise, 4, counts.astype(np.float32)), expected)
    uniform = np.random.default_rng(0).random((3, 9, 12)).astype(np.float32)
    expected = COLOURS.copy()
    expected[uniform.transpose(1, 2, 0) < 0.035] = 0
    expected[uniform.transpose(1, 2, 0) >= 0.965] = 255
    assert np.array_equal(changed(noise.impulse_noise, 5, uniform), expected)

from __future__ import annotations

import os
import struct
import threading

import numpy as np
import pytest
from PIL import Image

from tests.oracles.imagefiles import GREY, bmp_bomb, encoded, orientation_exif, png, tiff
from vitscope.data.images import MAX_PIXELS, flatten, probe_image, read_image
from vitscope.errors import ImageError

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
PICTURE = np.random.default_rng(7).integers(0, 256, (6, 5, 3), dtype=np.uint8)


# What the picture must be turned by, for each EXIF orientation, said without Pillow.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_pictures_stand_upright(orientation, kind, options, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(
        encoded(Image.fromarray(PICTURE), kind, exif=orientation_exif(orientation)[6:], **options)
    )
    expected = UPRIGHT[orientation](PICTURE)
    assert np.array_equal(np.asarray(read_image(path)), expected)
    assert probe_image(path) == (*expected.shape[:2], False)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_jpegs_stand_upright(orientation, tmp_path):
    stored = np.zeros((16, 32), dtype=np.uint8)
    stored[:8, :16] = 255
    path = tmp_path / "picture.jpg"
    path.write_bytes(
        encoded(Image.fromarray(stored), "JPEG", quality=100, exif=orientation_exif(orientation))
    )
    image = np.asarray(read_image(path)).astype(int)
    assert np.abs(image - UPRIGHT[orientation](stored[..., None])[..., 0]).max() < 8


def test_damaged_exif_leaves_the_picture_as_it_is_stored(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(Image.fromarray(PICTURE), "PNG", exif=orientation_exif(6)[6:-9]))
    assert np.array_equal(np.asarray(read_image(path)), PICTURE)
    assert probe_image(path) == (6, 5, False)


@pytest.mark.parametrize("suffix", [".jpg", ".gif", ".txt", ""])
def test_the_name_does_not_decide(suffix, tmp_path):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(encoded(Image.fromarray(PICTURE), "PNG"))
    assert np.array_equal(np.asarray(read_image(path)), PICTURE)


def test_the_result_is_a_plain_picture_without_a_file(tmp_path):
    path = tmp_path / "picture.webp"
    path.write_bytes(encoded(Image.fromarray(PICTURE), "WEBP", lossless=True))
    image = read_image(path)
    assert type(image) is Image.Image
    path.unlink()
    assert np.array_equal(np.asarray(image), PICTURE)


REFUSED = {
    "empty": (b"", "empty file"),
    "text": ("die Wörter sind kein Bild\n".encode(), "looks like text"),
    "html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "a Git LFS pointer"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "zip": (b"PK\x03\x04" + bytes(60), "a zip archive"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(60), "a HEIC image"),
    "avif": (b"\x00\x00\x00\x18ftypavif" + bytes(60), "an AVIF image"),
    "ppm": (b"P6 1 1 255 abc", "a PNM image"),
    "zeros": (bytes(1000), "nothing but zero bytes"),
    "noise": (bytes(range(128, 256)), "unknown binary data"),
    "png-signature-alone": (b"\x89PNG\r\n\x1a\n", "a PNG image but is cut or damaged"),
    "riff-alone": (b"RIFF\x00\x00\x00\x00WEBP", "a WebP image but is cut or damaged"),
    "tiff-loop": (b"II*\x00\x08\x00\x00\x00\x00\x00", "a TIFF image but is cut or damaged"),
    "float-nan": (
        tiff((2, 1), struct.pack("<2f", 0, float("nan")), bits=32, sample_format=3),
        "expected values in 0 … 1, got nan",
    ),
    "float-255": (
        tiff((2, 1), struct.pack("<2f", 0, 255), bits=32, sample_format=3),
        "in 0 … 1, got 0 … 255",
    ),
    "integer-negative": (tiff((2, 1), struct.pack("<2i", -1, 5), bits=32, sample_format=2), "got -1 … 5"),
    "bomb": (bmp_bomb(10_000, 5_001), "50 million"),
    "larger-bomb": (bmp_bomb(30_000, 30_000), "50 million"),
    "png-bomb": (png((1 << 30, 1 << 30), [b""], depth=1, kind=GREY), "50 million"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused_in_one_line(name, tmp_path):
    data, expected = REFUSED[name]
    path = tmp_path / f"{name}.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=expected) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_the_largest_picture_allowed_is_read(tmp_path):
    path = tmp_path / "large.png"
    rows = [b"\xff" * 1250] * 5000
    path.write_bytes(png((10_000, 5_000), rows, depth=1, kind=GREY))
    assert np.prod(read_image(path).size) == MAX_PIXELS


def test_places_that_hold_no_file_are_refused(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "nowhere.png")
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    below = tmp_path / "file"
    below.write_bytes(b"x")
    places = {
        tmp_path / "missing.png": "no such file",
        tmp_path: "a folder",
        link: "leads nowhere",
        pipe: "not a regular file",
        below / "x.png": "not a directory",
    }
    for path, expected in places.items():
        with pytest.raises(ImageError, match=expected):
            read_image(path)


SOURCES = {
    "png": encoded(Image.fromarray(np.tile(PICTURE, (6, 6, 1))), "PNG"),
    "jpeg": encoded(Image.fromarray(np.tile(PICTURE, (6, 6, 1))), "JPEG", exif=orientation_exif(6)),
    "webp": encoded(Image.fromarray(np.tile(PICTURE, (6, 6, 1))), "WEBP"),
    "bmp": encoded(Image.fromarray(np.tile(PICTURE, (6, 6, 1))), "BMP"),
    "gif": encoded(Image.fromarray(np.tile(RAMP, (6, 6))), "GIF"),
    "tiff": encoded(Image.fromarray(np.tile(PICTURE, (6, 6, 1))), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_cut_file_is_never_a_picture_half_grey(kind, tmp_path):
    data = SOURCES[kind]
    whole = tmp_path / "whole"
    whole.write_bytes(data)
    expected = np.asarray(read_image(whole))
    path = tmp_path / "cut"
    for end in np.unique(np.linspace(0, len(data) - 1, 40).astype(int)):
        path.write_bytes(data[:end])
        try:
            image = read_image(path)
        except ImageError:
            continue
        assert np.array_equal(np.asarray(image), expected), f"cut at {end} of {len(data)}"


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.filterwarnings("ignore")
def test_a_mutated_file_is_a_picture_or_an_error(kind, tmp_path):
    data, random = SOURCES[kind], np.random.default_rng(11)
    path = tmp_path / "mutated"
    read = 0
    for _ in range(100):
        mutated = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 9)):
            mutated[place] = random.integers(0, 256)
        path.write_bytes(mutated)
        try:
            image = read_image(path)
        except ImageError:
            continue
        assert image.mode in ("L", "RGB")
        read += 1
    assert read < 100


def test_flatten_leaves_plain_pictures_alone():
    for mode in ("L", "RGB"):
        image = Image.new(mode, (2, 2))
        assert flatten(image) is image


def test_threads_read_side_by_side(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(SOURCES["png"])
    results = []
    threads = [threading.Thread(target=lambda: results.append(read_image(path).tobytes())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len(set(results)) == 1


def test_an_error_of_the_disk_is_not_called_damage(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(SOURCES["png"])

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ImageError, match=r"picture\.png: permission denied"):
        read_image(path)


def test_a_file_too_large_for_an_image_is_not_opened(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as stream:
        stream.truncate((1 << 30) + 1)
    with pytest.raises(ImageError, match="1,073,741,825 bytes"):
        read_image(path)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size, tmp_path):
    path = tmp_path / "none.bmp"
    path.write_bytes(bmp_bomb(*size))
    with pytest.raises(ImageError, match=r"pixels|damaged"):
        read_image(path)

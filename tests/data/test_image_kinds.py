from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from tests.oracles.imagefiles import COLOUR, COLOUR_ALPHA, GREY, GREY_ALPHA, PALETTE, encoded, png, tiff
from vitscope.data.images import probe_image, read_image

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
PICTURE = np.random.default_rng(7).integers(0, 256, (6, 5, 3), dtype=np.uint8)
INKS = ((255, 0, 0), (0, 128, 0), (10, 20, 30), (200, 200, 200))
PLTE = (b"PLTE", b"".join(map(bytes, INKS)))


def grey(*values):
    return np.array([values], dtype=np.uint8)


def colours(*values):
    return np.array([values], dtype=np.uint8)


def over_white(value: int, alpha: int) -> int:
    return int(value * alpha / 255 + 255 * (255 - alpha) / 255 + 0.5)


def palette_image(*, clear=None) -> Image.Image:
    image = Image.fromarray(np.array([[0, 1, 2, 3]], dtype=np.uint8), "L")
    image = Image.frombytes("P", (4, 1), image.tobytes())
    image.putpalette([part for ink in INKS for part in ink])
    if clear is not None:
        image.info["transparency"] = clear
    return image


def words(*values, order="<"):
    return struct.pack(f"{order}{len(values)}H", *values)


ALPHA = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, dtype=np.uint8)])
SEEN = (INKS[0], (255, 255, 255), INKS[2], INKS[3])  # the palette with its second ink clear

# name: (the file's bytes, the pixels it must give, the largest difference allowed)
GOLDEN = {
    "png-1-bit": (png((8, 1), [b"\xb0"], depth=1, kind=GREY), grey(255, 0, 255, 255, 0, 0, 0, 0), 0),
    "png-2-bit": (png((4, 1), [b"\x1b"], depth=2, kind=GREY), grey(0, 85, 170, 255), 0),
    "png-4-bit": (png((2, 1), [b"\x3f"], depth=4, kind=GREY), grey(51, 255), 0),
    "png-8-bit": (png((3, 1), [b"\x00\x80\xff"], depth=8, kind=GREY), grey(0, 128, 255), 0),
    "png-16-bit": (
        png((5, 1), [words(0, 257, 384, 386, 65535, order=">")], depth=16, kind=GREY),
        grey(0, 1, 1, 2, 255),
        0,
    ),
    "png-16-bit-clear": (
        png((2, 1), [words(257, 514, order=">")], depth=16, kind=GREY, chunks=((b"tRNS", b"\x01\x01"),)),
        grey(255, 2),
        0,
    ),
    "png-grey-clear": (
        png((2, 1), [b"\x05\x06"], depth=8, kind=GREY, chunks=((b"tRNS", b"\x00\x05"),)),
        grey(255, 6),
        0,
    ),
    "png-1-bit-clear": (
        png((8, 1), [b"\xb0"], depth=1, kind=GREY, chunks=((b"tRNS", b"\x00\x00"),)),
        grey(*[255] * 8),
        0,
    ),
    "png-colour": (
        png((2, 1), [b"\x01\x02\x03\xff\xfe\xfd"], depth=8, kind=COLOUR),
        colours((1, 2, 3), (255, 254, 253)),
        0,
    ),
    "png-colour-clear": (
        png(
            (2, 1),
            [b"\x01\x02\x03\x04\x05\x06"],
            depth=8,
            kind=COLOUR,
            chunks=((b"tRNS", b"\0\x01\0\x02\0\x03"),),
        ),
        colours((255, 255, 255), (4, 5, 6)),
        0,
    ),
    "png-colour-16": (
        png((1, 1), [words(0x1234, 0xABCD, 0xFFFF, order=">")], depth=16, kind=COLOUR),
        colours((0x12, 0xAB, 0xFF)),
        0,
    ),
    "png-colour-16-clear": (
        png(
            (2, 1),
            [words(0x1234, 0xABCD, 0xFFFF, 0x3412, 0xCDAB, 0xFFFF, order=">")],
            depth=16,
            kind=COLOUR,
            chunks=((b"tRNS", words(0x1234, 0xABCD, 0xFFFF, order=">")),),
        ),
        colours((255, 255, 255), (0x34, 0xCD, 0xFF)),
        0,
    ),
    "png-grey-alpha": (
        png((3, 1), [b"\x64\xff\x64\x00\x64\x80"], depth=8, kind=GREY_ALPHA),
        grey(100, 255, over_white(100, 128)),
        0,
    ),
    "png-grey-alpha-16": (
        png((1, 1), [words(0x6400, 0x8000, order=">")], depth=16, kind=GREY_ALPHA),
        colours((over_white(100, 128),) * 3),
        0,
    ),
    "png-colour-alpha": (
        png((2, 1), [b"\x0a\x14\x1e\x00\x0a\x14\x1e\x40"], depth=8, kind=COLOUR_ALPHA),
        colours((255, 255, 255), tuple(over_white(value, 64) for value in (10, 20, 30))),
        0,
    ),
    "png-palette": (png((4, 1), [b"\x1b"], depth=2, kind=PALETTE, chunks=(PLTE,)), colours(*INKS), 0),
    "png-palette-clear": (
        png((4, 1), [b"\x1b"], depth=2, kind=PALETTE, chunks=(PLTE, (b"tRNS", b"\xff\x00"))),
        colours(*SEEN),
        0,
    ),
    "png-palette-half-clear": (
        png((4, 1), [b"\x1b"], depth=2, kind=PALETTE, chunks=(PLTE, (b"tRNS", b"\xff\x80\xff\xff"))),
        colours(INKS[0], tuple(over_white(value, 128) for value in INKS[1]), *INKS[2:]),
        0,
    ),
    "png-interlaced-animation": (
        encoded(
            Image.fromarray(PICTURE), "PNG", save_all=True, append_images=[Image.fromarray(255 - PICTURE)]
        ),
        PICTURE,
        0,
    ),
    "bmp-1-bit": (encoded(Image.fromarray(RAMP > 100), "BMP"), (RAMP > 100).astype(np.uint8) * 255, 0),
    "bmp-grey": (encoded(Image.fromarray(RAMP), "BMP"), RAMP, 0),
    "bmp-palette": (encoded(palette_image(), "BMP"), colours(*INKS), 0),
    "bmp-colour": (encoded(Image.fromarray(PICTURE), "BMP"), PICTURE, 0),
    "gif-grey": (encoded(Image.fromarray(RAMP), "GIF"), RAMP, 0),
    "gif-palette": (encoded(palette_image(), "GIF"), colours(*INKS), 0),
    "gif-clear": (encoded(palette_image(), "GIF", transparency=1), colours(*SEEN), 0),
    "gif-grey-clear": (encoded(Image.fromarray(RAMP), "GIF", transparency=0), np.where(RAMP, RAMP, 255), 0),
    "gif-animated": (
        encoded(palette_image(), "GIF", save_all=True, append_images=[Image.new("RGB", (4, 1), "red")] * 2),
        colours(*INKS),
        0,
    ),
    "webp-colour": (encoded(Image.fromarray(PICTURE), "WEBP", lossless=True), PICTURE, 0),
    "webp-alpha": (
        encoded(Image.new("RGBA", (4, 4), (10, 20, 30, 64)), "WEBP", lossless=True),
        np.full((4, 4, 3), [over_white(value, 64) for value in (10, 20, 30)], dtype=np.uint8),
        0,
    ),
    "webp-animated": (
        encoded(
            Image.fromarray(PICTURE),
            "WEBP",
            lossless=True,
            save_all=True,
            append_images=[Image.fromarray(255 - PICTURE)],
        ),
        PICTURE,
        0,
    ),
    "tiff-1-bit": (encoded(Image.fromarray(RAMP > 100), "TIFF"), (RAMP > 100).astype(np.uint8) * 255, 0),
    "tiff-white-is-zero": (tiff((3, 1), b"\x00\x80\xff", bits=8, photometric=0), grey(255, 127, 0), 0),
    "tiff-colour": (encoded(Image.fromarray(PICTURE), "TIFF"), PICTURE, 0),
    "tiff-lzw": (encoded(Image.fromarray(PICTURE), "TIFF", compression="tiff_lzw"), PICTURE, 0),
    "tiff-deflate": (encoded(Image.fromarray(PICTURE), "TIFF", compression="tiff_adobe_deflate"), PICTURE, 0),
    "tiff-alpha": (encoded(Image.fromarray(ALPHA), "TIFF"), PICTURE, 0),
    "tiff-palette": (encoded(palette_image(), "TIFF"), colours(*INKS), 0),
    "tiff-12-bit": (tiff((2, 1), b"\x80\x0f\xff", bits=12), grey(over_white(127, 255) + 1, 255), 1),
    "tiff-16-bit": (tiff((3, 1), words(0, 32768, 65535), bits=16), grey(0, 128, 255), 0),
    "tiff-16-bit-big-endian": (
        tiff((3, 1), words(0, 32768, 65535, order=">"), bits=16, order=">"),
        grey(0, 128, 255),
        0,
    ),
    "tiff-16-bit-white-is-zero": (
        tiff((3, 1), words(0, 257, 65535), bits=16, photometric=0),
        grey(255, 254, 0),
        0,
    ),
    "tiff-32-bit": (
        tiff((3, 1), struct.pack("<3i", 0, 257, 65535), bits=32, sample_format=2),
        grey(0, 1, 255),
        0,
    ),
    "tiff-float": (
        tiff((3, 1), struct.pack("<3f", 0, 0.5, 1), bits=32, sample_format=3),
        grey(0, 128, 255),
        0,
    ),
    "tiff-cmyk": (
        encoded(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF"),
        np.full((2, 2, 3), (255, 0, 0), dtype=np.uint8),
        0,
    ),
    "jpeg-grey": (encoded(Image.new("L", (16, 16), 77), "JPEG"), np.full((16, 16), 77, dtype=np.uint8), 1),
    "jpeg-colour": (
        encoded(Image.new("RGB", (16, 16), (200, 40, 90)), "JPEG", quality=100),
        np.full((16, 16, 3), (200, 40, 90), dtype=np.uint8),
        2,
    ),
    "jpeg-cmyk": (
        encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100),
        np.full((16, 16, 3), (255, 0, 0), dtype=np.uint8),
        2,
    ),
    "jpeg-progressive": (
        encoded(Image.new("RGB", (16, 16), (0, 40, 90)), "JPEG", quality=100, progressive=True),
        np.full((16, 16, 3), (0, 40, 90), dtype=np.uint8),
        2,
    ),
    "one-pixel": (encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"), colours((1, 2, 3)), 0),
    "one-column": (encoded(Image.new("L", (1, 20000), 9), "PNG"), np.full((20000, 1), 9, dtype=np.uint8), 0),
    "one-row": (encoded(Image.new("L", (20000, 1), 9), "PNG"), np.full((1, 20000), 9, dtype=np.uint8), 0),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_every_kind_gives_its_pixels(name, tmp_path):
    data, expected, tolerance = GOLDEN[name]
    path = tmp_path / f"{name}.bin"
    path.write_bytes(data)
    image = read_image(path)
    assert image.mode == ("L" if expected.ndim == 2 else "RGB")
    values = np.asarray(image)
    assert values.shape == expected.shape
    assert np.abs(values.astype(int) - expected).max() <= tolerance
    rows, columns, is_grey = probe_image(path)
    assert (rows, columns) == expected.shape[:2]
    assert is_grey == (image.mode == "L")

"""Image files for tests: most written byte by byte, so that what they hold does not depend on Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6


def png(
    size: tuple[int, int],
    rows: list[bytes],
    *,
    depth: int,
    kind: int,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """Return a PNG of `size` (columns, rows) with packed, unfiltered rows; `chunks` go before the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(
    size: tuple[int, int],
    pixels: bytes,
    *,
    bits: int,
    photometric: int = 1,
    order: str = "<",
    sample_format: int = 1,
) -> bytes:
    """Return an uncompressed TIFF of one strip and one sample a pixel."""
    columns, rows = size
    tags = [
        (256, 4, columns),
        (257, 4, rows),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, rows),
        (279, 4, len(pixels)),
        (339, 3, sample_format),
    ]
    entries = b""
    for tag, kind, value in tags:
        field = struct.pack(order + "I", value) if kind == 4 else struct.pack(order + "HH", value, 0)
        entries += struct.pack(order + "HHI", tag, kind, 1) + field
    magic = b"II*\x00" if order == "<" else b"MM\x00*"
    directory = struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0)
    padded = pixels + b"\x00" * (len(pixels) % 2)
    return magic + struct.pack(order + "I", 8 + len(padded)) + padded + directory


def orientation_exif(orientation: int) -> bytes:
    """Return EXIF data that says nothing but the orientation, 1 … 8."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\x00\x00II*\x00" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 0)


def bmp_bomb(columns: int, rows: int) -> bytes:
    """Return the header of a 24-bit BMP of any size, without its pixels."""
    header = struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """Return what Pillow writes for a picture, for formats that are not worth writing by hand."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()

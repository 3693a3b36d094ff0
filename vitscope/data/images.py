"""Reading one image file: upright, 8 bits a channel, grey or colour, or one clear error."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from vitscope.data.filekind import PREFIX_LENGTH, looks_like
from vitscope.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.ImageFile import ImageFile

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "flatten", "probe_image", "read_image"]

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
MAX_PIXELS = 50_000_000
_MAX_BYTES = 1 << 30

# Opening by plugin and not by `Image.open` keeps Pillow's forty other decoders out of reach, and replaces its
# bomb check, a warning that no thread can turn into an error for itself alone, by ours.
_DECODERS: tuple[tuple[bytes, str, Any], ...] = (
    (b"\xff\xd8\xff", "JPEG", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImageFile),
    (b"BM", "BMP", BmpImageFile),
    (b"GIF87a", "GIF", GifImageFile),
    (b"GIF89a", "GIF", GifImageFile),
    (b"II*\x00", "TIFF", TiffImageFile),
    (b"MM\x00*", "TIFF", TiffImageFile),
    (b"II+\x00", "TIFF", TiffImageFile),
    (b"MM\x00+", "TIFF", TiffImageFile),
)
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_EXIF_KEYS = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")


def read_image(path: Path) -> Image.Image:
    """Read an image file as its viewer shows it: mode `L` if the file is grey, else `RGB`.

    The content decides the format (JPEG, PNG, WebP, BMP, GIF, TIFF), not the name. EXIF orientation is
    applied, animations give their first frame, and `flatten` says what becomes of every other mode.

    Raises:
        ImageError: The file is missing, no image, damaged, cut, larger than `MAX_PIXELS`, or has values
            without a defined range. There is no stand-in for an image that cannot be read.
    """
    with _opened(path) as (image, kind):
        image.load()
        bits, negative = _tiff_scale(image)
        try:
            plain = flatten(_upright(image), bits=bits)
        except ValueError as error:
            raise _refusal(path, f"this {kind} image cannot be shown in 8 bits: {error}") from error
        if negative:
            return ImageOps.invert(plain)
        return plain.copy() if plain is image else plain  # a copy lets go of the file and its decoder


def probe_image(path: Path) -> tuple[int, int, bool]:
    """Read a file's header alone: rows, columns (upright) and whether the image is grey.

    Raises:
        ImageError: As `read_image`, as far as the header shows it.
    """
    with _opened(path) as (image, kind):
        columns, rows = image.size
        if kind != "TIFF" and _on_its_side(image):  # Pillow turns TIFFs itself
            rows, columns = columns, rows
        return rows, columns, _is_grey(image)


def flatten(image: Image.Image, *, bits: int = 16) -> Image.Image:
    """Turn any mode into `L` or `RGB` with 8 bits a channel; these two pass untouched.

    - A palette of greys is grey. Alpha, also a palette's or a transparent colour: composed on white.
    - 16-bit grey: round(255 · value / (2^bits − 1)). 16-bit colour: the upper byte, all that Pillow keeps.
    - `I` (32-bit integers): read as 0 … 65535. `F` (floats): read as 0 … 1.
    - CMYK, YCbCr, HSV: Pillow's conversion; embedded colour profiles are not applied.

    Args:
        image: A loaded image.
        bits: The bits that count in 16-bit grey, 12 in some microscopes' TIFFs.

    Raises:
        ValueError: Integers or floats outside those ranges, NaN, or a mode without a conversion.
    """
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        peak = {"F": 1, "I": 65535}.get(image.mode, 2**bits - 1)
        return _scaled(image, peak=peak)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _on_white(image)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if _is_grey(image) else "RGB")


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        inks = np.array(image.getpalette("RGB") or [0], dtype=np.uint8).reshape(-1, 3)
        return bool((inks == inks[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def _on_white(image: Image.Image) -> Image.Image:
    clear = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:
        image = image.copy()  # 16 bits: Pillow cut the pixels alone
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    image = image.convert("LA" if _is_grey(image) else "RGBA")
    colours = image.convert("L" if image.mode == "LA" else "RGB")
    white = Image.new(colours.mode, image.size, "white")
    white.paste(colours, mask=image.getchannel("A"))
    return white


def _scaled(image: Image.Image, *, peak: int) -> Image.Image:
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= peak):  # written so that NaN is refused too
        raise ValueError(f"expected values in 0 … {peak}, got {low:g} … {high:g}")
    # In 4 bytes a pixel and in place: a large image in float64 would need a gigabyte and more.
    if image.mode == "F":
        levels = np.multiply(values, 255, dtype=np.float32)
        levels += 0.5
        return Image.fromarray(levels.astype(np.uint8))
    whole = values.astype(np.uint32)
    whole *= 255
    whole += peak // 2  # no ties: every peak is odd
    whole //= peak
    grey = whole.astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey)


def _tiff_scale(image: ImageFile) -> tuple[int, bool]:
    # What Pillow leaves to its caller where samples have more than 8 bits: how many, and whether 0 is white.
    if not isinstance(image, TiffImageFile) or image.mode not in ("F", "I", "I;16", "I;16B"):
        return 16, False
    width = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0]
    return width, image.tag_v2.get(_PHOTOMETRIC) == 0


def _has_exif(image: Image.Image) -> bool:
    return any(key in image.info for key in _EXIF_KEYS)


def _on_its_side(image: Image.Image) -> bool:
    try:
        return _has_exif(image) and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # as in `_upright`
        return False


def _upright(image: Image.Image) -> Image.Image:
    if not _has_exif(image):
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata of any kind: the picture itself is whole
        return image


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ImageFile, str]]:
    try:
        status = path.stat()
    except OSError as error:
        raise _refusal(path, _missing(path, error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(path, "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    if status.st_size > _MAX_BYTES:
        raise _refusal(
            path, f"it has {status.st_size:,} bytes, more than the {_MAX_BYTES:,} an image may have"
        )
    kind = ""
    try:
        with path.open("rb") as stream:
            prefix = stream.read(PREFIX_LENGTH)
            kind, decoder = _decoder(prefix)
            if decoder is None:
                raise _refusal(
                    path, f"it looks like {looks_like(prefix)}, not a JPEG, PNG, WebP, BMP, GIF or TIFF"
                )
            stream.seek(0)
            image = decoder(stream)
            _check_size(path, image.size)
            yield image, kind
    except ImageError:
        raise
    except Exception as error:  # damaged files raise whatever the decoder trips over
        raise _refusal(path, _damage(kind, error)) from error


def _decoder(prefix: bytes) -> tuple[str, Any]:
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return "WebP", WebPImageFile
    for signature, kind, decoder in _DECODERS:
        if prefix.startswith(signature):
            return kind, decoder
    return "", None


def _check_size(path: Path, size: tuple[int, int]) -> None:
    columns, rows = size
    if columns < 1 or rows < 1:
        raise _refusal(path, f"it says that it has {columns} by {rows} pixels")
    if columns * rows > MAX_PIXELS:
        limit = f"more than the {MAX_PIXELS // 1_000_000} million an image may have"
        raise _refusal(path, f"it has {columns} by {rows} pixels, {limit}", hint="make a smaller copy of it")


def _missing(path: Path, error: OSError) -> str:
    if path.is_symlink():
        return "the link leads nowhere"
    return (
        "there is no such file"
        if isinstance(error, FileNotFoundError)
        else (error.strerror or str(error)).lower()
    )


def _damage(kind: str, error: Exception) -> str:
    detail = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or detail).lower()
    return f"it starts like a {kind} image but is cut or damaged ({detail})"


def _refusal(path: Path, what: str, *, hint: str = "replace the file or take it out") -> ImageError:
    return ImageError(f"cannot read image {path}: {what}", hint=hint)

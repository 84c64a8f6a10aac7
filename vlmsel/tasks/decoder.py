"""Bytes to one RGB image, within limits, or a clear reason why not.

What is done with the unusual: the first frame of several; EXIF rotation applied; transparency laid
on white (as img2dataset does, so as models of LAION saw it); more than 8 bits scaled to 8 by the
bits that are used (cameras keep 10 to 14 in files of 16); CMYK, palette and grey converted by
Pillow. Floating-point pixels are refused: their range is unknown.
"""

import struct
import threading
import warnings
from contextlib import nullcontext
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from vlmsel.errors import ImageError, first_line

MAX_IMAGE_BYTES = 64 * 2**20
MAX_IMAGE_PIXELS = 64_000_000
# Larger ones take up to 20 bytes a pixel while they are decoded: one at a time in a process.
LARGE_PIXELS = 16_000_000
_LARGE_PICTURE = threading.Lock()
# Raster formats only: Pillow would hand EPS to Ghostscript. (JPEG includes MPO.)
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Pictures that the decoder does not read: passing them over is worth a word.
UNREAD_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "arw", "cr2", "cr3", "dng", "eps", "exr", "hdr", "heic", "heif", "hif", "ico", "jxl", "nef",
        "orf", "pfm", "psd", "raf", "svg", "tga",
    )
)  # fmt: skip
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    MemoryError, RuntimeError, struct.error, Image.DecompressionBombError,
)  # fmt: skip
MAX_16_BIT = 65535
# Depths of cameras, scanners and microscopes.
USED_BITS = (8, 10, 12, 14, 16)
JPEG_START, JPEG_SCAN = b"\xff\xd8", b"\xff\xda"
# Progressive files have about ten; each costs a pass over the picture, even an empty one.
MAX_SCANS = 100
TIFF_TILE = (322, 323)

# Pillow warns of odd metadata, and of sizes near a bound of its own; `max_pixels` is ours. Set
# once, since `warnings.catch_warnings` around each image is not safe where several threads decode.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def decode_image(
    data: bytes,
    *,
    max_bytes: int = MAX_IMAGE_BYTES,
    max_pixels: int = MAX_IMAGE_PIXELS,
    least_size: int | None = None,
) -> Image.Image:
    """Decode an image file to RGB.

    Args:
        data: contents of the file.
        max_bytes: largest file.
        max_pixels: largest width times height; read from the header, before anything is decoded.
        least_size: height and width that are enough; a JPEG is then decoded at a fraction of its
            size, several times as fast.

    Raises:
        ImageError: empty, over a limit, no image, or corrupt.
    """
    if not data:
        raise ImageError("the file is empty")
    if len(data) > max_bytes:
        raise ImageError(f"the file has {len(data)} bytes, more than {max_bytes} allowed")
    if data[:2] == JPEG_START and (n_scans := data.count(JPEG_SCAN)) > MAX_SCANS:
        raise ImageError(f"a JPEG of {n_scans} scans, {MAX_SCANS} are allowed; save it again")
    image = _open(data)
    width, height = image.size
    if width * height > max_pixels:
        msg = f"too large: {width}x{height} pixels, {max_pixels} are allowed; scale it down"
        raise ImageError(msg)
    if (tile := _tile_pixels(image)) > max_pixels:
        msg = f"too large: a tile of {tile} pixels, {max_pixels} are allowed; save it again"
        raise ImageError(msg)
    is_large = width * height > LARGE_PIXELS
    try:
        with _LARGE_PICTURE if is_large else nullcontext():
            if least_size is not None:
                image.draft(None, (least_size, least_size))
            image.load()
            return _convert_to_rgb(ImageOps.exif_transpose(image))
    except DECODE_ERRORS as error:
        raise ImageError(f"corrupt or truncated {image.format}: {first_line(error)}") from None


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of one tile of a TIFF, which libtiff keeps whole in memory however small the image."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 0
    sides = [tags.get(tag) for tag in TIFF_TILE]
    return int(np.prod([side for side in sides if isinstance(side, int)], dtype=object))


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=_formats())
    except Image.UnidentifiedImageError:
        raise ImageError("not an image of a known format") from None
    except Image.DecompressionBombError:
        msg = f"too large: over twice {Image.MAX_IMAGE_PIXELS} pixels, not decoded; scale it down"
        raise ImageError(msg) from None
    except DECODE_ERRORS as error:
        raise ImageError(f"corrupt image header: {first_line(error)}") from None


@cache
def _formats() -> list[str]:
    # A Pillow built without one of them (AVIF) would raise for every image.
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in small letters, of the files that `decode_image` reads."""
    Image.init()
    known = {suffix for suffix, name in Image.EXTENSION.items() if name in FORMATS}
    # Of JPEG, too. Films are no pictures, and floating-point pixels are refused in any case.
    return frozenset(known | {".mpo"}) - {".apng", ".avifs", ".pfm"}


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels of unknown range; save it with 8 bits a channel")
    if image.mode.startswith("I"):
        return _from_integers(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_integers(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    top = int(pixels.max(initial=0))
    if top > MAX_16_BIT or pixels.min(initial=0) < 0:
        raise ValueError("integer pixels beyond 16 bits; save it with 8 bits a channel")
    # A file of 16 bits often holds fewer; by its header alone such a picture would be black.
    bits = next(bits for bits in USED_BITS if top < 1 << bits)
    return Image.fromarray((pixels >> (bits - 8)).astype(np.uint8))

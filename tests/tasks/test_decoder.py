import io
import struct
import time
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from vlmsel.errors import ImageError
from vlmsel.tasks import decoder
from vlmsel.tasks.decoder import decode_image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (32, 24)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png_of_size(width: int, height: int) -> bytes:
    """A valid header that claims any size, and hardly any pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_come_back_exactly(kind: str) -> None:
    image = noise()
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode_image(encoded(image, kind, **options))
    assert found.mode == "RGB"
    assert np.array_equal(np.asarray(found), np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "JPEG2000", "GIF"])
def test_other_formats_are_known(kind: str) -> None:
    found = decode_image(encoded(Image.new("RGB", (20, 10), (200, 30, 30)), kind))
    assert found.size == (20, 10)
    assert np.abs(np.asarray(found).mean(axis=(0, 1)) - (200, 30, 30)).max() < 6


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode_image(encoded(noise(mode), kind)).mode == "RGB"


def test_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    mean = np.asarray(decode_image(encoded(red, "JPEG", quality=95))).mean(axis=(0, 1))
    assert mean[0] > 200
    assert mean[1:].max() < 60


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert decode_image(encoded(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decode_image(encoded(half, "PNG")).getpixel((0, 0)) == (127, 127, 127)


def test_a_transparent_palette_entry_is_laid_on_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 1), 1)
    found = decode_image(encoded(image, "PNG", transparency=0))
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((1, 1)) == (40, 50, 60)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    pixels = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    found = decode_image(encoded(Image.fromarray(pixels), "PNG"))
    assert np.asarray(found)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_integers_of_eight_bits_stay_and_wider_ones_are_scaled() -> None:
    small = Image.fromarray(np.array([[0, 7, 255]], dtype=np.int32))
    assert np.asarray(decode_image(encoded(small, "TIFF")))[0, :, 0].tolist() == [0, 7, 255]
    wide = Image.fromarray(np.array([[0, 65535]], dtype=np.int32))
    assert np.asarray(decode_image(encoded(wide, "TIFF")))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_file_of_sixteen_bits_is_scaled_by_those_it_uses(bits: int, form: str) -> None:
    top = (1 << bits) - 1
    pixels = np.array([[0, top // 2 + 1, top]], dtype=np.uint16)
    found = decode_image(encoded(Image.fromarray(pixels), form))
    assert np.asarray(found)[0, :, 0].tolist() == [0, 128, 255]


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    data = encoded(Image.new("RGB", (64, 64)), "JPEG")
    progressive = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(progressive, "JPEG", progressive=True)
    assert decode_image(progressive.getvalue()).size == (64, 64)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"
    start = time.process_time()
    with pytest.raises(ImageError, match="a JPEG of 2001 scans, 100 are allowed"):
        decode_image(data[:-2] + scan * 2000 + data[-2:])
    assert time.process_time() - start < 1


def test_a_tile_larger_than_its_picture_is_refused() -> None:
    tags = {256: 16, 257: 16, 258: 8, 259: 5, 262: 1, 277: 1, 322: 40_000, 323: 40_000}
    tags |= {324: 8, 325: 100}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    data = head + b"".join(entries) + bytes(104)
    with pytest.raises(ImageError, match="a tile of 1600000000 pixels"):
        decode_image(data)


@pytest.mark.parametrize("value", [70_000, -1])
def test_integers_beyond_sixteen_bits_are_refused(value: int) -> None:
    odd = Image.fromarray(np.array([[value]], dtype=np.int32))
    with pytest.raises(ImageError, match="beyond 16 bits"):
        decode_image(encoded(odd, "TIFF"))


def test_floating_point_pixels_are_refused() -> None:
    image = Image.fromarray(np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(ImageError, match="floating-point"):
        decode_image(encoded(image, "TIFF"))


def test_exif_rotation_is_applied() -> None:
    image = Image.new("RGB", (20, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_image(encoded(image, "JPEG", exif=exif)).size == (10, 20)


def test_the_first_of_several_frames_is_taken() -> None:
    frames = [Image.new("RGB", (5, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated_images_are_errors(kind: str, keep: float) -> None:
    data = encoded(noise(), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError) as caught:
            decode_image(data[: int(len(data) * keep)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, I am no image", "not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not an image|corrupt"),
    ],
)
def test_what_is_no_image_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_image(data)


def test_large_files_are_refused_unread() -> None:
    with pytest.raises(ImageError, match="has 11 bytes, more than 10 allowed"):
        decode_image(b"x" * 11, max_bytes=10)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8_001, 10_000, 30_000, 2_000_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    bomb = png_of_size(side, side)
    tracemalloc.start()
    with pytest.raises(ImageError, match="pixels"):
        decode_image(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_the_bound_on_pixels_is_exact() -> None:
    image = encoded(noise(size=(10, 10)), "PNG")
    assert decode_image(image, max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match="too large: 10x10 pixels, 99 are allowed"):
        decode_image(image, max_pixels=99)


@pytest.mark.parametrize(("height", "is_large"), [(4000, False), (4001, True)])
def test_large_pictures_take_turns(
    height: int, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_turn: list[bool] = []
    load = PngImageFile.load

    def noting(image: PngImageFile) -> object:
        has_turn.append(decoder._LARGE_PICTURE.locked())
        return load(image)

    monkeypatch.setattr(PngImageFile, "load", noting)
    with pytest.raises(ImageError, match="corrupt or truncated"):
        decode_image(png_of_size(4000, height))
    assert has_turn == [is_large]
    assert not decoder._LARGE_PICTURE.locked()

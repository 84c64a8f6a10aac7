"""Constant and repeated pictures, found by decoding alone."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlmsel.errors import TaskError
from vlmsel.tasks.index import index_task
from vlmsel.tasks.pictures import ENOUGH, Pictures, look_at_pictures
from vlmsel.tasks.shards import plan_shards
from vlmsel.tasks.task_catalog import folder_task


def look(folder: Path) -> Pictures:
    index = index_task(folder_task(folder), cache=folder.parent / "cache", strict=False)
    return look_at_pictures(plan_shards(index, n_images=None), len(index.images))


def noise(seed: int, size: tuple[int, int] = (40, 60)) -> Image.Image:
    """A smooth random picture, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)


def saved(image: Image.Image, folder: Path, name: str, **options: Any) -> None:
    folder.mkdir(exist_ok=True)
    image.save(folder / name, **options)


def test_different_pictures_are_no_news(tmp_path):
    for seed in range(ENOUGH):
        saved(noise(seed), tmp_path / "images", f"{seed}.png")
    found = look(tmp_path / "images")
    assert (found.n_held, found.n_read, found.n_different) == (ENOUGH, ENOUGH, ENOUGH)
    assert found.notice is None


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (12, 200, 90)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_squares_of_one_colour_are_constant(tmp_path, colour, suffix):
    for number in range(10):
        square = Image.new("RGB", (64 + number, 64), colour)
        saved(square, tmp_path / "images", f"{number}.{suffix}")
    found = look(tmp_path / "images")
    assert (len(found.constant), found.repeated, found.n_different) == (10, (), 0)
    assert not found.is_enough
    assert "10 of 10 images are of one colour" in (found.notice or "")


def test_one_picture_many_times_is_one_picture_in_any_format(tmp_path):
    picture = noise(0, (480, 640))
    for number in range(6):
        saved(picture, tmp_path / "images", f"{number}.png", compress_level=number)
        saved(picture, tmp_path / "images", f"{number}.jpg", quality=70 + 5 * number)
    found = look(tmp_path / "images")
    assert (found.n_read, len(found.repeated), found.n_different) == (12, 11, 1)
    assert "11 of 12 repeat another image; 1 different picture can be used" in (found.notice or "")


def test_pictures_that_differ_in_a_corner_differ(tmp_path):
    for number in range(5):
        pixels = np.zeros((64, 64, 3), dtype=np.uint8)
        pixels[4 * number : 4 * number + 4, 8:12] = 255
        saved(Image.fromarray(pixels), tmp_path / "images", f"{number}.png")
    assert look(tmp_path / "images").n_different == 5


def test_a_few_constant_pictures_among_many_are_told_and_do_no_harm(tmp_path):
    for seed in range(ENOUGH):
        saved(noise(seed), tmp_path / "images", f"{seed}.png")
    saved(Image.new("L", (9, 9), 7), tmp_path / "images", "black.png")
    found = look(tmp_path / "images")
    assert found.is_enough
    assert (
        found.notice
        == f"1 of {ENOUGH + 1} images are of one colour; 5 different pictures can be used"
    )


def test_what_cannot_be_decoded_is_named_and_alone_is_an_error(tmp_path):
    saved(noise(0), tmp_path / "images", "good.png")
    (tmp_path / "images" / "bad.png").write_bytes(b"no image")
    found = look(tmp_path / "images")
    assert found.unreadable == (("bad.png", "not an image of a known format"),)
    assert found.n_read == 1
    (tmp_path / "images" / "good.png").unlink()
    with pytest.raises(TaskError, match="none of 1 image"):
        look(tmp_path / "images")


@given(st.integers(0, 2**32 - 1), st.integers(70, 95))
def test_a_copy_saved_as_jpeg_is_near_in_every_patch(seed, quality):
    from vlmsel.tasks.pictures import CLOSE, _thumbnail

    picture, data = noise(seed, (240, 320)), BytesIO()
    picture.save(data, "JPEG", quality=quality)
    copy = Image.open(data).convert("RGB")
    assert np.abs(_thumbnail(picture) - _thumbnail(copy)).max() <= CLOSE

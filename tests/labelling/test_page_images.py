"""Pictures for the page: encoded anew, within limits, and kept."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vlmsel.errors import ImageError
from vlmsel.labelling.page_images import LONGEST_SIDE, ImageCache, encode_image
from vlmsel.tasks.index import index_task
from vlmsel.tasks.task_catalog import folder_task


def refs_of(folder):
    return {ref.image_id: ref for ref in index_task(folder_task(folder), strict=False).images}


def test_small_pictures_stay_exact_and_large_ones_shrink(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "large.jpg", exif=exif)
    refs = refs_of(tmp_path)
    small = encode_image(refs["small.png"], "t")
    assert (small.media_type, small.width, small.height) == ("image/png", 30, 20)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(small.data))), pixels)
    large = encode_image(refs["large.jpg"], "t")
    assert large.media_type == "image/jpeg"
    assert max(Image.open(BytesIO(large.data)).size) == LONGEST_SIDE
    assert b"where I live" not in large.data


def test_what_is_no_picture_is_one_line(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"<svg onload=alert(1)>")
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    refs = refs_of(tmp_path)
    with pytest.raises(ImageError, match="not an image of a known format"):
        encode_image(refs["bad.png"], "t")
    (tmp_path / "good.png").unlink()
    with pytest.raises(ImageError):
        encode_image(refs["good.png"], "t")


def test_the_cache_keeps_the_last_used(tmp_path):
    for name in "abc":
        Image.new("RGB", (50, 50), (name == "a" and "red") or "blue").save(tmp_path / f"{name}.png")
    refs = refs_of(tmp_path)
    size = len(encode_image(refs["a.png"], "t").data)
    cache = ImageCache("t", max_bytes=2 * size + 10)
    first = cache.find(refs["a.png"])
    assert cache.find(refs["a.png"]) is first
    cache.find(refs["b.png"])
    cache.find(refs["c.png"])
    assert cache.find(refs["a.png"]) is not first

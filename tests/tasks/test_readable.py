from pathlib import Path

import pytest
from PIL import Image

from vlmsel.errors import TaskError
from vlmsel.tasks.catalog import folder_task
from vlmsel.tasks.index import index_task
from vlmsel.tasks.readable import require_readable
from vlmsel.tasks.shards import Shard, plan_shards


def shards(folder: Path) -> tuple[Shard, ...]:
    index = index_task(folder_task(folder), cache=folder.parent / "cache")
    return plan_shards(index, n_images=None, shard_images=2)


def test_one_readable_image_is_enough_and_none_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abcde":
        (folder / f"{name}.png").write_bytes(f"broken {name}".encode())
    with pytest.raises(TaskError) as caught:
        require_readable(shards(folder))
    assert str(caught.value) == (
        "none of 5 image(s) could be measured; the first, a.png: not an image of a known format"
    )
    Image.new("RGB", (4, 4)).save(folder / "f.png")
    require_readable(shards(folder))


def test_images_that_went_since_they_were_listed_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    listed = shards(folder)
    (folder / "a.png").unlink()
    with pytest.raises(TaskError, match=r"the first, a\.png: .*No such file"):
        require_readable(listed)


def test_nothing_to_read_is_no_error() -> None:
    require_readable(())

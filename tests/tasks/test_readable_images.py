from pathlib import Path

import pytest
from PIL import Image

from vlmsel.tasks import readable_images
from vlmsel.tasks.index import index_task
from vlmsel.tasks.readable_images import with_readable_first
from vlmsel.tasks.shards import image_rank, plan_shards
from vlmsel.tasks.task_catalog import folder_task


def pictures(folder: Path, n_images: int, broken: set[int]) -> list[str]:
    """A folder of images, some broken, named by their places in the order of drawing."""
    folder.mkdir()
    names = sorted((f"{number}.png" for number in range(n_images)), key=image_rank)
    for place, name in enumerate(names):
        if place in broken:
            (folder / name).write_bytes(f"broken {place}".encode())
        else:
            Image.new("RGB", (4, 4), (place, 0, 0)).save(folder / name)
    return names


def drawn(folder: Path, n_images: int) -> list[str]:
    index = index_task(folder_task(folder), cache=folder.parent / "cache")
    index = with_readable_first(index, cache=folder.parent / "cache")
    return [ref.image_id for shard in plan_shards(index, n_images=n_images) for ref in shard.images]


@pytest.mark.parametrize("broken", [{0}, {24}, {3, 4, 25}, {26}])
def test_the_next_image_takes_the_place_of_a_broken_one(tmp_path: Path, broken: set[int]) -> None:
    names = pictures(tmp_path / "images", 29, broken)
    sound = [name for place, name in enumerate(names) if place not in broken]
    assert sorted(drawn(tmp_path / "images", 25)) == sorted(sound[:25])
    # Whoever asks for all is told of each.
    assert sorted(drawn(tmp_path / "images", 29)) == sorted(names)


def test_an_image_without_a_successor_stays_and_will_be_reported(tmp_path: Path) -> None:
    names = pictures(tmp_path / "images", 26, {1, 5})
    assert set(drawn(tmp_path / "images", 25)) > set(names) - {names[1], names[5]}
    few = pictures(tmp_path / "few", 6, {2})
    assert sorted(drawn(tmp_path / "few", 25)) == sorted(few)


def test_images_are_decoded_once_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "images", 30, {0, 2})
    first = drawn(tmp_path / "images", 25)
    decoded: list[bytes] = []
    monkeypatch.setattr(readable_images, "decode_image", decoded.append)
    assert drawn(tmp_path / "images", 25) == first
    assert decoded == []


def test_a_folder_of_broken_images_is_given_up(tmp_path: Path) -> None:
    names = pictures(tmp_path / "images", 200, set(range(200)))
    assert sorted(drawn(tmp_path / "images", 200)) == sorted(names)
    assert len(drawn(tmp_path / "images", 25)) == 25


def test_it_is_said_which_image_lost_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = pictures(tmp_path / "images", 30, {4})
    index = index_task(folder_task(tmp_path / "images"), cache=tmp_path / "cache")
    found = with_readable_first(index, cache=tmp_path / "cache")
    message = f"1 image(s) that cannot be decoded; the first, {names[4]}: not an image"
    assert found.passed_over[0].startswith(message)
    assert message in caplog.text
    assert found.unreadable == {names[4]}

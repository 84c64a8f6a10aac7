"""Content-named files: which one counts, and what is passed over."""

from pathlib import Path

import pytest

from vlmsel.errors import StoreError
from vlmsel.store.files import (
    FOLDERS_LISTED_ALONE,
    files_of_stem,
    is_corrupt,
    list_folders,
    quarantine_corrupt,
    read_checked,
    read_sound,
)
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import file_name


def test_the_first_name_of_a_stem_counts() -> None:
    first, second = f"t@k.{'1' * 16}.parquet", f"t@k.{'2' * 16}.parquet"
    others = ["settings.json", f"t@k2.{'1' * 16}.parquet", "t@k.json", "t@k.half.parquet"]
    assert files_of_stem([second, *others, first], "t@k") == [first, second]


def test_any_change_is_corruption() -> None:
    name = file_name("t@k", b"data")
    assert not is_corrupt(f"x/{name}", b"data")
    assert is_corrupt(f"x/{name}", b"datb")
    assert is_corrupt(f"x/{name}", b"")


@pytest.mark.parametrize("n_folders", [1, FOLDERS_LISTED_ALONE, FOLDERS_LISTED_ALONE + 1])
def test_few_and_many_folders_list_the_same(store_uri: str, n_folders: int) -> None:
    folder = open_folder(store_uri)
    for number in range(3):
        folder.write_atomic(f"p/m{number}/a", b"")
    wanted = {f"p/m{number}" for number in range(1, n_folders + 1)}
    listed = {path: names for path, names in list_folders(folder, "p", wanted).items() if names}
    assert listed == {path: ["a"] for path in wanted & {"p/m1", "p/m2"}}


def test_a_file_that_another_driver_set_aside_is_no_fault(tmp_path: Path) -> None:
    folder, reported = open_folder(tmp_path), []
    quarantine_corrupt(folder, [f"x/{file_name('t@k', b'')}"], reported.append)
    assert reported == []


def test_sound_files_come_in_order_and_the_corrupt_ones_are_named(store_uri: str) -> None:
    folder = open_folder(store_uri)
    paths = [f"x/{file_name(f't@{number}', str(number).encode())}" for number in range(40)]
    for number, path in enumerate(paths):
        folder.write_atomic(path, b"spoilt" if number % 10 == 3 else str(number).encode())
    files = [(path, number) for number, path in enumerate(paths)]
    sound, corrupt = read_sound(folder, files, lambda _: None)
    assert sound == [str(number).encode() for number in range(40) if number % 10 != 3]
    assert corrupt == [3, 13, 23, 33]
    assert sorted(folder.files("x")) == sorted(paths), "they are left where they are"
    with pytest.raises(StoreError, match="is corrupt"):
        read_checked(folder, paths[3])


def test_a_file_that_was_replaced_is_looked_for_again(store_uri: str) -> None:
    folder = open_folder(store_uri)
    old, new = f"x/{file_name('t@k', b'old')}", f"x/{file_name('t@k', b'new')}"
    folder.write_atomic(new, b"new")
    assert read_sound(folder, [(old, "k")], {"k": new}.get) == ([b"new"], [])
    folder.write_atomic(new, b"spoilt")
    assert read_sound(folder, [(old, "k")], {"k": new}.get) == ([], ["k"])
    # Set aside by a run that verifies, since it was listed.
    assert read_sound(folder, [(old, "k")], lambda _: None) == ([], ["k"])

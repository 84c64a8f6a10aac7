"""Names go to paths and back, and keys follow their inputs."""

import hypothesis.strategies as st
from hypothesis import given, settings

from vlmsel.store.keys import (
    cell_key,
    content_digest,
    decode_model_folder,
    decode_stem,
    file_name,
    images_digest,
    model_folder,
    parse_file_name,
    stem,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(deadline=None, max_examples=50)
@given(NAMES, NAMES)
def test_model_folder_round_trip_is_one_safe_path_part(model: str, pretrained: str) -> None:
    folder = model_folder(model, pretrained)
    assert decode_model_folder(folder) == (model, pretrained)
    assert "/" not in folder
    assert not folder.startswith(".")


@settings(deadline=None, max_examples=50)
@given(NAMES, st.binary(max_size=50))
def test_file_name_round_trip(task: str, data: bytes) -> None:
    name = file_name(stem(task, "0" * 32), data)
    parsed = parse_file_name(name)
    assert parsed is not None
    assert decode_stem(parsed[0]) == (task, "0" * 32)
    assert parsed[1] == content_digest(data)
    assert "/" not in name
    assert not name.startswith(".")


def test_other_files_are_not_ours() -> None:
    assert parse_file_name("settings.json") is None
    assert parse_file_name("x@y.0123.parquet") is None
    assert decode_model_folder("notes") is None
    assert decode_stem("notes") is None


def test_cell_key_depends_on_every_input() -> None:
    keys = {
        cell_key("i", "s", "x"),
        cell_key("j", "s", "x"),
        cell_key("i", "t", "x"),
        cell_key("i", "s", "y"),
        cell_key("is", "", "x"),
    }
    assert len(keys) == 5
    assert all(len(key) == 32 for key in keys)


def test_the_digest_of_images_depends_on_ids_contents_and_order() -> None:
    digests = {
        images_digest(images)
        for images in (
            [("a", "1"), ("b", "2")],
            [("b", "2"), ("a", "1")],
            [("a", "1")],
            [("c", "1"), ("b", "2")],
            [("a", "3"), ("b", "2")],
            [("a", "2"), ("b", "1")],
            [],
        )
    }
    assert len(digests) == 7
    assert all(len(digest) == 64 for digest in digests)


def test_a_file_name_that_is_no_text_has_a_digest() -> None:
    assert images_digest([("\udce9.png", "1")]) != images_digest([("\udcea.png", "1")])

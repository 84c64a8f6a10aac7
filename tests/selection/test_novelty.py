import polars as pl
import pytest

from vlmsel.selection.novelty import novelty


def profiles(**tasks):
    rows = [
        {"model": "m", "pretrained": "x", "task": task, "image_id": "i", "block": block,
         "block_name": f"b{block}", "conductance": value}
        for task, values in tasks.items()
        for block, value in enumerate(values)
    ]  # fmt: skip
    return pl.DataFrame(rows)


SOURCES = {"a": [1.0, 1.0], "b": [1.1, 1.0], "c": [1.0, 1.2]}


def test_a_target_among_the_sources_is_no_news():
    found = novelty(profiles(**SOURCES, new=[1.02, 1.0]), "new")
    assert found is not None
    assert (found.nearest, found.notice) == ("a", None)


def test_a_target_far_from_all_is_named_as_such():
    found = novelty(profiles(**SOURCES, new=[0.1, 9.0]), "new")
    assert found is not None
    assert found.dcd > found.usual
    assert "unlike every source: the nearest, " in (found.notice or "")


def test_hand_value_of_what_is_usual():
    # DCD to a target t with both blocks equal weighs them equally: mean |t - s| / |t|.
    found = novelty(profiles(a=[1.0, 1.0], b=[2.0, 2.0], new=[4.0, 4.0]), "new")
    assert found is not None
    assert found.dcd == pytest.approx(0.5)
    assert found.usual == pytest.approx(1.0)  # b to a: |1 - 2| / 1


def test_one_source_alone_tells_nothing():
    assert novelty(profiles(a=[1.0, 1.0], new=[1.0, 2.0]), "new") is None

"""One measurement under two names is found; likeness is not."""

import polars as pl
import pytest

from vlmsel.published.twin_profiles import duplicate_groups


def profiles(curves: dict[tuple[str, str], list[float]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"model": model, "pretrained": "p", "task": task, "block": block, "conductance": value}
            for (model, task), curve in curves.items()
            for block, value in enumerate(curve)
        ]
    )


def test_equal_profiles_are_one_group() -> None:
    frame = profiles(
        {
            ("a", "x"): [1.0, 2.0],
            ("b", "x"): [1.0, 2.0],
            ("c", "x"): [1.0, 2.0],
            ("d", "x"): [2.0, 1.0],
        }
    )
    assert duplicate_groups(frame) == [(("a", "p"), ("b", "p"), ("c", "p"))]
    assert duplicate_groups(frame.sample(fraction=1, shuffle=True, seed=1)) == duplicate_groups(
        frame
    )


@pytest.mark.parametrize("other", [[1.0, 2.0000001], [1.0], [1.0, 2.0, 0.0]])
def test_nearly_equal_is_another_model(other: list[float]) -> None:
    assert duplicate_groups(profiles({("a", "x"): [1.0, 2.0], ("b", "x"): other})) == []


def test_one_differing_task_tells_models_apart() -> None:
    curves = {("a", "x"): [1.0], ("b", "x"): [1.0], ("a", "y"): [2.0], ("b", "y"): [3.0]}
    assert duplicate_groups(profiles(curves)) == []


def test_only_shared_tasks_count() -> None:
    curves = {("a", "x"): [1.0], ("b", "x"): [1.0], ("a", "y"): [2.0], ("b", "z"): [3.0]}
    assert duplicate_groups(profiles(curves)) == [(("a", "p"), ("b", "p"))]


def test_images_are_compared_one_by_one() -> None:
    frame = profiles({("a", "x"): [1.0], ("b", "x"): [1.0]})
    frame = frame.with_columns(image_id=pl.Series(["i", "j"]))
    assert duplicate_groups(frame) == []


def test_empty() -> None:
    assert duplicate_groups(profiles({("a", "x"): [1.0]})) == []

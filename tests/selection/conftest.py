"""Small tables to select with, and the published ones where they are at hand."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest

from tests.shared_data import DATA
from vlmsel.selection.block_matches import BlockMatches
from vlmsel.selection.problem import Problem
from vlmsel.selection.texts.text_evidence import GRAPH_COLUMNS, TextEvidence
from vlmsel.selection.texts.text_view import TextView, unit
from vlmsel.selection.zoo_answers import ZooAnswers

PUBLISHED = DATA / "published_profiles.csv"


def _long_profiles(
    values: np.ndarray, model: str = "m", tasks: list[str] | None = None
) -> pl.DataFrame:
    """Long rows of one model from an array (tasks, blocks) or (tasks, images, blocks)."""
    values = values[:, None, :] if values.ndim == 2 else values
    names = tasks or [f"t{i}" for i in range(len(values))]
    rows = [
        (model, "p", names[i], f"image-{j}", block, f"block.{block}", float(values[i, j, block]))
        for i, j, block in np.ndindex(values.shape)
    ]
    columns = ["model", "pretrained", "task", "image_id", "block", "block_name", "conductance"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _make_problem(
    accuracy: np.ndarray, profiles: np.ndarray | None = None, **others: pl.DataFrame
) -> Problem:
    """A problem whose task 0 is the target; models a, b, ..; accuracy (models, tasks), NaN unknown.

    Profiles have the shape (models, tasks, blocks); NaN stands for a profile that is not there.
    """
    models = [chr(ord("a") + i) for i in range(len(accuracy))]
    tasks = [f"t{i}" for i in range(accuracy.shape[1])]
    cells = pl.DataFrame(
        list(product(models, ["p"], tasks)), schema=["model", "pretrained", "task"], orient="row"
    )
    table = cells.with_columns(acc1=pl.Series(accuracy.ravel()))
    if profiles is not None:
        shaped = cells.with_columns(
            profile=pl.Series(profiles.reshape(-1, profiles.shape[-1]).tolist())
        )
        others["profiles"] = shaped.filter(pl.col("profile").list.first().is_not_nan())
    truth = table.filter(pl.col("task") == "t0").select("model", "pretrained", accuracy="acc1")
    known = table.filter(pl.col("task") != "t0", pl.col("acc1").is_not_nan())
    return Problem(
        target="t0", sources=tuple(tasks[1:]), accuracies=known, **{"truth": truth, **others}
    )


@pytest.fixture(scope="session")
def long_profiles() -> Callable[..., pl.DataFrame]:
    return _long_profiles


@pytest.fixture(scope="session")
def make_problem() -> Callable[..., Problem]:
    return _make_problem


@pytest.fixture(scope="session")
def published() -> pl.DataFrame:
    if not PUBLISHED.exists():
        pytest.skip("the published profiles are not at hand")
    return pl.read_csv(PUBLISHED)


@pytest.fixture
def problem() -> Problem:
    """Six models, five sources, profiles of four blocks, vectors, matches, answers on 30 images."""
    rng = np.random.default_rng(3)
    made = _make_problem(rng.random((6, 6)), rng.lognormal(size=(6, 6, 4)))
    p = np.sort(rng.dirichlet(np.ones(4), (6, 30)), axis=2)
    answers = ZooAnswers(
        models=tuple((name, "p") for name in "abcdef"),
        images=tuple(f"image-{i}" for i in range(30)),
        classes=rng.integers(0, 4, (6, 30)),
        n_classes=4,
        confidence=p[..., -1],
        margin=p[..., -1] - p[..., -2],
        entropy=(p * np.log(p)).sum(axis=2),
    )
    cells = [
        (name, "p", f"t{i}", rng.normal(size=5).tolist()) for name in "abcdef" for i in range(6)
    ]
    columns = ["model", "pretrained", "task", "vector"]
    vectors = pl.DataFrame(cells, schema=columns, orient="row")
    pairs = {((a, "p"), (b, "p")): rng.integers(0, 4, 4) for a in "abcdef" for b in "abcdef"}
    matches = BlockMatches(pairs)
    texts = _make_texts([(name, "p") for name in "abcdef"], [f"t{i}" for i in range(6)])
    return replace(
        made, answers=answers, vectors=vectors, matches=matches, texts=texts.hide_labels("t0")
    )


def _make_texts(models: list[tuple[str, str]], tasks: list[str]) -> TextEvidence:
    """Three alike classes a task, two captions each; every source has gaps and accuracies."""
    rng = np.random.default_rng(4)
    classes = np.repeat(np.arange(3), 2)
    views: dict[str, dict[tuple[str, str], TextView]] = {}
    for task, model in product(tasks, models):
        middle = unit(1.0 + 0.3 * rng.normal(size=(3, 8)))
        captions = unit(middle[classes] + 0.2 * rng.normal(size=(6, 8)))
        views.setdefault(task, {})[model] = TextView(
            names=("cat", "dog", "cow"),
            classes=middle,
            captions=captions,
            caption_classes=classes,
            synonyms=unit(middle + 0.1 * rng.normal(size=(3, 8))),
            synonym_classes=np.arange(3),
            gaps=0.2 * rng.normal(size=(3, 8)),
            accuracy=rng.random(3),
        )
    rows = [(*model, task, *rng.random(2)) for task, model in product(tasks, models)]
    return TextEvidence(views, graphs=pl.DataFrame(rows, schema=GRAPH_COLUMNS, orient="row"))


@pytest.fixture(scope="session")
def make_texts() -> Callable[..., TextEvidence]:
    return _make_texts

"""Bootstrap intervals of ranks against a plain loop over resampled problems."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.evaluation.conftest import make_tables
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.rank_intervals import Resampling, rank_intervals
from vlmsel.selection import make_selector
from vlmsel.selection.problem import Problem
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.registry import selector_names
from vlmsel.selection.selector import Scorer, Selector


def with_images(profiles: pl.DataFrame, n: int, noise: float) -> pl.DataFrame:
    rng = np.random.default_rng(9)
    return pl.concat(
        profiles.with_columns(
            image_id=pl.lit(f"i{i}"),
            conductance=pl.col("conductance")
            * pl.Series(np.exp(noise * rng.normal(size=len(profiles)))),
        )
        for i in range(n)
    )


@pytest.fixture
def problem() -> Problem:
    accuracies, profiles = make_tables(5)
    return hold_out(accuracies, profiles, targets=["alpha"]).tasks[0].problem


@pytest.fixture
def images() -> pl.DataFrame:
    return with_images(make_tables(5)[1], 6, 1.0)


def test_equal_images_leave_no_doubt(problem: Problem) -> None:
    images = with_images(make_tables(5)[1], 4, 0.0)
    table = rank_intervals(make_selector("dcd"), problem, images, top=3)
    assert table["rank_low"].to_list() == table["rank_high"].to_list() == table["rank"].to_list()
    assert table["p_top"].to_list() == [1.0] * 3 + [0.0] * 5


def test_against_a_plain_loop(problem: Problem, images: pl.DataFrame) -> None:
    selector = make_selector("dcd-pooled", gamma=5.0)
    table = rank_intervals(selector, problem, images, resampling=Resampling(n=400, seed=1))
    rng = np.random.default_rng(0)
    target, sources = images.filter(task="alpha"), images.filter(pl.col("task") != "alpha")
    places = []
    for _ in range(150):
        drawn = [f"i{i}" for i in rng.integers(0, 6, 6)]
        again = pl.concat(
            target.filter(image_id=name).with_columns(image_id=pl.lit(f"d{j}"))
            for j, name in enumerate(drawn)
        )
        profiles = task_profiles(pl.concat([again, sources]))
        ranking = selector.rank(
            Problem(problem.target, problem.sources, problem.accuracies, profiles)
        )
        places.append(ranking.table.sort("model")["rank"].to_numpy())
    loop = np.array(places)
    ordered = table.sort("model")
    # 150 and 400 draws of one distribution: shares agree to four standard errors (0.04 each).
    assert ordered["p_top"].to_numpy() == pytest.approx((loop <= 5).mean(0), abs=0.16)
    assert (ordered["rank_low"].to_numpy() <= np.quantile(loop, 0.2, axis=0)).all()
    assert (ordered["rank_high"].to_numpy() >= np.quantile(loop, 0.8, axis=0)).all()
    assert ordered["p_top"].sum() == pytest.approx(5.0)


class CopiedZoos:
    """A selector that can score other zoos only, not other profiles of the target."""

    def __init__(self, selector: Selector) -> None:
        self.selector = selector
        self.rank = selector.rank

    def prepare(self, problem: Problem) -> Scorer:
        return replace(self.selector.prepare(problem), score_drawn=None)


LISTENING = {"combined": {"shares": (1.0,), "gammas": (9.0,)}}
# The mean profile of a zoo moves too little for another order here.
STEADY = ("dcd-depth",)


# Matched blocks are of stored embeddings, which these tables have not.
OF_PROFILES = [
    name
    for name in selector_names()
    if make_selector(name).needs_profiles
    and "block-match" not in make_selector(name).needs.on_sources
]


@pytest.mark.parametrize("name", OF_PROFILES)
def test_one_expression_is_a_copy_of_the_zoo_per_draw(name: str) -> None:
    accuracies, profiles = make_tables(6, holes=0.15)
    images = with_images(profiles, 5, 0.7).sample(fraction=1, shuffle=True, seed=1)
    # One model has not measured every image.
    images = images.filter(~((pl.col("model") == "model1") & (pl.col("image_id") == "i3")))
    problem = hold_out(accuracies, profiles, targets=["beta"]).tasks[0].problem
    images = images.filter(pl.col("model").is_in(set(problem.accuracies["model"])))
    options = LISTENING.get(name, {"gamma": 9.0})
    selector, how = make_selector(name, **options), Resampling(n=60, seed=3)
    quick = rank_intervals(selector, problem, images, resampling=how)
    slow = rank_intervals(CopiedZoos(selector), problem, images, resampling=how)  # pyright: ignore
    assert quick.drop("score").equals(slow.drop("score"))
    assert name in STEADY or (quick["rank_low"] < quick["rank_high"]).any()


def test_more_drawn_is_less_sure(problem: Problem, images: pl.DataFrame) -> None:
    def width(**options: bool) -> float:
        how = Resampling(n=300, **options)
        table = rank_intervals(make_selector("dcd"), problem, images, resampling=how)
        return float((table["rank_high"] - table["rank_low"]).sum())

    assert width() < width(source_images=True, source_tasks=True)


def test_a_selector_without_images_varies_with_the_source_tasks_only(problem: Problem) -> None:
    selector = make_selector("average-rank")
    still = rank_intervals(selector, problem, None)
    assert still["rank_low"].to_list() == still["rank_high"].to_list()
    moved = rank_intervals(selector, problem, None, resampling=Resampling(source_tasks=True))
    assert (moved["rank_low"] <= moved["rank"]).all()
    assert (moved["rank_high"] - moved["rank_low"]).max() > 0


def test_seed(problem: Problem, images: pl.DataFrame) -> None:
    first, same, other = (
        rank_intervals(
            make_selector("dcd"), problem, images, resampling=Resampling(n=60, seed=seed)
        ).drop("score")  # a mean over images may differ in its last digit
        for seed in (1, 1, 2)
    )
    assert first.equals(same)
    assert not first.equals(other)


def test_one_image_gives_no_interval(problem: Problem) -> None:
    with pytest.raises(SelectionError, match="at least 2"):
        rank_intervals(make_selector("dcd"), problem, make_tables(5)[1])

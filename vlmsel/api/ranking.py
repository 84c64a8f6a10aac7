"""Rank a zoo for a target, with all that must be said beside the table."""

from dataclasses import replace

import polars as pl

from vlmsel.api.choice import Choice, choose_selector, source_tasks
from vlmsel.api.laboratory import Knowledge
from vlmsel.api.selection import PROMISES, Selection, TargetImages
from vlmsel.columns import MODEL
from vlmsel.evaluation.calibration import calibrated_ranks
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.metrics import TOP
from vlmsel.evaluation.rank_intervals import rank_intervals
from vlmsel.evaluation.trust import trust
from vlmsel.selection.dcd_table import task_profiles
from vlmsel.selection.novelty import Novelty, novelty
from vlmsel.selection.problem import Problem
from vlmsel.selection.ranking import Ranking, top_sources
from vlmsel.selection.registry import make_selector
from vlmsel.selection.selector import Selector

# Sources named beside a model, and the least weight worth naming.
NAMED_SOURCES, NAMED_WEIGHT = 3, 0.005


def rank_zoo(
    target: str, images: TargetImages, knowledge: Knowledge, *, choice: Choice | None = None
) -> Selection:
    """Rank the zoo for a target.

    Args:
        target: its name.
        images: what is known of the target; profiles where the selector asks for them.
        knowledge: accuracies and profiles of the sources; rows of the target are not used.
        choice: the selector; None chooses it here.

    Raises:
        SelectionError: too little is known of the sources or of the target.
    """
    not_target = pl.col("task") != target
    known = replace(
        knowledge,
        accuracies=knowledge.accuracies.filter(not_target),
        profiles=knowledge.profiles.filter(not_target),
    )
    choice = choice or choose_selector(known)
    selector = choice.selector
    sources = source_tasks(known, choice.needs)
    profiles = _join_profiles(known.profiles, images.profiles, sources)
    problem = Problem(target, sources, known.accuracies, task_profiles(profiles))
    ranking = selector.rank(problem)
    rival = _rival(ranking, selector, problem)
    judged = None if choice.loo is None else trust(choice.loo, selector.name)
    answer = Selection(
        target=target,
        selector=selector.name,
        why=choice.why,
        ranking=_table(ranking, rival, choice.loo, selector.name),
        details=ranking,
        rival=rival,
        trust=judged and replace(judged, n_ranked=ranking.table.height),
        images=images,
        novelty=_novelty(profiles, target) if images.n_images else None,
        profiles=profiles,
    )
    return _add_intervals(answer, selector, problem)


def _rival(ranking: Ranking, selector: Selector, problem: Problem) -> Ranking | None:
    """The ranking by average rank; None without sources."""
    if selector.name == BASELINE:
        return ranking
    return make_selector(BASELINE).rank(problem) if problem.sources else None


def _join_profiles(
    known: pl.DataFrame, of_target: pl.DataFrame, sources: tuple[str, ...]
) -> pl.DataFrame:
    """Profiles of the sources, and of the target below them."""
    of_sources = known.filter(pl.col("task").is_in(sources))
    if of_target.is_empty():
        return of_sources
    return (
        of_target if known.is_empty() else pl.concat([of_sources, of_target.select(known.columns)])
    )


def _novelty(profiles: pl.DataFrame, target: str) -> Novelty | None:
    return novelty(profiles, target) if profiles["task"].n_unique() > 1 else None


def _add_intervals(answer: Selection, selector: Selector, problem: Problem) -> Selection:
    """The answer with intervals by images, and without promises that do not hold."""
    table = answer.ranking
    if any(notice.voids_intervals for notice in answer.warnings):
        return replace(answer, ranking=_clear_columns(table, *PROMISES))
    if table.height <= TOP:
        table = _clear_columns(table, "top5")
    images = _image_intervals(selector, problem, answer.profiles)
    if images is not None:
        places = table.drop("image_low", "image_high")
        order = table.columns
        table = places.join(images, on=MODEL, how="left", maintain_order="left").select(order)
    return replace(answer, ranking=table)


def _image_intervals(
    selector: Selector, problem: Problem, profiles: pl.DataFrame
) -> pl.DataFrame | None:
    """Interval of every rank under resampling of the images; None where images decide nothing."""
    n_images = profiles.filter(task=problem.target)["image_id"].n_unique()
    if not selector.needs_profiles or n_images < 2:
        return None
    return rank_intervals(selector, problem, profiles).select(
        *MODEL, image_low="rank_low", image_high="rank_high"
    )


def _table(
    ranking: Ranking, rival: Ranking | None, loo: LeaveOneOut | None, selector: str
) -> pl.DataFrame:
    """One row per model, best first, with all that is known of its place."""
    table = ranking.table.drop("target").join(
        _expect_true_ranks(loo, ranking, selector), on="rank", how="left", maintain_order="left"
    )
    table = table.with_columns(image_low=None, image_high=None).cast(
        {"image_low": pl.Float64, "image_high": pl.Float64}
    )
    by_average = ranking.table.clear() if rival is None else rival.table
    places = by_average.select(*MODEL, average_rank="rank")
    for frame in (_describe_sources(ranking), places):
        table = table.join(frame, on=MODEL, how="left", maintain_order="left")
    return table


def _expect_true_ranks(loo: LeaveOneOut | None, ranking: Ranking, selector: str) -> pl.DataFrame:
    """Expect the true rank of each place, by the errors on the sources."""
    if loo is None:
        types = {"rank": pl.UInt32, "low": pl.Int64, "high": pl.Int64, "top5": pl.Float64}
        return pl.DataFrame(schema=types)
    places = calibrated_ranks(loo, selector, ranking.table.height)
    return places.select("rank", low="true_low", high="true_high", top5="p_top")


def _clear_columns(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The table with null in some columns."""
    return table.with_columns(
        pl.lit(None, dtype=table.schema[name]).alias(name) for name in columns
    )


def _describe_sources(ranking: Ranking) -> pl.DataFrame:
    """List the heaviest sources of each model, in words."""
    percent = (pl.col("weight") * 100).round(0).cast(pl.Int64)
    return (
        top_sources(ranking, NAMED_SOURCES)
        .filter((pl.col("weight") >= NAMED_WEIGHT) | pl.col("rank").is_first_distinct())
        .with_columns(words=pl.format("{} {}%", "source", percent))
        .group_by(MODEL, maintain_order=True)
        .agg(sources=pl.col("words").str.join(", "))
    )

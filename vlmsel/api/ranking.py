"""Rank a zoo for a target whose profiles are known, with all that must be said beside the table."""

from dataclasses import dataclass, replace

import polars as pl

from vlmsel.api.evaluating import Knowledge, evaluate
from vlmsel.evaluation.calibration import calibrated_ranks
from vlmsel.evaluation.held_out import IMAGENET_NAMES
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.rank_intervals import rank_intervals
from vlmsel.evaluation.trust import Trust, trust
from vlmsel.evaluation.verdict import judge_evidence
from vlmsel.selection.divergence import task_profiles
from vlmsel.selection.novelty import Novelty, novelty
from vlmsel.selection.problem import Problem
from vlmsel.selection.ranking import Ranking, top_sources
from vlmsel.selection.registry import make_selector
from vlmsel.selection.selector import Selector

MODEL = ["model", "pretrained"]
BASELINE = "average-rank"
# What may become the default: the method's own selectors; ablations and bounds may not.
CANDIDATES = ("dcd", "dcd-scaled", "dcd-pooled", "combined")
# Sources named beside a model, and the least weight worth naming.
NAMED_SOURCES, NAMED_WEIGHT = 3, 0.005


@dataclass(frozen=True)
class Selection:
    """A zoo ranked for one target, with what it rests on.

    Attributes:
        target: name of the target.
        selector: which selector ranked.
        why: why this selector, for people.
        table: rank, model, pretrained, score (lower is better); low, high (95 % interval of the
            true rank) and top5 (probability of being truly among the best five), both from the
            errors of leave-one-out, see `calibrated_ranks`; image_low, image_high (95 % interval of
            the rank under resampling of the target's images, only where images decide); sources
            (the tasks that spoke most; null where none did); average_rank (the place that the
            average rank over the sources gives it).
        ranking: of the selector, with all weights.
        rival: of average rank.
        trust: how the selector did in leave-one-out over the sources.
        profiles: of sources and target, long.
        failed_images: image_id and reason of the target's images that could not be scored by some
            model.
        n_images: images of the target that were scored.
        novelty: how far the nearest source is; None with fewer than two sources.
    """

    target: str
    selector: str
    why: str
    table: pl.DataFrame
    ranking: Ranking
    rival: Ranking
    trust: Trust
    profiles: pl.DataFrame
    failed_images: pl.DataFrame
    n_images: int
    novelty: Novelty | None


def rank_profiles(
    target: str,
    own: pl.DataFrame,
    knowledge: Knowledge,
    *,
    selector: str | None = None,
    failed_images: pl.DataFrame | None = None,
) -> Selection:
    """Rank the zoo for a target of which the profiles are known.

    Args:
        target: its name; no task of the knowledge.
        own: the target's profiles, long.
        knowledge: accuracies and profiles of the sources.
        selector: by name; None takes the one that leave-one-out over the sources supports.
        failed_images: what could not be scored.

    Raises:
        SelectionError: unknown selector, or too little is known of the sources.
    """
    accuracies = knowledge.accuracies.filter(pl.col("task") != target)
    known = knowledge.profiles.filter(pl.col("task") != target)
    sources = tuple(sorted(set(accuracies["task"]) & set(known["task"]) - set(IMAGENET_NAMES)))
    profiles = pl.concat([known.filter(pl.col("task").is_in(sources)), own.select(known.columns)])
    loo = evaluate(Knowledge(accuracies, known, knowledge.about), _judged(selector, accuracies))
    name, why = (selector, "chosen by you") if selector else _supported(loo)
    problem = Problem(target, sources, accuracies, task_profiles(profiles))
    made, baseline = make_selector(name), make_selector(BASELINE)
    ranking, rival = made.rank(problem), baseline.rank(problem)
    images = _image_intervals(made, problem, profiles)
    none = pl.DataFrame(schema={"image_id": pl.String, "reason": pl.String})
    return Selection(
        target=target,
        selector=name,
        why=why,
        table=_table(ranking, rival, _calibrated(loo, ranking, name), images),
        ranking=ranking,
        rival=rival,
        trust=replace(trust(loo, name), n_ranked=ranking.table.height),
        profiles=profiles,
        failed_images=none if failed_images is None else failed_images,
        n_images=own["image_id"].n_unique(),
        novelty=novelty(profiles, target),
    )


def _judged(selector: str | None, accuracies: pl.DataFrame) -> list[str]:
    """Which selectors to hold against each other on the sources."""
    if selector is not None:
        return list(dict.fromkeys([selector, BASELINE]))
    with_imagenet = accuracies["task"].is_in(list(IMAGENET_NAMES)).any()
    return [BASELINE, *(["imagenet"] if with_imagenet else []), *CANDIDATES]


def _supported(loo: LeaveOneOut) -> tuple[str, str]:
    """The selector that leave-one-out over the sources supports, and the evidence in words."""
    verdict = judge_evidence({"the sources": loo})
    for n_tasks in (verdict.too_few or {}).values():
        return BASELINE, f"{n_tasks} sources are too few to choose a selector on"
    if verdict.selector == BASELINE:
        return BASELINE, "on the sources, no selector that looks at images clearly beats it"
    row = verdict.comparisons.filter(selector=verdict.selector, rival=BASELINE, metric="ndcg5").row(
        0, named=True
    )
    return verdict.selector, (
        f"in leave-one-out over {row['n_targets']} sources it beats average rank in NDCG@5 by "
        f"{row['delta']:.3f} (95 % interval {row['delta_low']:.3f} to {row['delta_high']:.3f})"
    )


def _calibrated(loo: LeaveOneOut, ranking: Ranking, selector: str) -> pl.DataFrame:
    """Where the true rank of each model is to be expected, from the errors on the sources."""
    places = calibrated_ranks(loo, selector, ranking.table.height)
    return ranking.table.join(places, on="rank").select(
        *MODEL, low="true_low", high="true_high", top5="p_top"
    )


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
    ranking: Ranking, rival: Ranking, calibrated: pl.DataFrame, images: pl.DataFrame | None
) -> pl.DataFrame:
    """One row a model, best first, with all that is known of its place."""
    places = rival.table.select(*MODEL, average_rank="rank")
    table = ranking.table.drop("target")
    for frame in (calibrated, images, _spoken(ranking), places):
        if frame is not None:
            table = table.join(frame, on=MODEL, how="left", maintain_order="left")
    return table


def _spoken(ranking: Ranking) -> pl.DataFrame:
    """The sources that spoke most for each model, in words."""
    percent = (pl.col("weight") * 100).round(0).cast(pl.Int64)
    return (
        top_sources(ranking, NAMED_SOURCES)
        .filter((pl.col("weight") >= NAMED_WEIGHT) | pl.col("rank").is_first_distinct())
        .with_columns(said=pl.format("{} {}%", "source", percent))
        .group_by(MODEL, maintain_order=True)
        .agg(sources=pl.col("said").str.join(", "))
    )

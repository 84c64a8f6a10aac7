"""From results to the report's inputs: what people look at."""

import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import polars as pl

from vlmsel.api.choice import choose_selector
from vlmsel.api.laboratory import Knowledge, evaluate, mean_dcd, sweep_dcd
from vlmsel.api.ranking import rank_zoo
from vlmsel.api.selection import Selection, TargetImages
from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.verdict import judge_evidence
from vlmsel.report.html import write_report
from vlmsel.report.inputs import ReportInputs, ReportStudy
from vlmsel.settings import AttributionSettings
from vlmsel.suggest import nearest

PACKAGES = ("vlmsel", "torch", "open_clip_torch", "timm", "polars", "ray", "mlflow")
ETAS, GAMMAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0), (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Laboratory:
    """Everything that is computed from one body of knowledge.

    Attributes:
        loo: leave-one-out of all selectors.
        sweep: eta, gamma, target, metric, value; None without profiles.
        dcd: model, pretrained, source, target, dcd; None without profiles.
    """

    knowledge: Knowledge
    loo: LeaveOneOut
    sweep: pl.DataFrame | None
    dcd: pl.DataFrame | None


def run_laboratory(knowledge: Knowledge) -> Laboratory:
    """Leave-one-out of every selector, a sweep of eta and gamma, and the DCD matrices."""
    sweep = sweep_dcd(knowledge, etas=ETAS, gammas=GAMMAS) if knowledge.has_profiles else None
    return Laboratory(knowledge, evaluate(knowledge), sweep, mean_dcd(knowledge))


def held_out_selection(
    knowledge: Knowledge, target: str, *, selector: str | None = None
) -> Selection:
    """Rank for a known task as if its accuracies were not known; `add_truth` adds them.

    Raises:
        SelectionError: the task has no profiles or no accuracies.
    """
    known = sorted(set(knowledge.profiles["task"]) & set(knowledge.accuracies["task"]))
    if target not in known:
        raise SelectionError(
            f"task {target!r} has no profiles and accuracies in {knowledge.about}"
            + (nearest(target, known) or f"; there are: {', '.join(known)}")
        )
    profiles = knowledge.profiles.filter(pl.col("task") == target)
    others = Knowledge(
        knowledge.accuracies.filter(pl.col("task") != target),
        knowledge.profiles.filter(pl.col("task") != target),
        knowledge.about,
    )
    choice = choose_selector(others, selector)
    return rank_zoo(target, TargetImages(profiles), others, choice=choice)


def add_truth(selection: Selection, knowledge: Knowledge) -> pl.DataFrame:
    """The ranking's table with true accuracy and true_rank (1 = best; ties share the better)."""
    truth = knowledge.accuracies.filter(pl.col("task") == selection.target).select(
        *MODEL, accuracy="acc1", true_rank=pl.col("acc1").rank("min", descending=True)
    )
    return selection.ranking.join(truth, on=MODEL, how="left", maintain_order="left")


def write_laboratory_report(
    path: str | Path,
    laboratory: Laboratory,
    selection: Selection | None,
    *,
    settings: AttributionSettings | None,
    title: str,
    failures: pl.DataFrame | None = None,
    studies: tuple[ReportStudy, ...] = (),
) -> Path:
    """One HTML file with ranking, curves, DCD matrix, leave-one-out table, sweep and studies.

    Raises:
        StoreError: the file cannot be written.
    """
    summary = laboratory.loo.summary()
    ranking = None if selection is None else add_truth(selection, laboratory.knowledge)
    inputs = ReportInputs(
        title=title,
        verdict=judge_evidence({laboratory.knowledge.about: laboratory.loo}).paragraph,
        dcd=laboratory.dcd,
        leave_one_out={laboratory.knowledge.about: summary},
        sweep=laboratory.sweep,
        left_out=laboratory.loo.left_out,
        failures=failures,
        studies=studies,
        profiles=laboratory.knowledge.profiles if laboratory.knowledge.has_profiles else None,
        **_common_fields(settings),
        **_ranking_fields(selection, ranking),
    )
    return write_report(path, inputs)


def selection_report(path: str | Path, selection: Selection) -> Path:
    """One HTML file about one ranking.

    Raises:
        StoreError: the file cannot be written.
    """
    inputs = ReportInputs(
        title=f"Which model for {selection.target}?",
        profiles=None if selection.profiles.is_empty() else selection.profiles,
        failures=None if selection.failed_images.is_empty() else selection.failed_images,
        left_out=_left_out(selection),
        **_common_fields(selection.settings),
        **_ranking_fields(selection, selection.ranking),
    )
    return write_report(path, inputs)


def _ranking_fields(selection: Selection | None, ranking: pl.DataFrame | None) -> dict:
    if selection is None or ranking is None:
        return {}
    # What is known of no model is no column of the page.
    known = [name for name in ranking.columns if ranking[name].null_count() < ranking.height]
    return {
        "target": selection.target,
        "selector": selection.selector,
        "headline": selection.headline,
        "is_trustworthy": selection.is_trustworthy,
        "ranking": ranking.select(known),
        "rival": None if selection.rival is None else selection.rival.table,
        "weights": selection.details.weights,
        "effective_sources": selection.details.effective_sources,
        "near_uniform": selection.details.near_uniform,
        "notes": _notes(selection),
    }


def _left_out(selection: Selection) -> pl.DataFrame | None:
    """Models without a place, as the report lists what was left out."""
    left_out = selection.details.left_out
    if left_out.is_empty():
        return None
    name = pl.concat_str("model", "pretrained", separator="/")
    return left_out.select(kind=pl.lit("model"), name=name, reason=pl.col("reason"))


def _notes(selection: Selection) -> tuple[str, ...]:
    """List the sentences beside a ranking; serious warnings are in its headline."""
    why = f"Selector {selection.selector}: {selection.why}."
    texts = [why, *(notice.text for notice in selection.warnings if not notice.is_serious)]
    if selection.trust is not None and selection.is_trustworthy:
        worth = selection.trust.sentence
        texts.append(f"For {selection.target}, by what the other tasks tell: {worth}")
    return tuple(texts)


def _common_fields(settings: AttributionSettings | None) -> dict:
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "settings": settings.model_dump() | {"digest": settings.digest} if settings else {},
        "command": " ".join(["vlmsel", *sys.argv[1:]]),
    }

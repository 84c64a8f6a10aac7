"""Everything a report can show; whatever is None is left out, with a word why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from matplotlib.figure import Figure


@dataclass(frozen=True)
class ReportStudy:
    """One experiment: what was asked, what came out.

    Attributes:
        title: heading.
        text: a paragraph in plain words.
        figure: from `vlmsel.report.figures`.
        alt: the figure in words.
        table: shown as it is, at most 200 rows.
        command: the line that repeats it.
    """

    title: str
    text: str = ""
    figure: Figure | None = None
    alt: str = ""
    table: pl.DataFrame | None = None
    command: str | None = None


@dataclass(frozen=True)
class ReportInputs:
    """The contents of one report; every field is optional.

    Attributes:
        title: heading of the page.
        created: when, ISO 8601; the time of writing when empty.
        command: command line that made the report; credentials in URIs are blotted out.
        target: name of the task that was ranked for; its curves are drawn first.
        selector: name of the selector behind `ranking`.
        headline: first line of the page below its title; of the ranking, or that none can be
            trusted.
        is_trustworthy: False where `headline` warns of the ranking.
        verdict: one paragraph: what to use, and what can be trusted.
        notes: short remarks, one line each.
        versions: package to version.
        settings: name to value: attribution settings, eta, gamma, eps, ...
        ranking: rank, model, pretrained, score; where known target, low, high (interval of the
            true rank), top5 (probability of being among the best five), accuracy (the truth).
        rival: rank, model, pretrained as average rank over the sources would have it.
        weights: model, pretrained, source, weight: how much each source counts for each model.
        effective_sources: exp of the entropy of the weights, 1 .. number of sources.
        near_uniform: the similarity hardly told the sources apart.
        profiles: long, one row per image and block, as the store gives them.
        dcd: model, pretrained, source, target, dcd.
        leave_one_out: zoo's title to summary: selector, metric, mean, low, high, delta, delta_low,
            delta_high (delta against average-rank).
        left_out: what leave-one-out could not use: kind, name, reason.
        sweep: eta, gamma, metric, value, and target where not averaged.
        failures: what could not be measured: model, pretrained, task, image_id or key, reason.
        studies: experiments to append.
        metric: the metric that the figures show.
    """

    title: str = "Model selection report"
    created: str = ""
    command: str | None = None
    target: str | None = None
    selector: str | None = None
    headline: str | None = None
    is_trustworthy: bool = True
    verdict: str | None = None
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    ranking: pl.DataFrame | None = None
    rival: pl.DataFrame | None = None
    weights: pl.DataFrame | None = None
    effective_sources: float | None = None
    near_uniform: bool = False
    profiles: pl.DataFrame | None = None
    dcd: pl.DataFrame | None = None
    leave_one_out: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    left_out: pl.DataFrame | None = None
    sweep: pl.DataFrame | None = None
    failures: pl.DataFrame | None = None
    studies: tuple[ReportStudy, ...] = ()
    metric: str = "ndcg5"

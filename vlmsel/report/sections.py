"""From frames to the parts of the page: which sections there are, and why others are not."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from vlmsel.columns import MODEL
from vlmsel.evaluation.metrics import METRICS
from vlmsel.plurals import number_of
from vlmsel.report.curves import profile_curves
from vlmsel.report.figure_style import to_svg
from vlmsel.report.heatmaps import dcd_heatmap, sweep_heatmap
from vlmsel.report.inputs import ReportInputs, ReportStudy
from vlmsel.report.intervals import ranking_dots, selector_comparison
from vlmsel.report.tables import (
    Table,
    leave_one_out_table,
    plain_table,
    ranking_table,
    sources_by_model,
)

_PROFILED_MODELS = 3
_HIGHLIGHTED = 5


@dataclass(frozen=True)
class Picture:
    """An inline SVG, safe to print, and the sentence under it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        anchor: id in the page.
        title: heading.
        intro: a paragraph that says how to read what follows.
        warning: something to take to heart, set apart.
        pictures: figures.
        more: figures behind a fold.
        more_title: what the fold says.
        tables: tables.
        command: the line that repeats it.
    """

    anchor: str
    title: str
    intro: str = ""
    warning: str = ""
    pictures: tuple[Picture, ...] = ()
    more: tuple[Picture, ...] = ()
    more_title: str = ""
    tables: tuple[Table, ...] = ()
    command: str | None = None


def build_sections(inputs: ReportInputs) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """The sections that there is data for, and one sentence for each of the others."""
    present: list[Section] = []
    absent: list[str] = []
    for build in _BUILDERS:
        section = build(inputs)
        if isinstance(section, str):
            absent.append(section)
        else:
            present.append(section)
    present += [_study(study, number) for number, study in enumerate(inputs.studies)]
    return tuple(present), tuple(absent)


def full_ranking(inputs: ReportInputs) -> pl.DataFrame | None:
    """The target's ranking with average_rank and true_rank joined, or None without one."""
    ranking = inputs.ranking
    if ranking is None or ranking.is_empty():
        return None
    if "target" in ranking.columns and inputs.target is not None:
        ranking = ranking.filter(pl.col("target") == inputs.target)
    if inputs.rival is not None:
        rival = inputs.rival.select(*MODEL, pl.col("rank").alias("average_rank"))
        ranking = ranking.join(rival, on=MODEL, how="left")
    if "accuracy" in ranking.columns:
        true = pl.col("accuracy").rank("min", descending=True)
        ranking = ranking.with_columns(true.alias("true_rank"))
    return None if ranking.is_empty() else ranking.sort("rank")


def _ranking(inputs: ReportInputs) -> Section | str:
    ranking = full_ranking(inputs)
    if ranking is None:
        return (
            "Ranking: no target was ranked; `vlmsel select FOLDER` ranks the zoo for your images."
        )
    sources = {} if inputs.weights is None else sources_by_model(inputs.weights)
    best = ranking.row(0, named=True)
    alt = f"Ranks of {ranking.height} models; first is {best['model']} {best['pretrained']}."
    caption = _ranks_caption(ranking)
    return Section(
        "ranking",
        "Ranking" if inputs.target is None else f"Ranking for {inputs.target}",
        intro=_sources_sentence(inputs),
        warning=_uniform_warning(inputs),
        pictures=(_picture(ranking_dots(ranking), alt, caption, "ranking"),),
        tables=(ranking_table(ranking, sources),),
    )


def _ranks_caption(ranking: pl.DataFrame) -> str:
    if {"low", "high"} <= set(ranking.columns):
        return "Bars: where true ranks lay in leave-one-out, 95 %; overlap means uncertain order."
    return "Predicted rank of each model; how certain the order is was not computed."


def _sources_sentence(inputs: ReportInputs) -> str:
    if inputs.effective_sources is None:
        return ""
    among = ""
    if inputs.weights is not None:
        among = f" of {inputs.weights['source'].n_unique()}"
    return (
        f"Effective number of sources: {inputs.effective_sources:.1f}{among}. "
        "At one, a single source task decided; at all of them, every source spoke alike."
    )


def _uniform_warning(inputs: ReportInputs) -> str:
    if not inputs.near_uniform:
        return ""
    return (
        "The similarity is near uniform: the target's images hardly told the sources apart, so "
        "this ranking is close to plain average rank. Trust it no more than that."
    )


def _profiles(inputs: ReportInputs) -> Section | str:
    if inputs.profiles is None or inputs.profiles.is_empty():
        return "Conductance by block: there are no profiles; `vlmsel profile` measures them."
    ranking = full_ranking(inputs)
    known = inputs.profiles.select(MODEL).unique().sort(MODEL)
    if ranking is not None:
        known = ranking.join(known, on=MODEL, how="semi").select(MODEL)
    pictures = tuple(
        _profile_picture(inputs, model, pretrained, number)
        for number, (model, pretrained) in enumerate(known.head(_PROFILED_MODELS).iter_rows())
    )
    intro = (
        "How strongly the objective flows through each functional block, by task. The method "
        "compares tasks by these curves; bands are the standard error over images."
    )
    return Section(
        "profiles",
        "Conductance by block",
        intro=intro,
        pictures=pictures[:1],
        more=pictures[1:],
        more_title="The next models of the ranking" if ranking is not None else "More models",
    )


def _profile_picture(inputs: ReportInputs, model: str, pretrained: str, number: int) -> Picture:
    assert inputs.profiles is not None
    figure = profile_curves(
        inputs.profiles,
        model=model,
        pretrained=pretrained,
        highlight=_highlight(inputs, model, pretrained),
    )
    alt = f"Conductance by block of {model} {pretrained}, one line per task."
    return _picture(figure, alt, f"{model} / {pretrained}", f"profile{number}")


def _highlight(inputs: ReportInputs, model: str, pretrained: str) -> tuple[str, ...]:
    if inputs.target is None:
        return ()
    if inputs.weights is None:
        return (inputs.target,)
    weights = inputs.weights.filter(
        pl.col("model") == model, pl.col("pretrained") == pretrained
    ).sort("weight", descending=True)
    return (inputs.target, *weights["source"].head(_HIGHLIGHTED - 1))


def _dcd(inputs: ReportInputs) -> Section | str:
    if inputs.dcd is None or inputs.dcd.is_empty():
        return "Divergence between tasks: it needs the profiles of at least two tasks."
    models = inputs.dcd.select(MODEL).n_unique()
    caption = f"Mean over {models} models. Rows: target; columns: source."
    intro = "Directional conductance divergence of each source from each target; low is similar."
    alt = f"Matrix of divergences between {inputs.dcd['target'].n_unique()} tasks."
    picture = _picture(dcd_heatmap(inputs.dcd), alt, caption, "dcd")
    return Section("dcd", "Divergence between tasks", intro=intro, pictures=(picture,))


def _leave_one_out(inputs: ReportInputs) -> Section | str:
    zoos = {title: frame for title, frame in inputs.leave_one_out.items() if not frame.is_empty()}
    if not zoos:
        return "Leave one out: not run here; `vlmsel evaluate` judges the selectors."
    pictures = []
    for number, (title, summary) in enumerate(zoos.items()):
        shown = summary.filter(pl.col("metric") == inputs.metric)
        if "delta" in shown.columns and shown["delta"].is_not_null().any():
            better = "right" if METRICS[inputs.metric].higher_is_better else "left"
            alt = f"Gain in {inputs.metric} over average rank by selector, {title}."
            caption = f"{title}: {inputs.metric} against average rank; further {better} is better."
            figure = selector_comparison(summary, inputs.metric)
            pictures.append(_picture(figure, alt, caption, f"selectors{number}"))
    intro = (
        "Every task was the target once, ranked from all others; means over targets, with the "
        "bootstrap interval below. Arrows: better or worse than average rank, the paired 95 % "
        "interval excluding zero."
    )
    tables = [leave_one_out_table(frame, title, inputs.metric) for title, frame in zoos.items()]
    if inputs.left_out is not None and not inputs.left_out.is_empty():
        tables.append(plain_table(inputs.left_out, "Left out, and why"))
    return Section(
        "leave-one-out",
        "Is the ranking right? Leave one out",
        intro=intro,
        pictures=tuple(pictures),
        tables=tuple(tables),
    )


def _sweep(inputs: ReportInputs) -> Section | str:
    if inputs.sweep is None or inputs.sweep.is_empty():
        return "Sweep of eta and gamma: not run here; `vlmsel sweep` runs it."
    metrics = set(inputs.sweep["metric"])
    metric = inputs.metric if inputs.metric in metrics else min(metrics)
    figure = sweep_heatmap(inputs.sweep, metric)
    caption = f"Mean over leave-one-out targets; {metric}: {_meaning(metric)}."
    picture = _picture(figure, f"{metric} on the eta x gamma grid.", caption, "sweep")
    intro = "How much the two constants of the method matter."
    return Section("sweep", "Sweep of eta and gamma", intro=intro, pictures=(picture,))


def _failures(inputs: ReportInputs) -> Section | str:
    if inputs.failures is None:
        return "What failed: the failures of the store were not read for this report."
    if inputs.failures.is_empty():
        return "What failed: nothing that was asked for."
    entries = number_of(inputs.failures.height, "entry was", "entries were")
    intro = f"{entries} not measured and took no part."
    table = plain_table(inputs.failures, "Failed images and cells")
    return Section("failures", "What failed", intro=intro, tables=(table,))


def _study(study: ReportStudy, number: int) -> Section:
    section = Section(f"study{number}", study.title, intro=study.text, command=study.command)
    if study.figure is not None:
        picture = _picture(study.figure, study.alt or study.title, study.alt, f"study{number}")
        section = replace(section, pictures=(picture,))
    if study.table is not None:
        section = replace(section, tables=(plain_table(study.table, study.title),))
    return section


def _meaning(metric: str) -> str:
    return METRICS[metric].definition if metric in METRICS else "as the sweep names it"


def _picture(figure: Figure, alt: str, caption: str, prefix: str) -> Picture:
    # Every text that matplotlib writes into an SVG is escaped by it; `alt` is escaped by to_svg.
    return Picture(Markup(to_svg(figure, alt=alt, prefix=prefix)), caption)


_BUILDERS: tuple[Callable[[ReportInputs], Section | str], ...] = (
    _ranking,
    _profiles,
    _dcd,
    _leave_one_out,
    _sweep,
    _failures,
)

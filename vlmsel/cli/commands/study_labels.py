"""``vlmsel study labels``: what a few labels gain, on published tables with simulated hits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli.judgement_options import show_left_out
from vlmsel.cli.views.console import note, show_table
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vlmsel.api.label_study import LabelStudy

NAME = "labels"
DESCRIPTION = "gain of 5 to 100 labels over average rank and ImageNet, with simulated hits"
CAPTION = (
    "simulated: hits are drawn from the published accuracies, those of different models correlated "
    "by rho = {rho:g}; {draws} draws per task, 95 % intervals by paired bootstrap over tasks"
)
SHOWN_METRICS = ("ndcg5", "tau", "regret1")
_PANEL = "Study of labels"

Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="N,N,...",
        help="Numbers of labelled images. Default: 0,5,10,25,50,100.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Rho = Annotated[
    float | None,
    typer.Option(
        "--rho",
        help="Correlation of the models' hits, 0 to 1. Default: 0.5.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Draws = Annotated[
    int | None,
    typer.Option(
        "--draws",
        min=1,
        help="Random draws of labelled images per task. Default: 30; with --predictions 80.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Calibration = Annotated[
    bool,
    typer.Option(
        "--calibration",
        help="Also check the advice: rank intervals, expected regret, when to stop. Minutes.",
        rich_help_panel=_PANEL,
    ),
]
Predictions = Annotated[
    bool,
    typer.Option(
        "--predictions",
        help="Instead: what predictions on unlabelled images save, on imported predictions.",
        rich_help_panel=_PANEL,
    ),
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        "--markdown",
        help="Also write a page of the results here, with the saving of imported predictions.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class LabelOptions:
    """Options of this study as they were given; None or False where they were not."""

    labels: str | None = None
    rho: float | None = None
    draws: int | None = None
    calibration: bool = False
    predictions: bool = False
    markdown: Path | None = None

    def refuse(self, study: str) -> None:
        """Options of this study have no effect on another.

        Raises:
            SettingsError: one was given.
        """
        for name, value in vars(self).items():
            if value not in (None, False):
                raise SettingsError(f"--{name} belongs to study {NAME}, not to {study}")


def parse_labels(text: str, *, least: int = 0) -> list[int]:
    """Read ``0,10,25``.

    Raises:
        SettingsError: it is no list of whole numbers of at least `least`, or one is too large.
    """
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < least or numbers[-1] > MOST_LABELS:
        raise SettingsError(
            f"--labels {text}: write whole numbers of {least} to {MOST_LABELS} separated by "
            "commas, e.g. --labels 0,10,25,50,100"
        )
    return numbers


MOST_LABELS = 10_000


def check_options(options: LabelOptions, others: Mapping[str, object]) -> None:
    """Find options without effect before the work.

    Args:
        options: of this study.
        others: options of `vlmsel study` that mean nothing here, by name.

    Raises:
        SettingsError: one was given.
    """
    for name, value in others.items():
        if value:
            raise SettingsError(f"{name} has no effect on study {NAME}: leave it out")
    if options.rho is not None and not 0 <= options.rho <= 1:
        raise SettingsError(f"--rho {options.rho:g}: a correlation of hits is 0 to 1")
    if options.predictions and (options.rho is not None or options.calibration or options.markdown):
        raise SettingsError(
            "--predictions simulates nothing: leave out --rho, --calibration and --markdown"
        )


@dataclass(frozen=True)
class StudiedTables:
    """The tables to study, by the options of `vlmsel study`."""

    store: str
    zoo: str | None
    tasks: str | None
    imported: bool
    accuracies: Sequence[str] | None
    profiles: Sequence[str] | None

    def tables(self) -> dict[str, pl.DataFrame]:
        """Accuracies by the name of their table: imported ones each by itself, or the store's own.

        Raises:
            StoreError: there are none.
        """
        from vlmsel.api.label_study import published_tables
        from vlmsel.api.workspace import remembers
        from vlmsel.cli.judgement_options import gather_tables

        chosen = self.imported or self.accuracies or self.profiles
        if chosen or not (self.zoo or self.tasks or remembers(self.store)):
            return published_tables(self.store, self.accuracies or (), self.profiles or ())
        knowledge, _ = gather_tables(self.store, self.zoo, self.tasks, imported=False)
        return {"store": knowledge.accuracies}


@dataclass(frozen=True)
class Outcome:
    """The results of a study of labels.

    Attributes:
        name: of its files and of its run.
        table: the rows.
        figure: the table, drawn.
        params: what the MLflow run says beside it.
        further: other tables by name.
        show: prints the tables for people.
    """

    name: str
    table: pl.DataFrame
    figure: "Figure"
    params: dict[str, object]
    further: dict[str, pl.DataFrame]
    show: Callable[[], None]

    def json(self) -> object:
        """Rows for ``--json``, or with further tables an object that holds all."""
        return {"rows": self.table, **self.further} if self.further else self.table


def run(
    options: LabelOptions, source: StudiedTables, *, seed: int, keep_duplicates: bool
) -> Outcome:
    """Run the study that was asked for.

    Raises:
        StoreError: there are no such tables.
        SelectionError: none of them can be used.
    """
    if options.predictions:
        return _run_predictions(options, source.store, seed)
    from vlmsel.api.label_study import LABELS, N_DRAWS, RHO, study_labels

    labels = list(LABELS) if options.labels is None else parse_labels(options.labels)
    rho = RHO if options.rho is None else options.rho
    n_draws = options.draws or N_DRAWS
    tables = source.tables()
    found = study_labels(
        tables,
        labels=labels,
        rho=rho,
        n_draws=n_draws,
        seed=seed,
        keep_duplicates=keep_duplicates,
        calibration=options.calibration,
    )
    params: dict[str, object] = {
        "labels": ",".join(map(str, labels)),
        "rho": rho,
        "draws": n_draws,
        "seed": seed,
        "hits": "simulated",
        "knowledge": ", ".join(tables),
    }
    further = {
        name: table
        for name, table in (("calibration", found.calibration), ("stopping", found.stopping))
        if table is not None
    }
    if options.markdown:
        _write_page(options.markdown, found, source, rho=rho, n_draws=n_draws, seed=seed)
    return Outcome(
        NAME, found.rows, found.figure, params, further, lambda: _show(found, rho, n_draws)
    )


def _write_page(
    file: Path, found: "LabelStudy", source: StudiedTables, *, rho: float, n_draws: int, seed: int
) -> None:
    """The results as Markdown, with the command, the machine and the date."""
    from vlmsel.api.prediction_study import has_predictions, study_predictions
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.cli.views.page_origin import page_origin
    from vlmsel.evaluation.studies.label_gain_page import PageHead, labels_page

    savings = None
    if has_predictions(source.store):
        savings = study_predictions(source.store, seed=seed).rows
    head = PageHead(page_origin(), rho, n_draws)
    page = labels_page(head, found.rows, found.calibration, found.stopping, savings)
    write_output(file, page, "--markdown")


def _run_predictions(options: LabelOptions, store: str, seed: int) -> Outcome:
    from vlmsel.api.prediction_study import LABELS, N_DRAWS, study_predictions

    labels = list(LABELS) if options.labels is None else parse_labels(options.labels, least=3)
    n_draws = options.draws or N_DRAWS
    found = study_predictions(store, labels=labels, n_draws=n_draws, seed=seed)
    params: dict[str, object] = {
        "labels": ",".join(map(str, labels)),
        "draws": n_draws,
        "seed": seed,
        "hits": "imported predictions",
    }

    def show() -> None:
        show_table(found.rows, title="prediction-powered hits on imported predictions")
        note("realised: variance of the contrasts between models over that of plain hits")
        note("stated: what the estimate itself said, mean over the draws; below 1 is better")
        show_left_out(found.left_out)

    return Outcome(f"{NAME}-predictions", found.rows, found.figure, params, {}, show)


def _show(found: "LabelStudy", rho: float, n_draws: int) -> None:
    """Print the gain of labels, table by table, and the calibration where it was asked for."""
    for (name,), rows in found.rows.group_by("table", maintain_order=True):
        sizes = f"{rows['n_targets'].max()} tasks, {rows['n_models'][0]} models"
        for (rival,), part in rows.group_by("rival", maintain_order=True):
            title = f"{name} ({sizes}), simulated labels: against {rival}"
            show_table(labels_table(part), title=title)
    if found.calibration is not None and found.stopping is not None:
        show_table(found.calibration, title="what the posterior says and what was (simulated)")
        show_table(found.stopping, title="stop when the expected regret is small (simulated)")
    note(CAPTION.format(rho=rho, draws=n_draws))
    note("* the 95 % interval of the difference excludes zero")
    show_left_out(found.left_out)


def labels_table(rows: pl.DataFrame, metrics: Sequence[str] = SHOWN_METRICS) -> pl.DataFrame:
    """Rows of one table and rival as a table for people: mean and difference per metric."""
    clear = (pl.col("delta_low") > 0) | (pl.col("delta_high") < 0)
    signed = [
        pl.col(name).map_elements(lambda value: f"{value:+.3f}", pl.String)
        for name in ("delta", "delta_low", "delta_high")
    ]
    cell = pl.format(
        "{} {} [{} {}]{}",
        pl.col("mean").map_elements(lambda value: f"{value:.3f}", pl.String),
        *signed,
        pl.when(clear).then(pl.lit("*")).otherwise(pl.lit("")),
    )
    chosen = rows.filter(pl.col("metric").is_in(list(metrics)))
    return chosen.with_columns(cell=cell).pivot(
        "metric", index=["selector", "n_labels"], values="cell", maintain_order=True
    )

"""``vlmsel study``: experiments on what a store knows, each with a table, a figure and a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from matplotlib.figure import Figure

from vlmsel.cli import judgement_options as j
from vlmsel.cli import options as o
from vlmsel.cli.commands import (
    exactness,
    study_labels,
    study_objectives,
    study_orders,
    study_prompts,
    transferability,
)
from vlmsel.cli.views.console import emit_json, say, show_table
from vlmsel.cli.views.output_files import write_output_figure, write_output_table
from vlmsel.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from vlmsel.api.objective_study import ObjectiveStudy

# These compare profiles of different settings that the store holds.
BY_SETTING = {"attribution": "attribution", "granularity": "granularity"}
SHOWN_METRICS = ("ndcg5", "tau", "regret1")


def study(
    name: Annotated[
        str | None,
        typer.Argument(help="Which study; without a name, the list.", show_default=False),
    ] = None,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    selector: o.SelectorNames = None,
    option: j.SelectorOptions = None,
    out: Annotated[
        Path,
        typer.Option(
            parser=o.output_path,
            metavar="FOLDER",
            help="Folder of the table (CSV) and the figure (SVG).",
        ),
    ] = Path("studies"),
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
    imported: Annotated[
        bool, typer.Option("--imported", help="Use the published tables imported into the store.")
    ] = False,
    accuracies: j.AccuracyTables = None,
    profiles: j.ProfileTables = None,
    keep_duplicates: j.KeepDuplicates = False,
    weights: exactness.Weights = None,
    labels: study_labels.Labels = None,
    rho: study_labels.Rho = None,
    draws: study_labels.Draws = None,
    calibration: study_labels.Calibration = False,
    predictions: study_labels.Predictions = False,
    markdown: study_labels.Markdown = None,
    tables: transferability.Tables = None,
    attribution: study_objectives.Variants = None,
    tracking_uri: o.TrackingUri = None,
    as_json: o.AsJson = False,
) -> None:
    """Run one experiment, such as: how many images are enough?

    Every study writes a table and a figure and logs an MLflow run of kind `study`.
    """
    known = _known_studies()
    if name is None:
        rows = [{"study": key, "what it shows": text} for key, text in known.items()]
        emit_json(rows) if as_json else show_table(pl.DataFrame(rows), title="studies")
        return
    if name not in known:
        raise SettingsError(f"no study {name!r}: there is {', '.join(known)}")

    # Some studies write pages of their own.
    has_own_page = name in (study_prompts.NAME, study_objectives.NAME)
    of_labels = None if has_own_page else markdown
    label_options = study_labels.LabelOptions(
        labels, rho, draws, calibration, predictions, of_labels
    )
    _refuse_options(name, label_options, attribution)

    from vlmsel.cli.run_records import tracking_uri_for

    uri = tracking_uri_for(store, tracking_uri)
    _make_folder(out)
    destination = _Destination(name, out, uri, as_json)
    of_store = {
        "--zoo": zoo, "--tasks": tasks, "--selector": selector, "--option": option,
        "--imported": imported, "--accuracies": accuracies, "--profiles": profiles,
        "--keep-duplicates": keep_duplicates,
    }  # fmt: skip
    if name == exactness.NAME:
        exactness.refuse({**of_store, "--seed": seed})
        _study_exactness(weights, destination)
        return
    if name == study_prompts.NAME:
        _refuse_foreign(name, {"--weights": (weights, exactness.NAME)})
        study_prompts.refuse({**of_store, "--tables": tables, "--seed": seed})
        _keep_prompts(study_prompts.run(store, zoo, tasks), destination, markdown)
        return
    _refuse_foreign(name, {"--weights": (weights, exactness.NAME)})
    if name == transferability.NAME:
        transferability.refuse(of_store)
        _study_transferability(tables, seed, destination)
        return
    _refuse_foreign(name, {"--tables": (tables, transferability.NAME)})
    if name == study_objectives.NAME:
        study_objectives.refuse(of_store)
        catalogs = study_objectives.Catalogs(store, zoo, tasks, seed, keep_duplicates, attribution)
        _keep_objectives(study_objectives.run(catalogs), markdown, catalogs, destination)
        return
    if name in (study_labels.NAME, study_orders.NAME):
        source = study_labels.StudiedTables(store, zoo, tasks, imported, accuracies, profiles)
        _keep_labels(_study_labelled(name, label_options, source, of_store, seed), destination)
        return

    from vlmsel.api.studies import run_study, stored_variants

    options = j.selector_options(option)
    knowledge, workspace = j.gather_tables(
        store, zoo, tasks, imported=imported, accuracies=accuracies, profiles=profiles
    )
    variants = None
    if name in BY_SETTING and workspace is not None:
        variants = stored_variants(workspace, BY_SETTING[name])
    found = run_study(
        name,
        knowledge,
        variants=variants,
        selectors=selector,
        options=options,
        seed=seed,
        keep_duplicates=keep_duplicates,
    )
    done = destination.keep(found.table, found.figure, {"seed": seed, "knowledge": knowledge.about})
    if as_json:
        emit_json(done)
    else:
        show_table(_shorten(found.table), title=f"{name}: {found.description}")
        j.show_left_out(found.left_out)
        _say_where(done)
    _end_logged(done)


def _known_studies() -> dict[str, str]:
    """Names with what each shows."""
    from vlmsel.evaluation.studies import STUDIES

    return {key: entry.description for key, entry in STUDIES.items()} | {
        exactness.NAME: exactness.DESCRIPTION,
        study_labels.NAME: study_labels.DESCRIPTION,
        study_orders.NAME: study_orders.DESCRIPTION,
        study_prompts.NAME: study_prompts.DESCRIPTION,
        study_objectives.NAME: study_objectives.DESCRIPTION,
        transferability.NAME: transferability.DESCRIPTION,
    }


def _refuse_options(
    name: str, label_options: study_labels.LabelOptions, attribution: study_objectives.Variants
) -> None:
    """Refuse options of the studies of objectives, labels and orders to the others."""
    if name != study_objectives.NAME:
        _refuse_foreign(name, {"--attribution": (attribution, study_objectives.NAME)})
    if name not in (study_labels.NAME, study_orders.NAME):
        label_options.refuse(name)


def _refuse_foreign(name: str, options: dict[str, tuple[object, str]]) -> None:
    """Refuse options that were given and belong to another study."""
    for option, (value, owner) in options.items():
        if value is not None:
            raise SettingsError(f"{option} belongs to study {owner}, not to {name}")


@dataclass(frozen=True)
class _Destination:
    """The destination of a study's results, and the form in which they are shown."""

    name: str
    out: Path
    uri: str | None
    as_json: bool

    def keep(
        self, table: pl.DataFrame, figure: Figure, params: dict[str, object], *, name: str = ""
    ) -> dict[str, Any]:
        """Write and log them; see `_keep`."""
        return _keep(name or self.name, table, figure, out=self.out, uri=self.uri, params=params)


def _study_exactness(weights: Path | None, destination: _Destination) -> None:
    table, figure = exactness.run_exactness(weights)
    done = destination.keep(table, figure, exactness.run_params(table))
    emit_json(done) if destination.as_json else exactness.show_exactness(table)
    _say_where(done)
    _end_logged(done)


def _study_transferability(tables: list[Path] | None, seed: int, destination: _Destination) -> None:
    judged = transferability.run_benchmarks(tables, seed=seed)
    params = {"seed": seed, "tables": [path.name for path in tables or ()]}
    done = destination.keep(judged.table, judged.figure, params)
    done["page"] = str(transferability.write_page(judged, destination.out))
    emit_json(done) if destination.as_json else transferability.show_benchmarks(judged)
    _say_where(done)
    _end_logged(done)


def _study_labelled(
    name: str,
    label_options: study_labels.LabelOptions,
    source: study_labels.StudiedTables,
    of_store: dict[str, Any],
    seed: int,
) -> study_labels.Outcome:
    """Run the study of labels, or that of the orders in which images are picked."""
    if name == study_orders.NAME:
        used = ("--zoo", "--tasks")
        others = {option: value for option, value in of_store.items() if option not in used}
        study_orders.check_options(label_options, others)
        return study_orders.run(label_options, source.store, source.zoo, source.tasks, seed=seed)
    others = {option: of_store[option] for option in ("--selector", "--option")}
    study_labels.check_options(label_options, others)
    kept = of_store["--keep-duplicates"]
    return study_labels.run(label_options, source, seed=seed, keep_duplicates=kept)


def _keep_prompts(
    found: study_prompts.PromptStudy, destination: _Destination, markdown: Path | None
) -> None:
    from vlmsel.cli.views.plan_run import finish_beside

    if markdown is not None:
        study_prompts.write_page(found.table, markdown)
    done = destination.keep(found.table, found.figure, {})
    emit_json(done) if destination.as_json else study_prompts.show(found.table)
    _say_where(done)
    finish_beside(found.summary, 0)
    _end_logged(done)


def _keep_objectives(
    found: "ObjectiveStudy",
    markdown: Path | None,
    catalogs: study_objectives.Catalogs,
    destination: _Destination,
) -> None:
    from vlmsel.report.study_figures import objectives_figure

    figure = objectives_figure(found.rows)
    params: dict[str, object] = {"seed": catalogs.seed, "knowledge": "; ".join(found.about)}
    done = destination.keep(found.rows, figure, params)
    if markdown is not None:
        study_objectives.write_page(markdown, found)
        done["page"] = str(markdown)
    emit_json(done) if destination.as_json else study_objectives.show(found)
    j.show_left_out(found.left_out)
    _say_where(done)
    _end_logged(done)


def _keep_labels(found: study_labels.Outcome, destination: _Destination) -> None:
    done = destination.keep(found.table, found.figure, found.params, name=found.name)
    for part, table in found.further.items():
        write_output_table(destination.out / f"{destination.name}-{part}.csv", table, "--out")
    emit_json(found.json()) if destination.as_json else found.show()
    _say_where(done)
    _end_logged(done)


def _keep(
    name: str,
    table: pl.DataFrame,
    figure: Figure,
    *,
    out: Path,
    uri: str | None,
    params: dict[str, object],
) -> dict[str, Any]:
    """Write table and figure, log the run; files and places as ``--json`` shows them."""
    from vlmsel.cli.run_records import track_summary, try_to_log

    table_path, figure_path = _write(out, name, table, figure)
    logged = try_to_log(
        lambda: track_summary(
            "study",
            uri,
            params={"study": name, **params},
            tables={name: table},
            figures={name: figure},
            tags={"study": name},
        )
    )
    return {
        "study": name,
        "rows": table,
        "table": str(table_path),
        "figure": str(figure_path),
        "mlflow": {"uri": logged[1], "run": logged[0]} if logged else None,
    }


def _say_where(done: dict[str, Any]) -> None:
    mlflow = done["mlflow"] or {"run": None}
    logged = "" if mlflow["run"] is None else f", run {mlflow['run']} in MLflow: {mlflow['uri']}"
    say(f"table {done['table']}, figure {done['figure']}{logged}")


def _end_logged(done: dict[str, Any]) -> None:
    """End with 1 where the study could not be logged.

    Raises:
        Exit: it could not.
    """
    if done["mlflow"] is None:
        raise typer.Exit(1)


def _shorten(table: pl.DataFrame) -> pl.DataFrame:
    if "weight" in table.columns:
        # Hundreds of rows: the file has them all, the screen the mean over targets.
        means = table.group_by("selector", "source").agg(pl.col("weight", "effective").mean())
        return means.sort("selector", "weight", descending=[False, True])
    return table.filter(pl.col("metric").is_in(SHOWN_METRICS))


def _make_folder(out: Path) -> None:
    """Before the work: what took minutes must not be lost for want of a place."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"--out {out} cannot be written: {error.strerror}") from None


def _write(out: Path, name: str, table: pl.DataFrame, figure: Figure) -> tuple[Path, Path]:
    write_output_table(out / f"{name}.csv", table, "--out")
    write_output_figure(out / f"{name}.svg", figure, "--out")
    return out / f"{name}.csv", out / f"{name}.svg"

"""``vlmsel evaluate --use``: who foretells the best probe, or the best zero-shot model."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlmsel.cli.judgement_options import show_left_out
from vlmsel.cli.options import Executor
from vlmsel.cli.views.console import emit_json, note, say, show_table, tell
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.evaluation.leave_one_out import LeaveOneOut


class Use(StrEnum):
    """Purpose that a model is chosen for."""

    zero_shot = "zero-shot"
    probe = "probe"


_PANEL = "Labels"
UseOption = Annotated[
    Use,
    typer.Option(
        "--use",
        help="What the model is chosen for. probe: the truth is a linear probe of the stored "
        "embeddings, and scores of a few labelled images are compared; measures nothing.",
        rich_help_panel=_PANEL,
    ),
]
Shots = Annotated[
    str | None,
    typer.Option(
        "--shots",
        metavar="K,K,...",
        help="Labelled images of every class that scores are shown, e.g. 1,2,4,8,16. Needs stored "
        "embeddings, or imported probes.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Draws = Annotated[
    int, typer.Option("--draws", min=1, help="Draws of each --shots.", rich_help_panel=_PANEL)
]
DRAWS = 3


@dataclass(frozen=True)
class JudgedTables:
    """Tables and catalogs, as the command line says them."""

    store: str
    zoo: str | None
    tasks: str | None
    imported: bool


@dataclass(frozen=True)
class ExecutorOptions:
    """Place of a run, as the command line says it."""

    executor: Executor = Executor.local
    workers: int | None = None
    address: str | None = None
    threads: int = 1


def parse_shots(text: str | None) -> tuple[int, ...]:
    """Numbers of images per class, sorted.

    Raises:
        SettingsError: they are none.
    """
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise SettingsError(f"--shots {text}: write numbers above 0, such as --shots 1,2,4,8,16")
    return tuple(sorted({int(part) for part in parts}))


def refuse(options: dict[str, Any]) -> None:
    """Refuse options that have no meaning here.

    Raises:
        SettingsError: the first that was given.
    """
    for option, value in options.items():
        if value:
            raise SettingsError(
                f"{option} has no meaning with --use probe or --shots, which compare scores of "
                "labelled images: leave it out"
            )


def refuse_of_probes(execution: ExecutorOptions, draws: int, other: str) -> None:
    """Refuse options of probes that are computed, where none is.

    Args:
        execution: place of the run.
        draws: of each number of shots.
        other: names the evaluation that takes none of them.

    Raises:
        SettingsError: the first that was given.
    """
    given = {
        "--executor": execution.executor is not Executor.local,
        "--workers": execution.workers is not None,
        "--address": execution.address is not None,
        "--threads": execution.threads != ExecutorOptions.threads,
        "--draws": draws != DRAWS,
    }
    for option, is_given in given.items():
        if is_given:
            raise SettingsError(
                f"{option} says how probes are computed and has no meaning for {other}: leave it "
                "out"
            )


def refuse_catalogs(zoo: str | None, tasks: str | None) -> None:
    """Refuse catalogs where imported tables are judged.

    Raises:
        SettingsError: one was given.
    """
    for option, value in {"--zoo": zoo, "--tasks": tasks}.items():
        if value is not None:
            raise SettingsError(f"{option} has no meaning with --imported: leave it out")


def run(
    tables: JudgedTables,
    execution: ExecutorOptions,
    use: Use,
    shots: tuple[int, ...],
    draws: int,
    *,
    markdown: Path | None,
    tracking_uri: str | None,
    experiment: str,
    as_json: bool,
) -> None:
    """Compute what is missing, judge, show and log."""
    from vlmsel.cli.run_records import track_use, try_to_log
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.evaluation.probe_page import use_page

    loo, probes, about = (
        _evaluate_imported(tables, use, shots)
        if tables.imported
        else _evaluate_store(tables, execution, use, shots, draws)
    )
    if markdown:
        title = f"{use}: {about.partition(', store ')[0]}"
        page = use_page([(title, loo)], _command(tables, use, shots, draws))
        write_output(markdown, page, "--markdown")
    params = {"use": use.value, "shots": list(shots), "draws": draws, "knowledge": about}
    logged = try_to_log(
        lambda: track_use(loo, probes, tracking_uri, experiment=experiment, params=params)
    )
    if as_json:
        emit_json(
            {
                "summary": loo.summary(),
                "probes": probes,
                "left_out": loo.left_out,
                "mlflow": {"uri": logged[1], "runs": logged[0]} if logged else None,
            }
        )
    else:
        _show(loo, about, use)
    end_logged(logged, as_json=as_json)


def end_logged(logged: tuple[list[str], str | None] | None, *, as_json: bool) -> None:
    """Say where runs are logged, and end with the true exit code.

    Raises:
        Exit: they are not.
    """
    if logged is None:
        raise typer.Exit(1)
    if not as_json and logged[1] is not None:
        say(f"{len(logged[0])} runs in MLflow: {logged[1]}")


def _evaluate_store(
    tables: JudgedTables, execution: ExecutorOptions, use: Use, shots: tuple[int, ...], draws: int
) -> tuple["LeaveOneOut", Any, str]:
    from vlmsel.api.probe_use import evaluate_use, probe_evidence
    from vlmsel.api.workspace import open_workspace
    from vlmsel.evaluation.probe_work import ProbeOptions
    from vlmsel.execution.plan.run_options import RunOptions

    workspace = open_workspace(tables.store, zoo=tables.zoo, tasks=tables.tasks)
    say(f"zoo {workspace.zoo_source}, tasks {workspace.tasks_source}, store {workspace.address}")
    found = probe_evidence(
        workspace,
        ProbeOptions(shots=shots, draws=draws),
        run=RunOptions(
            executor=execution.executor.value,
            n_workers=execution.workers,
            address=execution.address,
            threads=execution.threads,
        ),
        on_model=lambda name, done, total: say(f"{done}/{total} probes of {name}"),
    )
    say(f"probes: {found.n_computed} computed, {found.n_kept} were in the cache")
    loo = evaluate_use(workspace, found, use.value)
    about = (
        f"{len(found.tables.models)} models, {len(found.tables.images)} tasks, {draws} draws, "
        f"store {workspace.address}"
    )
    return loo, found.tables.accuracies, about


def _evaluate_imported(
    tables: JudgedTables, use: Use, shots: tuple[int, ...]
) -> tuple["LeaveOneOut", Any, str]:
    from vlmsel.api.probe_use import evaluate_imported_use, imported_probes

    if use is not Use.probe:
        raise SettingsError("--shots of imported tables are probes: add --use probe")
    known = imported_probes(tables.store)
    loo = evaluate_imported_use(tables.store, shots or None)
    models = loo.rankings.select("model", "pretrained").n_unique()
    names = ", ".join(sorted(known["source"].unique()))
    return loo, known, f"imported probes {names}, {models} models, {known['task'].n_unique()} tasks"


def _show(loo: "LeaveOneOut", about: str, use: Use) -> None:
    from vlmsel.evaluation.metrics import METRICS
    from vlmsel.evaluation.probe_page import LEGEND, SHOWN, mixture_sentences, shot_table

    summary = loo.summary()
    for metric in SHOWN:
        show_table(shot_table(summary, metric), title=f"{metric} for {use}: {about}")
        note(f"  {metric}: {METRICS[metric].definition}")
    note("* differs from average-rank: the 95 % interval of the difference excludes zero")
    note("(n): judged on n targets only")
    for name, meaning in LEGEND.items():
        note(f"  {name}: {meaning}")
    for line in mixture_sentences(loo):
        tell(line)
    show_left_out(loo.left_out)


def _command(tables: JudgedTables, use: Use, shots: tuple[int, ...], draws: int) -> str:
    parts = ["vlmsel evaluate", f"--use {use}"]
    parts += [f"--shots {','.join(map(str, shots))}"] if shots else []
    parts += [f"--draws {draws}"] if draws != DRAWS else []
    parts += ["--imported"] if tables.imported else []
    return " ".join([*parts, "--store STORE --markdown FILE"])

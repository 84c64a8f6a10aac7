"""``vlmsel evaluate``: leave-one-out of every selector on what a store knows."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli.commands import evaluate_use as of_use
from vlmsel.cli.judgement_options import (
    AccuracyTables,
    KeepDuplicates,
    ProfileTables,
    SelectorOptions,
    gather_tables,
    selector_options,
    show_left_out,
)
from vlmsel.cli.options import (
    DEFAULT_EXPERIMENT,
    Address,
    AsJson,
    Executor,
    ExecutorOption,
    Experiment,
    Imported,
    SelectorNames,
    Store,
    TaskSource,
    Threads,
    TrackingUri,
    Workers,
    ZooSource,
    output_path,
)
from vlmsel.cli.options import DEFAULT_STORE as DEFAULT
from vlmsel.cli.views.console import emit_json, note, show_table, tell
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.evaluation.label_budgets import Budgets
    from vlmsel.evaluation.leave_one_out import LeaveOneOut

_PANEL = "Labels"
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="N,N,...",
        help="Numbers of labelled images for selectors that take labels, e.g. 0,10,25,50,100: they "
        "get hits simulated from the accuracies, in several random draws.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Rho = Annotated[
    float | None,
    typer.Option(
        "--rho",
        help="With --labels: correlation of the models' hits, 0 to 1. Default: 0.5.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        "--markdown",
        parser=output_path,
        metavar="FILE",
        help="Also write the tables and the verdict here.",
        show_default=False,
    ),
]


def evaluate(
    store: Store = DEFAULT,
    zoo: ZooSource = None,
    tasks: TaskSource = None,
    selector: SelectorNames = None,
    option: SelectorOptions = None,
    imported: Imported = False,
    accuracies: AccuracyTables = None,
    profiles: ProfileTables = None,
    keep_duplicates: KeepDuplicates = False,
    labels: Labels = None,
    rho: Rho = None,
    use: of_use.UseOption = of_use.Use.zero_shot,
    shots: of_use.Shots = None,
    draws: of_use.Draws = of_use.DRAWS,
    markdown: Markdown = None,
    executor: ExecutorOption = Executor.local,
    workers: Workers = None,
    address: Address = None,
    threads: Threads = 1,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = DEFAULT_EXPERIMENT,
    as_json: AsJson = False,
) -> None:
    """Judge the selectors: leave every task out once, rank the zoo for it, compare with the truth.

    The table shows the mean of every metric over the tasks with its 95 % interval (paired bootstrap
    over tasks), and under it the verdict: which selector to use. Each selector becomes a run in
    MLflow. Near-duplicate checkpoints count once. Measures nothing.
    """
    from vlmsel.api.laboratory import evaluate as run_evaluation
    from vlmsel.cli.run_records import track_evaluation, tracking_uri_for, try_to_log
    from vlmsel.cli.views.judgement_bar import judging_bar

    if use is of_use.Use.probe or shots is not None:
        numbers = of_use.parse_shots(shots)
        of_use.refuse(
            {
                "--selector": selector, "--option": option, "--accuracies": accuracies,
                "--profiles": profiles, "--keep-duplicates": keep_duplicates, "--labels": labels,
                "--rho": rho,
            }
        )  # fmt: skip
        execution = of_use.ExecutorOptions(executor, workers, address, threads)
        if imported:
            of_use.refuse_of_probes(execution, draws, "--imported, whose probes are in the tables")
            of_use.refuse_catalogs(zoo, tasks)
        of_use.run(
            of_use.JudgedTables(store, zoo, tasks, imported),
            execution,
            use,
            numbers,
            draws,
            markdown=markdown,
            tracking_uri=tracking_uri_for(store, tracking_uri),
            experiment=experiment,
            as_json=as_json,
        )
        return
    execution = of_use.ExecutorOptions(executor, workers, address, threads)
    of_use.refuse_of_probes(execution, draws, "leave-one-out without --use probe or --shots")
    is_all = ALL in (selector or ())
    if is_all:
        selector, labels = _all_selectors(selector), labels or ALL_LABELS
    options, budgets = selector_options(option), _budgets(labels, rho)
    tracking_uri = tracking_uri_for(store, tracking_uri, experiment)
    knowledge, workspace = gather_tables(
        store,
        zoo,
        tasks,
        imported=imported,
        accuracies=accuracies,
        profiles=profiles,
        with_logits=is_all or _reads_logits(selector),
    )
    if option:
        knowledge = replace(knowledge, about=f"{knowledge.about}, {', '.join(option)}")
    if budgets:
        shown = ",".join(map(str, budgets.labels))
        about = f"{knowledge.about}, simulated labels {shown} (rho {budgets.rho:g})"
        knowledge = replace(knowledge, about=about)
    with judging_bar():
        loo = run_evaluation(
            knowledge, selector, options=options, keep_duplicates=keep_duplicates, budgets=budgets
        )
    verdict = _verdict(loo, knowledge.about)
    summary = loo.summary()
    if markdown:
        _write(markdown, loo, knowledge.about, verdict, summary if is_all else None)
    logged = try_to_log(
        lambda: track_evaluation(
            loo,
            knowledge,
            store,
            tracking_uri,
            experiment=experiment,
            settings=workspace.settings if workspace else None,
        )
    )
    if as_json:
        emit_json(
            {
                "summary": summary,
                "verdict": verdict,
                "left_out": loo.left_out,
                "mlflow": {"uri": logged[1], "runs": logged[0]} if logged else None,
            }
        )
    else:
        show_summary(summary, f"{knowledge.about}: {_sizes(loo)}", is_grouped=True)
        for line in knowledge.texts.notes if is_all else ():
            note(f"  {line}")
        if budgets:
            note(
                f"  NAME@n: with n labelled images, {budgets.n_draws} draws; their hits are "
                "simulated from the accuracies"
            )
        tell(verdict)
        show_left_out(loo.left_out)
    of_use.end_logged(logged, as_json=as_json)


# Word for every selector, and the labels that those which take some get with it.
ALL, ALL_LABELS = "all", "25"


def _all_selectors(selector: list[str] | None) -> None:
    """Take `all` for every selector whose inputs the store has.

    Raises:
        SettingsError: another one is named beside it.
    """
    if selector != [ALL]:
        raise SettingsError(f"--selector {ALL} stands for every selector: name no other beside it")


def _reads_logits(selectors: list[str] | None) -> bool:
    """Tell whether a named selector reads more of the answers than their classes."""
    from vlmsel.selection.registry import make_selector

    return any(make_selector(name).reads for name in selectors or ())


def _budgets(labels: str | None, rho: float | None) -> "Budgets | None":
    """Simulated labels, where they were asked for."""
    from vlmsel.cli.commands.study_labels import parse_labels
    from vlmsel.evaluation.label_budgets import Budgets

    if labels is None:
        if rho is not None:
            raise SettingsError("--rho belongs to --labels: say how many, e.g. --labels 0,10,25")
        return None
    if rho is not None and not 0 <= rho <= 1:
        raise SettingsError(f"--rho {rho:g}: a correlation of hits is 0 to 1")
    numbers = tuple(parse_labels(labels))
    return Budgets(numbers) if rho is None else Budgets(numbers, rho=rho)


def show_summary(summary: pl.DataFrame, about: str, *, is_grouped: bool = False) -> None:
    """Print selectors x metrics, each as mean with interval; a star marks a clear difference."""
    from vlmsel.evaluation.input_groups import group_by_needs
    from vlmsel.evaluation.metrics import METRICS

    index = ["selector", "needs"] if is_grouped else ["selector"]
    if is_grouped:
        summary = group_by_needs(summary)

    clear = (pl.col("delta_low") > 0) | (pl.col("delta_high") < 0)
    cells = summary.with_columns(
        cell=pl.format(
            "{} [{} {}]{}",
            *(pl.col(c).map_elements(short, pl.String) for c in ("mean", "low", "high")),
            pl.when(clear).then(pl.lit("*")).otherwise(pl.lit("")),
        )
    )
    table = cells.pivot("metric", index=index, values="cell", maintain_order=True)
    show_table(table, title=f"leave-one-out: {about}")
    note("* differs from average-rank: the 95 % interval of the difference excludes zero")
    for name, metric in METRICS.items():
        note(f"  {name}: {metric.definition}")


def short(value: float) -> str:
    """Three decimals without the leading zero, as tables of scores print them."""
    return f"{value:.3f}".replace("0.", ".", 1)


def _verdict(loo: "LeaveOneOut", about: str) -> str:
    """Recommend a selector in plain words."""
    from vlmsel.evaluation.leave_one_out import BASELINE
    from vlmsel.evaluation.verdict import judge_evidence

    if BASELINE not in loo.metrics["selector"]:
        return f"No verdict: everything is judged against {BASELINE}, which was not asked for."
    return judge_evidence({about: loo}).paragraph


def _sizes(loo: "LeaveOneOut") -> str:
    from vlmsel.evaluation.markdown_tables import sizes

    return sizes(loo)


def _write(
    file: Path, loo: "LeaveOneOut", about: str, verdict: str, summary: pl.DataFrame | None
) -> None:
    """Write tables and verdict; with a summary of all selectors a page of results."""
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.evaluation.markdown_tables import evidence_markdown

    text = f"{evidence_markdown({about: loo}, is_grouped=summary is not None)}\n\n{verdict}\n"
    if summary is not None:
        text = f"{_head(summary)}\n\n{text}\n{_gaps(loo.left_out)}"
    write_output(file, text, "--markdown")


def _head(summary: pl.DataFrame) -> str:
    """Title, command, date and machine of a page of results, and who wins with what."""
    from vlmsel.cli.views.page_origin import page_origin
    from vlmsel.evaluation.input_groups import describe_winners

    return (
        "# Every selector on one bench\n\n"
        f"Made by {page_origin()}.\n\n"
        "Leave-one-out: each task is the target once. `needs` is what a selector asks of a new "
        "task. `+` or `-`: the 95 % interval of the difference to average rank excludes zero, in "
        "the good or the bad direction. `NAME@n`: with n labelled images, whose hits are simulated "
        f"from the accuracies. The best of each group:\n\n{describe_winners(summary)}"
    )


def _gaps(left_out: pl.DataFrame) -> str:
    """Everything that was left out, one line each."""
    rows = left_out.unique(maintain_order=True).iter_rows(named=True)
    lines = [f"- {row['kind']} {row['name']}: {row['reason']}" for row in rows]
    return "\n".join(["Left out:", "", *(lines or ["- nothing"])]) + "\n"

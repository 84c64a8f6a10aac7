"""``vlmsel demo``: the whole method on really trained models and really labelled tasks."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.option_groups import RunFlags
from vlmsel.cli.views.console import emit_json, say, show_table, tell

if TYPE_CHECKING:
    import polars as pl

    from vlmsel.api.demo_rankings import ThreeRankings
    from vlmsel.api.selection import Selection
    from vlmsel.demo.families import DemoTask
    from vlmsel.evaluation.leave_one_out import LeaveOneOut
    from vlmsel.execution.plan.run_options import RunOptions
    from vlmsel.execution.run_summary import RunSummary
    from vlmsel.report.inputs import ReportStudy

DEFAULT_OUT = Path("vlmsel-demo")
KINDS = ("profile", "prediction", "embedding")
DEFAULT_TARGET = "letters-a"
SAMPLE_IMAGES = 100
SHOWN = ["rank", "model", "score", "average_rank", "accuracy", "true_rank", "sources"]


@dataclass(frozen=True)
class DemoResults:
    """Everything that the demo shows.

    Attributes:
        task: the target.
        measured: what the run came to.
        loo: leave-one-out of all selectors.
        about: what was judged on, one line for people.
        selection: the ranking for the target, as if its labels were unknown.
        ranking: the same beside the truth.
        three: the sample pictures, ranked three times.
        paths: what lies where.
    """

    task: "DemoTask"
    measured: "RunSummary"
    loo: "LeaveOneOut"
    about: str
    selection: "Selection"
    ranking: "pl.DataFrame"
    three: "ThreeRankings"
    paths: dict[str, str]


def _check_folder(folder: str | Path) -> Path:
    """The folder as it was typed, which the last lines repeat."""
    o.output_path(folder)
    return Path(folder).expanduser()


def demo(
    out: Annotated[
        Path,
        typer.Option(
            parser=_check_folder,
            metavar="FOLDER",
            help="Folder of store, MLflow database and report.",
        ),
    ] = DEFAULT_OUT,
    target: Annotated[
        str, typer.Option(help="Task to rank the zoo for, as if its labels were not known.")
    ] = DEFAULT_TARGET,
    executor: o.ExecutorOption = o.Executor.local,
    as_json: o.AsJson = False,
) -> None:
    """See the whole method at work: small trained models that come with vlmsel, on drawn tasks.

    Measures models and tasks, ranks the models for one task as if its labels were unknown, judges
    every selector by leave-one-out and writes a report. Needs no network and no GPU and takes about
    two minutes; a second run measures nothing anew.
    """
    results = run_demo(out, target, executor)
    if as_json:
        emit_json(
            {
                "target": target,
                "ranking": results.ranking,
                "summary": results.loo.summary(),
                "sample": results.three.table,
                **results.paths,
            }
        )
    else:
        _show(results, target)
    from vlmsel.cli.views.plan_run import finish

    finish(results.measured, what="demo", allow_failures=0, as_json=False)


def run_demo(out: Path, target: str, executor: o.Executor) -> "DemoResults":
    """Measure what is missing, judge, rank, log, and write the report.

    Args:
        out: folder of all that is written.
        target: task to rank for.
        executor: of what is measured.

    Raises:
        TaskError: the demo has no such task.
        StoreError: the folder cannot be written.
    """
    from vlmsel.api.demo_rankings import Sample, rank_three_ways
    from vlmsel.api.laboratory import current_knowledge
    from vlmsel.api.report_inputs import (
        add_truth,
        held_out_selection,
        run_laboratory,
        write_laboratory_report,
    )
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.run_records import track_evaluation, track_sweep, tracking_uri_for
    from vlmsel.cli.views.judgement_bar import judging_bar
    from vlmsel.cli.views.plan_run import failures_frame, run_plan
    from vlmsel.demo.demo_tasks import (
        demo_task,
        sample_truth,
        write_demo_tasks,
        write_sample_folder,
    )

    task = demo_task(target)
    store = str(out / "store")
    catalog = write_demo_tasks(out / "tasks")
    sample = write_sample_folder(out / "sample-images", task, n=SAMPLE_IMAGES)
    workspace = open_workspace(store, zoo="demo", tasks=str(catalog), kinds=KINDS)
    options = RunFlags(executor=executor).options()
    say(f"{len(workspace.zoo.models)} models, {len(workspace.tasks.tasks)} tasks, folder {out}")
    uri = tracking_uri_for(store, None)
    workspace.remember()
    plan = workspace.plan(workspace.wants, options)
    summary = run_plan(plan, workspace.store, options, what=" and ".join(f"{k}s" for k in KINDS))

    knowledge = current_knowledge(workspace, with_logits=True)
    with judging_bar():
        laboratory = run_laboratory(knowledge)
        selection = held_out_selection(knowledge, target)
    common = {"experiment": "vlmsel-demo", "settings": workspace.settings}
    track_evaluation(laboratory.loo, knowledge, store, uri, **common)
    if laboratory.sweep is not None:
        track_sweep(laboratory.sweep, knowledge, uri, options={"scale": "none"}, **common)
    page = write_laboratory_report(
        out / "report.html",
        laboratory,
        selection,
        settings=workspace.settings,
        title=f"Which model for {target}?",
        failures=failures_frame(summary),
        studies=layer_studies(out, options),
    )
    three = rank_three_ways(
        workspace,
        knowledge,
        Sample(sample, target, task.classnames, task.templates, sample_truth(task, SAMPLE_IMAGES)),
        options,
        lambda plan, what: run_plan(plan, workspace.store, options, what=what),
    )
    paths = {"store": store, "report": str(page), "sample_images": str(sample)}
    paths |= {} if uri is None else {"mlflow": uri}
    ranking = add_truth(selection, knowledge)
    return DemoResults(
        task, summary, laboratory.loo, knowledge.about, selection, ranking, three, paths
    )


def layer_studies(out: Path, options: "RunOptions") -> "tuple[ReportStudy, ...]":
    """The heatmap of a generative model; none, and a word why, without transformers."""
    from vlmsel.api.demo_layers import explain_lack, study_layers
    from vlmsel.cli.views.plan_run import run_plan

    lack = explain_lack()
    if lack is not None:
        say(lack)
        return ()
    return (
        study_layers(
            out, options, lambda plan, store, opts, what: run_plan(plan, store, opts, what=what)
        ),
    )


def _show(results: "DemoResults", target: str) -> None:
    """Print the judgement, the rankings, where all lies, and what to try next."""
    from vlmsel.cli.commands.evaluate import show_left_out, show_summary

    show_summary(results.loo.summary(), results.about)
    show_left_out(results.loo.left_out)
    selection, ranking, paths = results.selection, results.ranking, results.paths
    show_table(
        ranking.select(SHOWN).with_columns(ranking["true_rank"].cast(int)),
        title=f"ranking for {target} by {selection.selector}, labels unseen, beside the truth",
    )
    tell(f"selector {selection.selector}: {selection.why}")
    if selection.trust is not None:
        tell(selection.trust.sentence)
    _show_three(results.three, target)
    for name, path in paths.items():
        tell(f"{name.replace('_', ' ')}: {path}")
    script = Path(sys.executable).with_name("vlmsel")
    command = "vlmsel" if shutil.which("vlmsel") else script
    select = f"{command} select {paths['sample_images']} --store {paths['store']}"
    tell(f"next: {select}")
    tell(f"or: {select} {_class_options(results.task)}")


def _show_three(three: "ThreeRankings", target: str) -> None:
    """The sample folder, ranked three times, beside the truth."""
    from vlmsel.api.answer_lines import answer_lines
    from vlmsel.api.demo_rankings import N_LABELS

    show_table(
        three.table.drop("pretrained"),
        title=f"{SAMPLE_IMAGES} pictures like {target}, which is held out, ranked three times: "
        f"images alone ({three.images_alone.selector}, {three.images_alone.images.n_images} "
        f"profiled), class names, {N_LABELS} labels; beside the truth",
        decimals=2,
    )
    tell(
        f"the {N_LABELS} labels are read from the demo's own truth ({three.labels_file}); "
        f"accuracy: of all {SAMPLE_IMAGES} pictures"
    )
    for line in answer_lines(three.labels)[:4]:
        tell(f"  {line}")


def _class_options(task: "DemoTask") -> str:
    """The options that name a task's classes."""
    templates = " ".join(f'--template "{text}"' for text in task.templates)
    return f"--classnames {','.join(task.classnames)} {templates}"

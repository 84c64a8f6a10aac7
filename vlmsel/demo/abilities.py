"""Prints what the demo models can do: `python -m vlmsel.demo.abilities --help`.

Reads the manifest only; no model is loaded and nothing is measured.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Annotated, cast

import typer
from scipy.stats import kendalltau

from vlmsel.demo import MANIFEST, VLM_MANIFEST
from vlmsel.demo.demo_questions import demo_questions
from vlmsel.demo.families import DemoTask, demo_tasks
from vlmsel.demo.manifest import Manifest, read_manifest
from vlmsel.demo.vlm_manifest import VlmManifest, read_vlm_manifest
from vlmsel.demo.vlm_recipes import vlm_recipe


@dataclass(frozen=True)
class Agreement:
    """Agreement of tasks about the models: mean Kendall tau-b over pairs of tasks.

    Attributes:
        twins: over the pairs of one family.
        others: over all other pairs.
        average_rank: between each task and the mean rank over all tasks but it and its twin.
    """

    twins: float
    others: float
    average_rank: float


def agreement(manifest: Manifest) -> Agreement:
    """Returns how alike twins and other tasks rank the models."""
    tasks = demo_tasks()
    columns = {task.name: accuracies(manifest, task) for task in tasks}
    taus: dict[bool, list[float]] = {True: [], False: []}
    for first, second in combinations(tasks, 2):
        taus[first.family == second.family].append(_tau(columns[first.name], columns[second.name]))
    against_mean = [
        _tau(columns[task.name], _mean_goodness(columns, task, tasks)) for task in tasks
    ]
    return Agreement(mean(taus[True]), mean(taus[False]), mean(against_mean))


def accuracies(manifest: Manifest, task: DemoTask) -> list[float]:
    """Returns the accuracy of every model on a task, in the manifest's order."""
    return [record.accuracy[task.name] for record in manifest.models]


def _tau(first: list[float], second: list[float]) -> float:
    tau, _ = cast("tuple[float, float]", kendalltau(first, second))
    return float(tau)


def _mean_goodness(
    columns: dict[str, list[float]], target: DemoTask, tasks: tuple[DemoTask, ...]
) -> list[float]:
    """Returns minus the mean rank of every model over the tasks of other families."""
    ranks = [_ranks(columns[task.name]) for task in tasks if task.family != target.family]
    return [-mean(of_model) for of_model in zip(*ranks, strict=True)]


def _ranks(column: list[float]) -> list[float]:
    """Returns ranks, 1 for the highest; equals share their mean rank."""
    return [
        1 + sum(other > value for other in column) + (column.count(value) - 1) / 2
        for value in column
    ]


def matrix(manifest: Manifest, *, by_task: bool) -> list[str]:
    """Returns the accuracies in percent as lines of a Markdown table, a column per model.

    Args:
        manifest: what is shown.
        by_task: one row per task; otherwise one per family, the mean of its twins.
    """
    groups: dict[str, list[DemoTask]] = {}
    for task in demo_tasks():
        groups.setdefault(task.name if by_task else task.family, []).append(task)
    names = [record.model.removeprefix("demo-") for record in manifest.models]
    lines = [_row("%", names), _row("---", ["---:"] * len(names))]
    for group, tasks in groups.items():
        columns = zip(*(accuracies(manifest, task) for task in tasks), strict=True)
        lines.append(_row(group, [f"{100 * mean(values):.0f}" for values in columns]))
    return lines


def _row(head: str, cells: list[str]) -> str:
    return f"| {' | '.join([head, *cells])} |"


def summary(manifest: Manifest) -> list[str]:
    """Returns size, time and agreement of rankings, a line each."""
    found = agreement(manifest)
    megabytes = sum(record.size_bytes for record in manifest.models) / 1e6
    seconds = sum(record.training_s for record in manifest.models)
    return [
        f"{len(manifest.models)} models, {megabytes:.2f} MB, "
        f"{seconds:.0f} s of training on one thread",
        f"mean Kendall tau between twins        {found.twins:+.2f}",
        f"mean Kendall tau between other tasks  {found.others:+.2f}",
        f"mean Kendall tau with average rank    {found.average_rank:+.2f}",
    ]


def vlm_matrix(manifest: VlmManifest) -> list[str]:
    """Returns the generative models' accuracies in percent, a row per question, then chance."""
    names = [record.model.removeprefix("demo-vlm-") for record in manifest.models]
    lines = [_row("%", [*names, "chance"]), _row("---", ["---:"] * (len(names) + 1))]
    for question in demo_questions():
        values = [record.accuracy[question.name] for record in manifest.models]
        cells = [f"{100 * value:.0f}" for value in (*values, 1 / len(question.options))]
        lines.append(_row(question.name, cells))
    return lines


def vlm_summary(manifest: VlmManifest) -> list[str]:
    """Returns what the generative models are and how they were trained, a row each."""
    heads = ["image tower", "language model", "weights", "MB", "mixture", "steps", "seed", "s"]
    lines = [_row("model", heads), _row("---", ["---"] * len(heads))]
    for record in manifest.models:
        made = vlm_recipe(record.model)
        shares = ", ".join(f"{name} {share:g}" for name, share in made.mixture.items())
        cells = [
            f"{made.vision[0]} blocks of width {made.vision[1]}",
            f"{made.text[0]} layers of width {made.text[1]}",
            f"{record.parameters / 1000:.0f} k",
            f"{record.size_bytes / 1e6:.2f}",
            f"{shares}; any other {made.background:g}",
            str(record.steps),
            str(record.seed),
            f"{record.training_s:.0f}",
        ]
        lines.append(_row(f"`{record.model}`", cells))
    return lines


def main(
    by_task: Annotated[
        bool, typer.Option("--by-task", help="One row per task instead of one per family.")
    ] = False,
    path: Annotated[Path, typer.Option("--manifest", help="The manifest to read.")] = MANIFEST,
    vlms: Annotated[
        bool, typer.Option("--vlms", help="The generative models and their questions instead.")
    ] = False,
) -> None:
    """Print the demo models' zero-shot accuracies and how alike the tasks rank the models."""
    if vlms:
        found = read_vlm_manifest(VLM_MANIFEST)
        for line in [*vlm_summary(found), "", *vlm_matrix(found)]:
            typer.echo(line)
        return
    manifest = read_manifest(path)
    for line in [*matrix(manifest, by_task=by_task), "", *summary(manifest)]:
        typer.echo(line)


if __name__ == "__main__":
    typer.run(main)

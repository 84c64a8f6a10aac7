"""``vlmsel study prompts``: sets of prompt templates, compared on every model and task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from matplotlib.figure import Figure

from vlmsel.cli.console import note, show_table
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.api.workspace import Workspace
    from vlmsel.execution.plan import Plan
    from vlmsel.execution.summary import RunSummary

NAME = "prompts"
DESCRIPTION = (
    "which prompt templates? accuracy of every model on every task with the catalog's templates, "
    "its template_sets and two common sets; measures what is missing, from stored embeddings "
    "without an image where there are some"
)


@dataclass(frozen=True)
class PromptStudy:
    """Result of the comparison.

    Attributes:
        table: accuracies by set of templates, model and task.
        figure: their means.
        summary: what was measured for it.
    """

    table: pl.DataFrame
    figure: Figure
    summary: "RunSummary"


def refuse(options: Mapping[str, object]) -> None:
    """Refuse options of other studies.

    Raises:
        SettingsError: one of them was given.
    """
    for name, value in options.items():
        if value and name not in ("--zoo", "--tasks"):
            raise SettingsError(f"{name} has no effect on study {NAME}: leave it out")


def run(store: str, zoo: str | None, tasks: str | None) -> PromptStudy:
    """Measure what is missing and compare.

    Raises:
        TaskError: no task has class names.
    """
    from vlmsel.api.prompt_study import compare_prompts
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.running import run_plan
    from vlmsel.execution.options import RunOptions

    def measure(plan: "Plan", variant: "Workspace") -> "RunSummary":
        return run_plan(plan, variant.store, RunOptions(), what="predictions")

    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    table, summary = compare_prompts(workspace, measure)
    return PromptStudy(table, _figure(table), summary)


def show(table: pl.DataFrame) -> None:
    """Print the sets by task."""
    from vlmsel.api.prompt_study import summarise

    show_table(summarise(table), title="prompt templates, mean over the models")
    note("  best_of: models whose accuracy is highest with this set; ties count for all")


def write_page(table: pl.DataFrame, file: Path) -> None:
    """Write the results as Markdown, with the command, the machine and the date.

    Raises:
        StoreError: the file cannot be written.
    """
    from vlmsel.api.prompt_study import prompts_page
    from vlmsel.cli.output_files import write_output
    from vlmsel.cli.page_origin import page_origin

    page = prompts_page(table, page_origin())
    write_output(file, page, "--markdown")


def _figure(table: pl.DataFrame) -> Figure:
    from vlmsel.api.prompt_study import summarise

    wide = summarise(table).pivot("templates", index="task", values="acc1", maintain_order=True)
    figure = Figure(figsize=(7, 0.4 * wide.height + 1.5), layout="constrained")
    axes = figure.subplots()
    for name in wide.columns[1:]:
        axes.plot(wide[name], wide["task"], "o", label=name, alpha=0.7)
    axes.set_xlabel("accuracy, mean over the models")
    axes.legend()
    return figure

"""``vlmsel study prompts``: sets of prompt templates, compared on every model and task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from matplotlib.figure import Figure

from vlmsel.cli.views.console import note, show_table
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.api.workspace import Workspace
    from vlmsel.execution.plan.work_plan import Plan
    from vlmsel.execution.run_summary import RunSummary

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
    from vlmsel.api.prompt_study import compare_prompts, summarise
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.views.plan_run import run_plan
    from vlmsel.execution.plan.run_options import RunOptions
    from vlmsel.report.study_figures import prompts_figure

    def measure(plan: "Plan", variant: "Workspace") -> "RunSummary":
        return run_plan(plan, variant.store, RunOptions(), what="predictions")

    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    table, summary = compare_prompts(workspace, measure)
    return PromptStudy(table, prompts_figure(summarise(table)), summary)


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
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.cli.views.page_origin import page_origin

    page = prompts_page(table, page_origin())
    write_output(file, page, "--markdown")

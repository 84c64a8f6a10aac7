"""``vlmsel study objectives``: objectives, blocks, symmetry, noise and architectures compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli.options import AttributionChoice
from vlmsel.cli.views.console import note, show_table
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.api.objective_study import ObjectiveStudy
    from vlmsel.api.workspace import Workspace
    from vlmsel.execution.plan.work_plan import Plan
    from vlmsel.execution.run_summary import RunSummary

NAME = "objectives"
DESCRIPTION = (
    "objectives, text towers, blocks, symmetry, noise, 25 against 100 images, and one family's "
    "similarity for another's models; measures what is missing"
)
Variants = Annotated[
    AttributionChoice | None,
    typer.Option(
        "--attribution",
        help="How the study of objectives compares them: conductance costs some fourteen times the "
        "passes. Default: gradient_x_activation.",
        show_default=False,
    ),
]
TAKEN = ("--zoo", "--tasks", "--keep-duplicates")
METRICS = ("ndcg5", "tau", "regret1")


@dataclass(frozen=True)
class Catalogs:
    """Store, zoo and tasks, and how they are counted, as `vlmsel study` was told."""

    store: str
    zoo: str | None
    tasks: str | None
    seed: int
    keep_duplicates: bool
    attribution: AttributionChoice | None


def refuse(options: Mapping[str, object]) -> None:
    """Refuse options that choose what this study chooses itself.

    Raises:
        SettingsError: one of them was given.
    """
    for name, value in options.items():
        if value and name not in TAKEN:
            raise SettingsError(f"{name} has no effect on study {NAME}: leave it out")


def run(catalogs: Catalogs) -> "ObjectiveStudy":
    """Measure what is missing, and compare.

    Raises:
        StoreError: no accuracy is known.
        SelectionError: too little is known.
    """
    from vlmsel.api.objective_study import ATTRIBUTION, study_objectives
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.views.plan_run import run_plan, show_failures
    from vlmsel.execution.plan.run_options import RunOptions

    def measure(plan: "Plan", variant: "Workspace") -> "RunSummary":
        (kind,) = variant.wants if len(variant.wants) == 1 else ("profile",)
        what = "block embeddings" if kind == "embedding" else "profiles"
        return run_plan(plan, variant.store, RunOptions(), what=what)

    workspace = open_workspace(catalogs.store, zoo=catalogs.zoo, tasks=catalogs.tasks)
    chosen = catalogs.attribution
    found = study_objectives(
        workspace,
        measure,
        attribution=chosen.value if chosen else ATTRIBUTION,
        seed=catalogs.seed,
        keep_duplicates=catalogs.keep_duplicates,
    )
    show_failures(found.measured)
    return found


def write_page(file: Path, found: "ObjectiveStudy") -> None:
    """Write the results as Markdown, with the command, the machine and the date.

    Raises:
        StoreError: the file cannot be written.
    """
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.cli.views.page_origin import page_origin
    from vlmsel.evaluation.studies.objectives_page import ObjectivesHead, objectives_page

    left_out = found.left_out.unique(["kind", "name"], maintain_order=True)
    lines = [f"{kind} {name}: {reason}" for kind, name, reason in left_out.rows()]
    lines += [str(failure) for failure in found.measured.failures[:10]]
    head = ObjectivesHead(page_origin(), found.about, lines)
    write_output(file, objectives_page(head, found.rows), "--markdown")


def show(found: "ObjectiveStudy") -> None:
    """Print the groups, zoo by zoo, with the verdict of each zoo."""
    from vlmsel.evaluation.studies.objectives_page import HEADINGS, verdict

    rows = found.rows.filter(pl.col("metric").is_in(METRICS))
    for (zoo,), of_zoo in rows.group_by("zoo", maintain_order=True):
        for (group,), part in of_zoo.group_by("group", maintain_order=True):
            chosen = part.select(
                "selector", "variant", "metric", "mean", "gain", "change", "change_low",
                "change_high",
            )  # fmt: skip
            show_table(chosen, title=f"{zoo}: {HEADINGS.get(str(group), str(group))}")
        note(verdict(of_zoo, str(zoo)))

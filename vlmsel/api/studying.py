"""Studies on what a store knows: one experiment, its table, its figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.figure import Figure

from vlmsel.api.evaluating import Knowledge
from vlmsel.api.workspace import Workspace
from vlmsel.errors import StoreError
from vlmsel.evaluation.studies import STUDIES, StudyData
from vlmsel.execution.run import plan_profiles
from vlmsel.selection.registry import make_selector
from vlmsel.store.profiles import ProfileStore

SELECTORS = ("average-rank", "dcd", "dcd-pooled", "combined")


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    Attributes:
        table: one row a condition, selector and metric (or weight).
        figure: the table, drawn.
    """

    name: str
    description: str
    table: pl.DataFrame
    figure: Figure


def run_study(
    name: str,
    knowledge: Knowledge,
    *,
    variants: dict[str, pl.DataFrame] | None = None,
    selectors: Sequence[str] = SELECTORS,
    seed: int = 0,
) -> StudyResult:
    """Run one study.

    Args:
        name: key of `STUDIES`.
        knowledge: accuracies and profiles.
        variants: profiles of other settings on the same tasks, by the name that the table shows.
        selectors: which selectors are compared.
        seed: of what is drawn.

    Raises:
        SelectionError: the knowledge is too little for this study.
    """
    study = STUDIES[name]
    data = StudyData(
        accuracies=knowledge.accuracies,
        profiles=variants or {"block": knowledge.profiles},
        selectors={one: make_selector(one) for one in selectors},
        seed=seed,
    )
    table = study.function(data)
    return StudyResult(name, study.description, table, study.figure(table))


def stored_variants(workspace: Workspace, field: str) -> dict[str, pl.DataFrame]:
    """Profiles of the current zoo and tasks by the values of one setting that the store has.

    All other settings are those of the workspace.

    Args:
        workspace: the zoo, the tasks and the settings to start from.
        field: `attribution` or `granularity`.

    Raises:
        StoreError: no settings of the store have been measured on these tasks.
    """
    store = ProfileStore(workspace.store)
    own = workspace.settings.model_dump(exclude={field})
    found: dict[str, pl.DataFrame] = {}
    for digest, settings in store.settings().items():
        if settings.model_dump(exclude={field}) != own:
            continue
        plan = plan_profiles(
            workspace.zoo, workspace.tasks, workspace.store, settings, n_images=workspace.n_images
        )
        cells = plan.wanted & store.measured(digest)
        if cells:
            found[getattr(settings, field)] = store.scan(digest, cells=cells)
    if not found:
        raise StoreError(f"store {store.address} holds no profiles of these tasks")
    return found

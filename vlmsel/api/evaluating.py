"""The leave-one-out laboratory on what a store knows, or on published tables imported into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vlmsel.api.workspace import Workspace
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.held_out import IMAGENET_NAMES
from vlmsel.evaluation.leave_one_out import LeaveOneOut, leave_one_out
from vlmsel.evaluation.sweep import sweep
from vlmsel.selection.divergence import dcd_matrix
from vlmsel.selection.registry import make_selector, selector_names
from vlmsel.selection.similarity import Scale
from vlmsel.store.accuracies import AccuracyStore
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.prompts import has_classnames

MODEL = ["model", "pretrained"]


@dataclass(frozen=True)
class Knowledge:
    """What there is to learn from.

    Attributes:
        accuracies: model, pretrained, task, acc1, ... (fractions).
        profiles: long profiles; empty when there are none.
        about: where it comes from, one line for people.
    """

    accuracies: pl.DataFrame
    profiles: pl.DataFrame
    about: str

    @property
    def has_profiles(self) -> bool:
        """Whether selectors that compare profiles can be used."""
        return not self.profiles.is_empty()


def current_knowledge(workspace: Workspace) -> Knowledge:
    """Accuracies and profiles of the current zoo on the current tasks, and nothing older.

    Cells that are not measured are left out; the evaluation names models and tasks that lack them.

    Raises:
        StoreError: no profile, or no accuracy, of this zoo on these tasks is measured.
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
    """
    store = ProfileStore(workspace.store)
    store.require_settings(workspace.settings)
    plan = workspace.plan_profiles()
    cells = plan.wanted & store.measured(workspace.settings.digest)
    if not cells:
        raise _nothing(store, "profile")
    accuracies = _current_accuracies(workspace)
    if accuracies.is_empty():
        raise _nothing(store, "accuracy")
    about = (
        f"{len(workspace.zoo.models)} models, {len(workspace.tasks.tasks)} tasks, "
        f"store {store.address}"
    )
    return Knowledge(accuracies, store.scan(workspace.settings.digest, cells=cells), about)


def _nothing(store: ProfileStore, kind: str) -> StoreError:
    return StoreError(
        f"store {store.address} holds no {kind} of this zoo on these tasks: "
        f"run `vlmsel {kind}` with the same --store, --zoo and --tasks first"
    )


def _current_accuracies(workspace: Workspace) -> pl.DataFrame:
    # Without class names nothing was measured here, but published tables may have been imported.
    labelled = any(has_classnames(task) for task in workspace.tasks.tasks)
    keys = {cell.key for cell in workspace.plan_accuracies().wanted} if labelled else set()
    names = pl.DataFrame(
        [(m.model, m.pretrained) for m in workspace.zoo.models], schema=MODEL, orient="row"
    )
    tasks = [task.name for task in workspace.tasks.tasks]
    return (
        AccuracyStore(workspace.store)
        .scan(keys=keys)
        .join(names, on=MODEL, how="semi")
        .filter(pl.col("task").is_in(tasks))
    )


def imported_knowledge(store: str | Path) -> Knowledge:
    """What was imported into a store from published tables.

    Raises:
        StoreError: nothing was imported.
    """
    accuracies = AccuracyStore(store).scan()
    profiles = ProfileStore(store)
    address = profiles.address
    if accuracies.is_empty():
        raise StoreError(
            f"store {address} holds no accuracies: `vlmsel import accuracies FILE "
            f"--store {address}` reads a published table, `vlmsel profile` and "
            "`vlmsel accuracy` measure a zoo"
        )
    return Knowledge(accuracies, profiles.imported(), f"imported tables, store {address}")


def evaluate(
    knowledge: Knowledge,
    selectors: Sequence[str] | None = None,
    *,
    options: Mapping[str, Mapping[str, object]] | None = None,
) -> LeaveOneOut:
    """Leave every task out once; rank the zoo with every selector.

    Args:
        knowledge: accuracies and, for most selectors, profiles.
        selectors: names; by default all that the knowledge allows.
        options: options of a selector by its name.

    Raises:
        SelectionError: unknown selector, or too little is known.
    """
    names = selectors or _usable_selectors(knowledge)
    made = [make_selector(name, **(options or {}).get(name, {})) for name in names]
    profiles = knowledge.profiles if knowledge.has_profiles else None
    return leave_one_out(made, knowledge.accuracies, profiles)


def _usable_selectors(knowledge: Knowledge) -> list[str]:
    """Every selector that this knowledge can feed."""
    made = [make_selector(name) for name in selector_names()]
    with_imagenet = not knowledge.accuracies.filter(pl.col("task").is_in(IMAGENET_NAMES)).is_empty()
    return [
        selector.name
        for selector in made
        if (knowledge.has_profiles or not selector.needs_profiles)
        and (with_imagenet or selector.name != "imagenet")
    ]


def sweep_dcd(
    knowledge: Knowledge,
    *,
    etas: Sequence[float],
    gammas: Sequence[float],
    scale: Scale = "none",
    pooled: bool = False,
) -> pl.DataFrame:
    """Leave-one-out of DCD over a grid: eta, gamma, target, metric, value.

    Raises:
        SelectionError: there are no profiles, or the grid is impossible.
    """
    if not knowledge.has_profiles:
        raise SelectionError(f"a sweep needs profiles, and there are none in {knowledge.about}")
    return sweep(
        knowledge.accuracies,
        knowledge.profiles,
        etas=etas,
        gammas=gammas,
        scale=scale,
        pooled=pooled,
    )


def mean_dcd(knowledge: Knowledge, *, eta: float = 2.0) -> pl.DataFrame | None:
    """The DCD matrix of every model over the tasks with known accuracies; None without profiles."""
    if not knowledge.has_profiles:
        return None
    known = knowledge.accuracies.select("task").unique()
    return dcd_matrix(knowledge.profiles.join(known, on="task", how="semi"), eta=eta)

"""The leave-one-out laboratory on what a store knows, or on published tables imported into it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.api.published_tables import (
    chosen_accuracies,
    chosen_features,
    chosen_profiles,
    rename_to_known,
)
from vlmsel.api.text_knowledge import StoredTexts, read_texts, stored_text_kinds
from vlmsel.api.workspace import Workspace
from vlmsel.columns import IMAGENET_NAMES, MODEL
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.held_out import Extras
from vlmsel.evaluation.label_budgets import Budgets, leave_one_out_with_labels
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.sweep import sweep
from vlmsel.evaluation.twin_checkpoints import CountedOnce, count_once
from vlmsel.evidence.accuracies import join_imported
from vlmsel.evidence.evidence import Evidence
from vlmsel.evidence.failure import Failure
from vlmsel.published import stored_tables
from vlmsel.selection.dcd_table import dcd_matrix
from vlmsel.selection.needs import Supply, find_lacks
from vlmsel.selection.registry import make_selector, selector_names
from vlmsel.selection.selector import BaseSelector
from vlmsel.selection.similarity import Scale
from vlmsel.selection.texts.text_evidence import TextEvidence
from vlmsel.selection.zoo_answers import MEASURES, ZooAnswers, zoo_answers
from vlmsel.store.store import Store


@dataclass(frozen=True)
class Knowledge:
    """Known accuracies, profiles and answers of the source tasks.

    Attributes:
        accuracies: model, pretrained, task, acc1, ... (fractions).
        profiles: long profiles; empty when there are none.
        about: where it comes from, one line for people.
        notes: what was done to the tables that people should know, one line each.
        answers_of: gives `answers`, which few selectors ask for.
        kinds: measured on sources, beside profiles and answers.
        texts_of: gives `texts`, likewise.
    """

    accuracies: pl.DataFrame
    profiles: pl.DataFrame
    about: str
    notes: tuple[str, ...] = ()
    answers_of: Callable[[], Mapping[str, ZooAnswers]] = field(default=dict, repr=False)
    kinds: frozenset[str] = frozenset()
    texts_of: Callable[[], StoredTexts] = field(default=StoredTexts, repr=False)

    @property
    def has_profiles(self) -> bool:
        """True if selectors that compare profiles can be used."""
        return not self.profiles.is_empty()

    @cached_property
    def answers(self) -> Mapping[str, ZooAnswers]:
        """Answers of the zoo by task; empty where none are measured."""
        return self.answers_of()

    @cached_property
    def texts(self) -> StoredTexts:
        """Evidence of texts, and of labelled images; empty where none are measured."""
        return self.texts_of()

    def first_answers(self, n_images: int | None) -> dict[str, ZooAnswers]:
        """The answers on the first images of each task; as many as are profiled if None."""
        n_first = self._n_first(n_images)
        return {task: found.first_images(n_first) for task, found in self.answers.items()}

    def first_texts(self, n_images: int | None) -> TextEvidence:
        """The texts, with graphs of the first images of each task; as above."""
        return self.texts.first_images(self._n_first(n_images))

    def _n_first(self, n_images: int | None) -> int | None:
        if n_images is None and self.has_profiles:
            counts = self.profiles.group_by("task").agg(pl.col("image_id").n_unique())
            return int(counts["image_id"].to_numpy().max())
        return n_images


def current_knowledge(workspace: Workspace, *, with_logits: bool = False) -> Knowledge:
    """Accuracies, profiles and answers of the current zoo on the current tasks, nothing older.

    Cells that are not measured are left out; the evaluation names models and tasks that lack them.
    Without any profile the knowledge is that of the accuracies.

    Args:
        workspace: the zoo, the tasks and the store.
        with_logits: read the logits of the answers, too, for selectors that need them.

    Raises:
        StoreError: no accuracy of this zoo on these tasks is known.
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
    """
    store, evidence = workspace.store, workspace.evidence
    if with_logits:
        evidence = Evidence(store, workspace.catalogued, workspace.wants, with_logits=True)
    if "profile" in workspace.wants:
        store.require_settings(workspace.wants["profile"].measurement)
    accuracies = _current_accuracies(workspace, evidence)
    if accuracies.is_empty():
        raise _explain_no_accuracy(store, evidence.label_faults)
    about = (
        f"{len(workspace.zoo.models)} models, {len(workspace.tasks.tasks)} tasks, "
        f"store {store.address}"
    )
    notes = tuple(f"no accuracy on {fault.task}: {fault.reason}" for fault in evidence.label_faults)
    return Knowledge(
        accuracies,
        evidence.profiles,
        about,
        notes,
        answers_of=cache(lambda: zoo_answers(evidence.predictions)),
        kinds=stored_text_kinds(evidence),
        texts_of=cache(lambda: read_texts(evidence)),
    )


def _explain_no_accuracy(store: Store, faults: Sequence[Failure]) -> StoreError:
    why = f" ({faults[0].reason})" if faults else ""
    return StoreError(
        f"store {store.address} holds no accuracy of this zoo on these tasks{why}: "
        "run `vlmsel accuracy` with the same --store, --zoo and --tasks first"
    )


def _current_accuracies(workspace: Workspace, evidence: Evidence) -> pl.DataFrame:
    names = pl.DataFrame(
        [(m.model, m.pretrained) for m in workspace.zoo.models], schema=MODEL, orient="row"
    )
    tasks = [task.name for task in workspace.tasks.tasks]
    found = join_imported(
        evidence.accuracies,
        stored_tables.read_accuracies(workspace.store.folder),
        address=workspace.store.address,
    )
    return found.join(names, on=MODEL, how="semi", maintain_order="left").filter(
        pl.col("task").is_in(tasks)
    )


def imported_knowledge(
    store: str | Path, *, accuracies: Sequence[str] = (), profiles: Sequence[str] = ()
) -> Knowledge:
    """Read the knowledge that was imported into a store from published tables.

    Args:
        store: folder or address.
        accuracies: names of imported accuracies, the first one counts; all when empty.
        profiles: names of imported profiles, likewise.

    Raises:
        StoreError: nothing was imported, a name is unknown, or tables contradict each other.
    """
    known = chosen_accuracies(store, accuracies)
    shapes, renamed = rename_to_known(chosen_profiles(store, profiles), known)
    if not shapes.is_empty() and shapes.join(known, on=[*MODEL, "task"], how="semi").is_empty():
        raise StoreError(
            f"no model and task has both an imported profile and an imported accuracy "
            f"(profiles: {_name_two_models(shapes)}; accuracies: {_name_two_models(known)}); "
            "import tables of the same models, or choose with --accuracies NAME and --profiles NAME"
        )
    features, of_features = rename_to_known(chosen_features(store), known, "features")
    sources = ", ".join(sorted({*known["source"], *shapes["source"]}))
    about = f"imported tables {sources}, store {Store(store).address}"
    return Knowledge(
        known,
        shapes,
        about,
        (*renamed, *of_features),
        kinds=frozenset({"text"} if features.height else ()),
        texts_of=cache(lambda: StoredTexts(features=features)),
    )


def _name_two_models(table: pl.DataFrame) -> str:
    """Two models of a table, for a message."""
    keys = table.select(MODEL).unique().sort(MODEL)
    shown = ", ".join("/".join(key) for key in keys.head(2).rows())
    return shown if keys.height <= 2 else f"{shown} and {keys.height - 2} more"


def evaluate(
    knowledge: Knowledge,
    selectors: Sequence[str] | None = None,
    *,
    options: Mapping[str, Mapping[str, object]] | None = None,
    keep_duplicates: bool = False,
    budgets: Budgets | None = None,
    answered: int | None = None,
    is_cached: bool = True,
) -> LeaveOneOut:
    """Leave every task out once; rank the zoo with every selector.

    Args:
        knowledge: accuracies and, for most selectors, profiles.
        selectors: names; by default all that the knowledge allows.
        options: options of a selector by its name.
        keep_duplicates: count near-duplicate checkpoints as models of their own; else one of each
            group stays, and `left_out` names the others.
        budgets: simulated labels for the selectors that take some; see `leave_one_out_with_labels`.
        answered: unlabelled images of each task that selectors may look at the answers on; as many
            as are profiled if None.
        is_cached: what was judged before is taken from the user's cache, and the rest kept there.

    Raises:
        SelectionError: unknown selector, or too little is known.
    """
    names = selectors or usable_selectors(knowledge, has_labels=budgets is not None)
    made = make_selectors(names, options or {})
    once = judged_tables(knowledge, keep_duplicates=keep_duplicates)
    needy = any(selector.needs_answers for selector in made)
    answers = knowledge.first_answers(answered) if needy else None
    has_texts = any(selector.needs_texts for selector in made)
    texts = knowledge.first_texts(answered) if has_texts else None
    found = leave_one_out_with_labels(
        made,
        once.accuracies,
        once.profiles,
        budgets,
        answers,
        is_cached=is_cached,
        extras=Extras(texts=texts),
    )
    unusable = (
        {} if selectors else find_unusable_selectors(knowledge, has_labels=budgets is not None)
    )
    rows = [("selector", name, reason) for name, reason in unusable.items()]
    rejected = pl.DataFrame(rows, schema=once.left_out.schema, orient="row")
    return replace(found, left_out=pl.concat([rejected, once.left_out, found.left_out]))


def make_selectors(
    names: Sequence[str], options: Mapping[str, Mapping[str, object]]
) -> list[BaseSelector]:
    """Selectors with their options.

    Raises:
        SelectionError: unknown name, impossible option, or options of a selector not in `names`.
    """
    for name in options:
        if name not in names:
            raise SelectionError(
                f"there are options for {name}, which is not compared here: {', '.join(names)}"
            )
    return [make_selector(name, **options.get(name, {})) for name in names]


def judged_tables(knowledge: Knowledge, *, keep_duplicates: bool = False) -> CountedOnce:
    """The tables that a laboratory works on: no near-duplicate checkpoint twice, unless asked."""
    profiles = knowledge.profiles if knowledge.has_profiles else None
    if keep_duplicates:
        none = pl.DataFrame(schema=dict.fromkeys(("kind", "name", "reason"), pl.String))
        return CountedOnce(knowledge.accuracies, profiles, none)
    return count_once(knowledge.accuracies, profiles)


def usable_selectors(knowledge: Knowledge, *, has_labels: bool = False) -> list[str]:
    """List the selectors that have all their inputs in this knowledge."""
    unusable = find_unusable_selectors(knowledge, has_labels=has_labels)
    return [name for name in selector_names() if name not in unusable]


def require_inputs(selector: str | None, knowledge: Knowledge) -> None:
    """Refuse, before long work, a selector that lacks inputs to rank a new target.

    Args:
        selector: by name; None for the default, which is average rank at least.
        knowledge: accuracies and profiles of the sources.

    Raises:
        SelectionError: there is no such selector, or the knowledge lacks what it needs; says what
            to do about it.
    """
    supply = supply_of(knowledge)
    lacks = find_lacks(make_selector(selector or BASELINE).needs, supply)
    if not lacks:
        return
    if selector is None:
        raise SelectionError(f"no selector can rank new images: {lacks[0]}")
    names = [name for name in selector_names() if not find_lacks(make_selector(name).needs, supply)]
    usable = f"; usable are {', '.join(names)}" if names else ""
    raise SelectionError(f"selector {selector} cannot rank new images: {lacks[0]}{usable}")


def find_unusable_selectors(knowledge: Knowledge, *, has_labels: bool = False) -> dict[str, str]:
    """List the other selectors with what they lack for a leave-one-out over the sources."""
    supply = supply_of(knowledge)
    supply = replace(
        supply,
        # Each source is the target once: what is measured on sources is measured on targets.
        on_target=supply.on_sources,
        # Too few sources are no selector's lack: a leave-one-out says so by itself.
        n_sources=max(2, supply.n_sources),
        class_names=not supply.on_sources.isdisjoint({"prediction", "text"}),
        labels="all" if has_labels else "none",
        truth=True,
    )
    lacks = {name: find_lacks(make_selector(name).needs, supply) for name in selector_names()}
    unread = _selectors_without_logits(knowledge) if knowledge.answers else {}
    return unread | {name: str(found[0]) for name, found in lacks.items() if found}


def supply_of(knowledge: Knowledge, *, class_names: bool = False) -> Supply:
    """List the inputs for ranking a new target, of which every kind can still be measured.

    Args:
        knowledge: of the sources.
        class_names: whether those of the target are known.
    """
    known = knowledge.accuracies.filter(pl.col("acc1").is_finite())
    counts = known.group_by("task").agg(pl.struct(MODEL).n_unique())
    profiled = set(knowledge.profiles["task"]) & set(known["task"]) - set(IMAGENET_NAMES)
    kinds = {"profile": bool(profiled), "prediction": bool(knowledge.answers)}
    return Supply(
        on_sources=frozenset(kind for kind, known in kinds.items() if known) | knowledge.kinds,
        on_target=frozenset({"profile", "embedding", "prediction", "text"}),
        n_models=dict(counts.rows()),
        n_sources=len(set(known["task"]) - set(IMAGENET_NAMES)),
        class_names=class_names,
    )


def _selectors_without_logits(knowledge: Knowledge) -> dict[str, str]:
    """Selectors that read more of the answers than their classes, where that was not read."""
    known = {
        measure
        for found in knowledge.answers.values()
        for measure in MEASURES
        if np.isfinite(getattr(found, measure)).any()
    }
    needy = {name: make_selector(name).reads for name in selector_names()}
    lack = "it reads the logits of the answers: ask for it by --selector"
    return {name: lack for name, reads in needy.items() if not known.issuperset(reads)}


def sweep_dcd(
    knowledge: Knowledge,
    *,
    etas: Sequence[float],
    gammas: Sequence[float],
    scale: Scale = "none",
    pooled: bool = False,
    keep_duplicates: bool = False,
) -> pl.DataFrame:
    """Leave-one-out of DCD over a grid: eta, gamma, target, metric, value.

    Raises:
        SelectionError: there are no profiles, or the grid is impossible.
    """
    if not knowledge.has_profiles:
        raise SelectionError(f"a sweep needs profiles, and there are none in {knowledge.about}")
    once = judged_tables(knowledge, keep_duplicates=keep_duplicates)
    return sweep(
        once.accuracies,
        knowledge.profiles if once.profiles is None else once.profiles,
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

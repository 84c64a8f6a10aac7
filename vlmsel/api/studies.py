"""Studies on what a store knows: one experiment, its table, its figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
from matplotlib.figure import Figure

from vlmsel.api.laboratory import Knowledge, judged_tables, make_selectors, usable_selectors
from vlmsel.api.workspace import Workspace
from vlmsel.errors import StoreError
from vlmsel.evaluation.studies import STUDIES, StudyData
from vlmsel.evidence.evidence import Evidence
from vlmsel.measurements.profile import Profile
from vlmsel.report.study_figures import STUDY_FIGURES
from vlmsel.settings import PATH_FIELDS, AttributionSettings

SELECTORS = ("average-rank", "dcd", "dcd-pooled", "combined")


@dataclass(frozen=True)
class StudyResult:
    """The table and figure of a study.

    Attributes:
        table: one row per condition, selector and metric (or weight).
        figure: the table, drawn.
        left_out: kind, name, reason of near-duplicates that were counted once.
    """

    name: str
    description: str
    table: pl.DataFrame
    figure: Figure
    left_out: pl.DataFrame


def run_study(
    name: str,
    knowledge: Knowledge,
    *,
    variants: dict[str, pl.DataFrame] | None = None,
    selectors: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    seed: int = 0,
    keep_duplicates: bool = False,
) -> StudyResult:
    """Run one study.

    Args:
        name: key of `STUDIES`.
        knowledge: accuracies and profiles.
        variants: profiles of other settings on the same tasks, by the name that the table shows.
        selectors: which selectors are compared; by default all that the knowledge allows in the
            study of zoos, which is quick, and `SELECTORS` elsewhere.
        options: options of a selector by its name.
        seed: of what is drawn.
        keep_duplicates: count near-duplicate checkpoints as models of their own.

    Raises:
        SelectionError: the knowledge is too little for this study.
    """
    study = STUDIES[name]
    once = judged_tables(knowledge, keep_duplicates=keep_duplicates)
    kept = once.accuracies.select("model", "pretrained").unique()
    shapes = variants or {"block": knowledge.profiles}
    names = selectors or (usable_selectors(knowledge) if name == "zoos" else SELECTORS)
    data = StudyData(
        accuracies=once.accuracies,
        profiles={
            variant: frame.join(kept, on=kept.columns, how="semi", maintain_order="left")
            for variant, frame in shapes.items()
        },
        selectors={selector.name: selector for selector in make_selectors(names, options or {})},
        seed=seed,
    )
    table = study.function(data)
    return StudyResult(name, study.description, table, STUDY_FIGURES[name](table), once.left_out)


def stored_variants(workspace: Workspace, field: str) -> dict[str, pl.DataFrame]:
    """Profiles of the current zoo and tasks by the values of one setting that the store has.

    All other settings are those of the workspace; those of the path from the baseline may differ
    between attributions, since a gradient has no path.

    Args:
        workspace: the zoo, the tasks and the settings to start from.
        field: `attribution` or `granularity`.

    Raises:
        StoreError: no settings of the store have been measured on these tasks.
    """
    store = workspace.store
    free = {field, *(PATH_FIELDS if field == "attribution" else ())}
    wanted = workspace.settings
    found: dict[str, pl.DataFrame] = {}
    stored = [
        profile for profile in store.settings("profile").values() if isinstance(profile, Profile)
    ]
    # Those nearest to the workspace's own first: they stand for their value of the field.
    for measurement in sorted(
        stored, key=lambda profile: _count_differences(profile.settings, wanted)
    ):
        settings = measurement.settings
        if settings.model_dump(exclude=free) != wanted.model_dump(exclude=free):
            continue
        if getattr(settings, field) in found:
            continue
        evidence = workspace.evidence
        if settings != wanted:
            want = replace(workspace.wants["profile"], measurement=measurement)
            evidence = Evidence(store, workspace.catalogued, {"profile": want})
        if evidence.files("profile"):
            found[getattr(settings, field)] = evidence.profiles
    if not found:
        raise StoreError(f"store {store.address} holds no profiles of these tasks")
    return found


def _count_differences(settings: AttributionSettings, other: AttributionSettings) -> int:
    """Count the settings that differ."""
    values = other.model_dump()
    return sum(value != values[name] for name, value in settings.model_dump().items())

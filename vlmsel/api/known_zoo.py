"""Knowledge of a zoo before any image is looked at: a store's, or the shipped table's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.addresses import output_address
from vlmsel.api.laboratory import Knowledge, current_knowledge
from vlmsel.api.workspace import Workspace, open_workspace, remembers
from vlmsel.columns import IMAGENET_NAMES, MODEL
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.twin_checkpoints import count_once
from vlmsel.measurements.prediction import Prediction
from vlmsel.published import stored_tables
from vlmsel.published.real_models import ABOUT, loading_line, real_models
from vlmsel.selection.knowledge import ModelKey, value_matrix
from vlmsel.store.store import Store
from vlmsel.zoo.catalog import ModelSpec, load_zoo

FACTS = ["parameters_m", "gflops", "input_size", "average_38", "licence"]


@dataclass(frozen=True)
class KnownZoo:
    """A zoo with what other tasks say of it.

    Attributes:
        specs: how to get each model, by (model, pretrained); near-duplicates once.
        accuracy: (sources, models), NaN where unknown; ImageNet is no row.
        sources: names of the rows.
        imagenet: (models,), None where no model has it.
        facts: model, pretrained, then `FACTS`; one row per model, in their order.
        about: where it comes from, one line.
        source: zoo file or shipped name; empty for the shipped table.
        store: where answers on images are kept.
        measurement: settings of predictions.
        is_shipped: whether it is the shipped table of real models.
        knowledge: of the sources; None for the shipped table.
        left_out: near-duplicates, one line each.
    """

    specs: Mapping[ModelKey, ModelSpec]
    accuracy: np.ndarray
    sources: tuple[str, ...]
    imagenet: np.ndarray | None
    facts: pl.DataFrame
    about: str
    source: str
    store: Store
    measurement: Prediction
    is_shipped: bool
    knowledge: Knowledge | None = field(default=None, repr=False)
    left_out: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[ModelKey, ...]:
        """(model, pretrained) of the columns."""
        return tuple(self.specs)

    def loading_line(self, place: int) -> str:
        """Code that loads a model: open_clip's own, or a zoo file's weights."""
        spec = self.specs[self.models[place]]
        if spec.encoder is not None:
            return f"# {spec.encoder} builds it; weights: {spec.weights}"
        if spec.weights is not None:
            spec_line = f'zoo.load_zoo("{self.source}").find("{spec.name}")'
            return f"from vlmsel import zoo; zoo.load_model({spec_line})"
        return loading_line(spec.model, spec.pretrained)


def is_empty(store: str) -> bool:
    """True if a store holds no run and no imported table, or is not there."""
    address = output_address(store, "store", StoreError)
    return (
        not remembers(address) and stored_tables.read_accuracies(Store(address).folder).is_empty()
    )


def known_zoo(store: str, zoo: str | None, tasks: str | None) -> KnownZoo:
    """The zoo of a store; the published models where the store is empty or not there.

    Raises:
        StoreError, CatalogError, SelectionError: as `stored_zoo` and `shipped_zoo`.
    """
    if tasks is None and is_empty(store):
        return shipped_zoo(store, zoo)
    return stored_zoo(store, zoo, tasks)


def stored_zoo(store: str, zoo: str | None, tasks: str | None) -> KnownZoo:
    """The zoo of a store, with the accuracies that are measured or imported there.

    A store that knows no accuracy gives a zoo without sources: labels alone can rank it.

    Raises:
        StoreError, CatalogError: the store or a catalog cannot be read.
    """
    workspace = open_workspace(store, zoo=zoo, tasks=tasks, kinds=["prediction"])
    try:
        knowledge = current_knowledge(workspace)
    except StoreError:
        knowledge = None
    return zoo_of_workspace(workspace, knowledge)


def zoo_of_workspace(workspace: Workspace, knowledge: Knowledge | None) -> KnownZoo:
    """The zoo of a workspace that wants predictions, with what is known of the sources."""
    specs = {(spec.model, spec.pretrained): spec for spec in workspace.zoo.models}
    measurement = workspace.wants["prediction"].measurement
    assert isinstance(measurement, Prediction)
    return _build_zoo(
        specs,
        _no_accuracies() if knowledge is None else knowledge.accuracies,
        about=f"store {workspace.address}",
        source=workspace.zoo_source,
        store=workspace.store,
        measurement=measurement,
        knowledge=knowledge,
    )


def shipped_zoo(store: str, zoo: str | None) -> KnownZoo:
    """The real models of the shipped table; with a zoo file those of its models that it knows.

    Raises:
        CatalogError: the zoo cannot be read.
        SelectionError: the table knows none of its models.
    """
    table = real_models()
    known = table.models.select(MODEL).rows()
    specs = {key: ModelSpec(model=key[0], pretrained=key[1]) for key in known}
    if zoo is not None:
        asked = {(spec.model, spec.pretrained): spec for spec in load_zoo(zoo).models}
        specs = {key: spec for key, spec in asked.items() if key in specs}
        if not specs:
            raise SelectionError(
                f"the published table knows no model of zoo {zoo}: measure source tasks "
                "(`vlmsel measure prediction ...`), or use names of `vlmsel models --zoo real`"
            )
    return _build_zoo(
        specs,
        table.classifications,
        about=ABOUT,
        source=zoo or "",
        store=Store(output_address(store, "store", StoreError)),
        measurement=Prediction(),
        is_shipped=True,
    )


def _build_zoo(
    specs: Mapping[ModelKey, ModelSpec],
    accuracies: pl.DataFrame,
    *,
    about: str,
    source: str,
    store: Store,
    measurement: Prediction,
    knowledge: Knowledge | None = None,
    is_shipped: bool = False,
) -> KnownZoo:
    keys = pl.DataFrame(list(specs), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    known = accuracies.join(keys, on=MODEL, how="semi")
    once = count_once(known)
    # Not by the names in `left_out`: a model's own name may hold a slash.
    dropped = set(known.join(once.accuracies, on=MODEL, how="anti").select(MODEL).rows())
    kept = {key: spec for key, spec in specs.items() if key not in dropped}
    tasks = set(once.accuracies["task"])
    sources = tuple(sorted(tasks - set(IMAGENET_NAMES)))
    # Published tables cover more models than a task of the user's own.
    reference = next((name for name in reversed(IMAGENET_NAMES) if name in tasks), None)
    models = list(kept)
    imagenet = None
    if reference is not None:
        imagenet = value_matrix(once.accuracies, "acc1", models, [reference])[:, 0]
    remaining = pl.DataFrame(models, schema=dict.fromkeys(MODEL, pl.String), orient="row")
    facts = remaining.join(
        real_models().models.select(*MODEL, *FACTS), on=MODEL, how="left", maintain_order="left"
    )
    return KnownZoo(
        specs=kept,
        accuracy=value_matrix(once.accuracies, "acc1", models, sources).T,
        sources=sources,
        imagenet=imagenet,
        facts=facts,
        about=about,
        source=source,
        store=store,
        measurement=measurement,
        is_shipped=is_shipped,
        knowledge=knowledge,
        left_out=tuple(f"{name}: {why}" for _, name, why in once.left_out.iter_rows()),
    )


def _no_accuracies() -> pl.DataFrame:
    return pl.DataFrame(schema={**dict.fromkeys((*MODEL, "task"), pl.String), "acc1": pl.Float64})


def read_evaluated(path: Path, models: tuple[ModelKey, ...]) -> dict[ModelKey, float]:
    """Read accuracies on the whole target: a CSV file with model, pretrained and acc1.

    Raises:
        SelectionError: another layout, a value that is no share of 1, a model that is not in the
            zoo, or a model twice.
    """
    from vlmsel.published.clean_tables import read_csv, to_numbers

    rows = to_numbers(read_csv(path, [*MODEL, "acc1"]), ["acc1"], path)
    found: dict[ModelKey, float] = {}
    for model, pretrained, value in rows.select(*MODEL, "acc1").iter_rows():
        key = (model, pretrained)
        if value is None or not 0 <= value <= 1:
            raise SelectionError(
                f"{path}: acc1 of {model}/{pretrained} is {value}, not a share of 1; divide "
                "percentages by 100"
            )
        if key not in models:
            raise SelectionError(
                f"{path}: {model}/{pretrained} is not in the zoo; name models as it does"
            )
        if key in found:
            raise SelectionError(f"{path}: {model}/{pretrained} comes twice; keep one row")
        found[key] = value
    return found

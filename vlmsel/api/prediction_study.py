"""Study of imported predictions: what unlabelled images add to a few labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.studies.powered_labels import (
    LABELS,
    N_DRAWS,
    lay_out_predictions,
    saving_of_predictions,
)
from vlmsel.published.stored_tables import read_predictions
from vlmsel.report.study_figures import saving_figure
from vlmsel.store.filesystem import open_folder


@dataclass(frozen=True)
class PredictionStudy:
    """The labels that predictions save.

    Attributes:
        rows: of `saving_of_predictions`, zoo after zoo.
        figure: realised and stated ratio against the number of labels.
        left_out: kind ("zoo"), name, reason of what could not be used.
    """

    rows: pl.DataFrame
    figure: Figure
    left_out: pl.DataFrame


def has_predictions(store: str | Path) -> bool:
    """Tell whether predictions were imported into a store."""
    return not read_predictions(open_folder(store)).is_empty()


def study_predictions(
    store: str | Path,
    *,
    labels: Sequence[int] = LABELS,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> PredictionStudy:
    """Study every imported set of predictions: all its models, and each kind of model by itself.

    Args:
        store: folder or address.
        labels: numbers of labelled images.
        n_draws: draws of labelled images.
        seed: of the draws.

    Raises:
        StoreError: no predictions were imported.
        SelectionError: none of them can be used.
    """
    folder = open_folder(store)
    known = read_predictions(folder)
    if known.is_empty():
        raise StoreError(
            f"store {folder.address} holds no imported predictions: `vlmsel import predictions "
            f"FILE --store {folder.address}` reads them"
        )
    rows, dropped = [], []
    for name, predictions in prediction_zoos(known):
        try:
            answered = lay_out_predictions(predictions, name)
            draws = {"labels": labels, "n_draws": n_draws, "seed": seed}
            rows.append(saving_of_predictions(answered, **draws))
        except SelectionError as error:
            dropped.append(("zoo", name, str(error)))
    if not rows:
        raise SelectionError(f"no imported predictions can be studied: {dropped[-1][-1]}")
    found = pl.concat(rows)
    left_out = pl.DataFrame(dropped, schema=["kind", "name", "reason"], orient="row")
    return PredictionStudy(found, saving_figure(found), left_out.cast(pl.String))


def prediction_zoos(known: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Name and rows of every task, whole and by kind of model (`pretrained`)."""
    for (source, task), rows in known.group_by("source", "task", maintain_order=True):
        name = f"{source}" if source == task else f"{source}: {task}"
        yield name, rows
        kinds = rows["pretrained"].unique().sort()
        for kind in kinds if len(kinds) > 1 else ():
            yield f"{name}, {kind}", rows.filter(pretrained=kind)

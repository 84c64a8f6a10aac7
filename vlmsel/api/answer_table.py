"""Table of an answer: one row per eligible model, best first."""

import numpy as np
import polars as pl

from vlmsel.api.known_zoo import KnownZoo
from vlmsel.columns import MODEL
from vlmsel.selection.answer import Answer, average_rank_order


def answer_table(found: Answer, zoo: KnownZoo) -> pl.DataFrame:
    """The eligible models, best first, with all that is known of each."""
    order = sorted((int(i) for i in found.among), key=lambda i: found.ranks[i])
    places = {int(i): at for at, i in enumerate(found.among)}
    means = _average_places(zoo.accuracy)
    right = np.nansum(found.hits, axis=0) if len(found.hits) else np.full(len(means), np.nan)
    advice = found.advice
    rows = []
    for i in order:
        at = places[i]
        row = dict(zip(MODEL, zoo.models[i], strict=True))
        row |= {"rank": int(found.ranks[i]), "accuracy": _number(found.accuracy[i])}
        for name, part in (
            ("low", "accuracy_low"),
            ("high", "accuracy_high"),
            ("p_best", "p_best"),
            ("p_top5", "p_top"),
            ("rank_low", "rank_low"),
            ("rank_high", "rank_high"),
        ):
            row[name] = None if advice is None else _number(getattr(advice, part)[at])
        row["average_rank"] = _number(means[i])
        row["imagenet"] = None if zoo.imagenet is None else _number(zoo.imagenet[i])
        run = bool(len(found.hits)) and bool(np.isfinite(found.hits[:, i]).any())
        row["labelled_hits"] = float(right[i]) if run else None
        rows.append(row)
    schema = {
        "rank": pl.Int64,
        **dict.fromkeys(MODEL, pl.String),
        **dict.fromkeys(("accuracy", "low", "high", "p_best", "p_top5"), pl.Float64),
        **dict.fromkeys(("rank_low", "rank_high", "average_rank"), pl.Int64),
        **dict.fromkeys(("imagenet", "labelled_hits"), pl.Float64),
    }
    table = pl.DataFrame(rows, schema=schema, strict=False)
    return table.join(zoo.facts, on=MODEL, how="left", maintain_order="left")


def _average_places(accuracy: np.ndarray) -> np.ndarray:
    """Place of each model by average rank; NaN where no source knows it."""
    places = np.full(accuracy.shape[1], np.nan)
    if accuracy.size:
        is_known = np.asarray(np.isfinite(accuracy).any(axis=0))
        order = average_rank_order(accuracy)
        known = order[is_known[order]]
        places[known] = np.arange(1, len(known) + 1)
    return places


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

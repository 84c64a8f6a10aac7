"""Checkpoints that are one model printed twice, or nearly so: a laboratory counts each once.

Two models are near-duplicates when their profiles are equal in every digit, or when their
accuracies are within `TOLERANCE` of each other on every task that both know, `MIN_TASKS` or more.
In open_clip's table the second rule finds pairs printed under two activations (difference 0) and
neighbouring epochs of one training run (at most 0.019); the next pair is 0.034 apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.published.twin_profiles import duplicate_groups

TOLERANCE = 0.02
MIN_TASKS = 10

Key = tuple[str, str]
Pair = tuple[Key, Key, str]


@dataclass(frozen=True)
class CountedOnce:
    """Tables in which no checkpoint counts twice.

    Attributes:
        accuracies: without the duplicates.
        profiles: without the duplicates; None when there were none.
        left_out: kind ("model"), name, reason.
    """

    accuracies: pl.DataFrame
    profiles: pl.DataFrame | None
    left_out: pl.DataFrame


def count_once(accuracies: pl.DataFrame, profiles: pl.DataFrame | None = None) -> CountedOnce:
    """Keep, by name, every model that is no near-duplicate of one kept before.

    Args:
        accuracies: model, pretrained, task, acc1.
        profiles: long profiles; when given, only models that have some are compared, so that the
            one that stays can be ranked.
    """
    known = accuracies.filter(pl.col("acc1").is_finite())
    pairs: list[Pair] = []
    if profiles is not None:
        known = known.join(profiles, on=MODEL, how="semi")
        profiled = profiles.join(known, on=MODEL, how="semi")
        for first, *others in duplicate_groups(profiled):
            pairs += [(first, other, "its profiles equal those of {}") for other in others]
    pairs += _find_agreeing(known)
    dropped = _all_but_first(pairs)
    rows = [("model", "/".join(key), f"{why}; counted once") for key, why in dropped.items()]
    schema = {"kind": pl.String, "name": pl.String, "reason": pl.String}
    return CountedOnce(
        _without(accuracies, list(dropped)),
        None if profiles is None else _without(profiles, list(dropped)),
        pl.DataFrame(rows, schema=schema, orient="row"),
    )


def _find_agreeing(known: pl.DataFrame) -> Iterator[Pair]:
    """Pairs whose accuracies are within the tolerance on every common task."""
    wide = known.pivot("task", index=MODEL, values="acc1", aggregate_function="first").sort(MODEL)
    keys = wide.select(MODEL).rows()
    values = wide.drop(MODEL).to_numpy().astype(float)
    for i in range(len(keys)):
        differences = np.abs(values[i + 1 :] - values[i])
        common = np.isfinite(differences).sum(1)
        close = (np.nan_to_num(differences).max(1, initial=0) <= TOLERANCE) & (common >= MIN_TASKS)
        for j in np.flatnonzero(close):
            most = np.nanmax(differences[j])
            same = "equal those of {}" if most == 0 else f"are within {most:.3f} of those of {{}}"
            yield keys[i], keys[i + 1 + j], f"its accuracies {same} on all {common[j]} tasks"


def _all_but_first(pairs: list[Pair]) -> dict[Key, str]:
    """Models that go, each with the reason, by name: those like one that stays.

    Not a chain: the first and the last of a row of similar models may be far apart.
    """
    alike: dict[Key, dict[Key, str]] = {}
    for first, second, reason in pairs:
        for key, like in ((second, first), (first, second)):
            alike.setdefault(key, {}).setdefault(like, reason.format("/".join(like)))
    dropped: dict[Key, str] = {}
    for key in sorted(alike):
        like = next((first for first in alike[key] if first < key and first not in dropped), None)
        if like is not None:
            dropped[key] = alike[key][like]
    return dropped


def _without(frame: pl.DataFrame, keys: list[Key]) -> pl.DataFrame:
    dropped = pl.DataFrame(keys, schema=dict.fromkeys(MODEL, pl.String), orient="row")
    return frame.join(dropped, on=MODEL, how="anti", maintain_order="left")

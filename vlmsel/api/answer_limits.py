"""Limits on what a model may cost: its size, and its time per image where that was measured."""

import numpy as np
import polars as pl

from vlmsel.api.known_zoo import KnownZoo
from vlmsel.errors import SelectionError
from vlmsel.execution.plan.timings import read_timings
from vlmsel.measurements.embedding import Embedding

# Of the longest time of a model: less is no forward pass.
PASS_SHARE = 0.05
PARAMETERS, MILLISECONDS = "parameters_m", "ms_image"


def image_times(zoo: KnownZoo) -> pl.Series:
    """Look up the milliseconds per image of the visual encoder, from past runs of the store.

    Kinds that share a forward pass book it on the first of them, and the other takes next to
    nothing; where both had one of their own, the shorter counts, since a first pass warms up. The
    times are of the machine that ran the model, decoding not included.

    Returns:
        One value per model, null where it was not measured.
    """
    kinds = (zoo.measurement, Embedding())
    timings = [read_timings(zoo.store, measurement) for measurement in kinds]
    found = []
    for key in zoo.models:
        seconds = [known[name] for known in timings if (name := "/".join(key)) in known]
        passes = [value for value in seconds if value >= PASS_SHARE * max(seconds)]
        found.append(1000 * min(passes) if passes else None)
    return pl.Series(MILLISECONDS, found, dtype=pl.Float64)


def check_limits(max_params: float | None, max_ms: float | None) -> None:
    """Refuse limits that nothing can keep.

    Raises:
        SelectionError: one is not above 0.
    """
    if max_params is not None and max_params <= 0:
        raise SelectionError(
            f"the largest number of parameters must be above 0, not {max_params:g}"
        )
    if max_ms is not None and max_ms <= 0:
        raise SelectionError(f"the longest time per image must be above 0 ms, not {max_ms:g}")


def may_be_eligible(
    facts: pl.DataFrame, *, max_params: float | None, max_ms: float | None
) -> np.ndarray | None:
    """Find the models to run: within the limits, or of a time that a run would tell.

    Raises:
        SelectionError: there is none.
    """
    fits = _fits(facts, max_params=max_params, max_ms=max_ms)
    if fits is None or max_ms is None:
        return fits
    untimed = facts[MILLISECONDS].is_null().to_numpy()
    small = _fits(facts, max_params=max_params, max_ms=None)
    return fits | (untimed if small is None else untimed & small)


def eligible_models(
    facts: pl.DataFrame, *, max_params: float | None, max_ms: float | None
) -> tuple[np.ndarray | None, list[str]]:
    """Find the models within the limits; those of unknown size or time are not.

    Args:
        facts: one row per model, with the columns parameters_m and ms_image.
        max_params: millions of parameters; None is no limit.
        max_ms: milliseconds per image; None is no limit.

    Returns:
        (models,) booleans, None without a limit; and what was left out for want of knowledge.

    Raises:
        SelectionError: no model is within them.
    """
    fits = _fits(facts, max_params=max_params, max_ms=max_ms)
    if fits is None:
        return None, []
    notes, unknown = [], {}
    for limit, column, what in (
        (max_params, PARAMETERS, "of unknown size"),
        (max_ms, MILLISECONDS, "of a time per image that was not measured"),
    ):
        if limit is not None:
            unknown[column] = int(facts[column].is_null().sum())
            if unknown[column]:
                notes.append(f"{unknown[column]} models are {what} and so not eligible")
    if not fits.any():
        raise SelectionError(_explain_no_fit(len(facts), unknown, max_params, max_ms))
    return fits, notes


def limit_words(max_params: float | None, max_ms: float | None) -> str:
    """Name the limits for people; empty without one."""
    parts = []
    if max_params is not None:
        parts.append(f"at most {max_params:g} million parameters")
    if max_ms is not None:
        parts.append(f"at most {max_ms:g} ms per image")
    return " and ".join(parts)


def _fits(
    facts: pl.DataFrame, *, max_params: float | None, max_ms: float | None
) -> np.ndarray | None:
    limits = ((max_params, PARAMETERS), (max_ms, MILLISECONDS))
    parts = [
        facts[column].fill_null(np.inf).to_numpy() <= limit
        for limit, column in limits
        if limit is not None
    ]
    return np.logical_and.reduce(parts) if parts else None


def _explain_no_fit(
    n_models: int, unknown: dict[str, int], max_params: float | None, max_ms: float | None
) -> str:
    words = {PARAMETERS: "size", MILLISECONDS: "time"}
    lacks = ", ".join(f"{n} of {n_models} are of unknown {words[c]}" for c, n in unknown.items())
    options = [
        name for name, limit in (("--max-params", max_params), ("--max-ms", max_ms)) if limit
    ]
    return (
        f"no model is known to have {limit_words(max_params, max_ms)} ({lacks}); raise "
        f"{' or '.join(options)}"
    )

"""Directional Conductance Divergence (DCD) between the task profiles of each model, in polars."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import polars as pl

from vlmsel.columns import CELL, MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.similarity import effective_sources, similarity

__all__ = ["block_importance", "dcd_matrix", "effective_sources", "similarity", "task_profiles"]

EpsMode = Literal["absolute", "relative"]

# Elements of one batch's largest temporary: it should stay in the processor's cache.
BATCH_ELEMENTS = 320_000


def block_importance(
    profiles: pl.DataFrame | pl.LazyFrame,
    *,
    eta: float = 2.0,
    eps: float = 1e-8,
    eps_mode: EpsMode = "absolute",
) -> pl.DataFrame:
    """Weigh the blocks of every profile by its own shape.

    alpha = softmax(eta * t / max(||t||_2, eps)), which maximises <alpha, t^> + H(alpha) / eta
    (docs/internals/selection.md). eta = 0 weighs all blocks alike.

    Args:
        profiles: long rows or task profiles, see `task_profiles`.
        eta: sharpness of the importance.
        eps: floor of the norm and of the denominators of DCD.
        eps_mode: `absolute` takes eps as it is (the published form); `relative` takes eps *
            mean(|t|) of each target profile, so that a profile of order 1e-7 is treated like its
            own multiple of order 1.

    Returns:
        model, pretrained, task, importance (List[Float64], sums to 1).

    Raises:
        SelectionError: an option is out of range, or `task_profiles` refuses the profiles.
    """
    _check_options(eta, eps, eps_mode)
    table = task_profiles(profiles)
    return _with_importance(table, eta, eps, eps_mode).select(*CELL, "importance")


def dcd_matrix(
    profiles: pl.DataFrame | pl.LazyFrame,
    *,
    eta: float = 2.0,
    eps: float = 1e-8,
    eps_mode: EpsMode = "absolute",
    targets: Sequence[str] | None = None,
    compact: bool = False,
) -> pl.DataFrame:
    """Compute DCD for every model and every ordered pair of its tasks.

    DCD(S -> T) = sum_l alpha_l * |t_l - s_l| / (|t_l| + eps), with t the target and s the source
    profile, neither normalised, and alpha the importance of the target's blocks
    (docs/internals/selection.md).

    Args:
        profiles: long rows or task profiles, see `task_profiles`.
        eta: sharpness of the block importance.
        eps: see `block_importance`.
        eps_mode: see `block_importance`.
        targets: tasks to take as targets; all of them when None.
        compact: names as `pl.Enum` and rows unsorted: a fifth of the memory for large zoos. Polars
            joins an Enum to a String only after a cast.

    Returns:
        model, pretrained, source, target, dcd for every pair source != target that the model has
        profiles of; sorted by model, pretrained, target, source unless compact.

    Raises:
        SelectionError: an option is out of range, `task_profiles` refuses the profiles, or a target
            is unknown.
    """
    _check_options(eta, eps, eps_mode)
    table = task_profiles(profiles)
    known = table["task"].unique().sort().to_list()
    wanted = known if targets is None else sorted(set(targets))
    unknown = [task for task in wanted if task not in known]
    if unknown:
        raise SelectionError(f"no model has a profile of {', '.join(unknown)}; measure it first")
    tasks = [*wanted, *(task for task in known if task not in wanted)]
    names = {name: pl.Enum(table[name].unique().sort()) for name in CELL}
    cells = _weigh(table, eta, eps, eps_mode)
    weighted = cells.with_columns(pl.col(name).cast(dtype) for name, dtype in names.items())
    order = pl.Series("task", tasks, dtype=names["task"])
    parts = _batches(weighted, order, len(wanted), _width(table)) if len(tasks) > 1 else ()
    empty = pl.DataFrame(
        schema={**names, "source": names["task"], "target": names["task"], "dcd": pl.Float64}
    )
    pairs = pl.concat([empty.drop("task"), *parts])
    if compact:
        return pairs
    keys = [*MODEL, "target", "source"]
    return pairs.with_columns(pl.col(keys).cast(pl.String)).sort(keys)


def _with_importance(
    table: pl.DataFrame, eta: float, eps: float, eps_mode: EpsMode
) -> pl.DataFrame:
    """Add floor, the eps of each profile, and importance, in list arithmetic over whole columns."""
    t = pl.col("profile")
    size = t.list.eval(pl.element().abs())
    floor = pl.lit(eps) if eps_mode == "absolute" else eps * size.list.mean()
    norm = pl.max_horizontal((t * t).list.sum().sqrt(), floor)
    hat = pl.col("_hat")
    raised = (hat - hat.list.max()).list.eval(pl.element().exp())
    return (
        table.with_columns(_hat=t * (eta / norm), floor=floor)
        .with_columns(_raised=raised)
        .with_columns(importance=pl.col("_raised") / pl.col("_raised").list.sum())
        .drop("_hat", "_raised")
    )


def _weigh(table: pl.DataFrame, eta: float, eps: float, eps_mode: EpsMode) -> pl.DataFrame:
    """Lay out t and w = alpha / (|t| + eps) as arrays; zeros that fill short ones add nothing."""
    width = _width(table)
    size = pl.col("profile").list.eval(pl.element().abs())
    lists = _with_importance(table, eta, eps, eps_mode).select(
        *CELL, t="profile", w=pl.col("importance") / (size + pl.col("floor"))
    )
    pad = pl.lit(pl.Series([[0.0] * width], dtype=pl.List(pl.Float64)))
    return lists.with_columns(
        pl.col(name).list.concat(pad).list.head(width).list.to_array(width) for name in ("t", "w")
    )


def _width(table: pl.DataFrame) -> int:
    """Blocks of the longest profile."""
    return int(table.select(pl.col("profile").list.len().max()).item() or 0)


def _batches(
    table: pl.DataFrame, tasks: pl.Series, n_targets: int, width: int
) -> Iterator[pl.DataFrame]:
    """Yield the pairs of some models at a time: all sources of the first `n_targets` tasks.

    Rows lie task by task and, inside a task, model by model. Twice one under the other, the sources
    of all targets at a cyclic distance of d tasks are one slice, so that every distance is one
    expression over whole columns.
    """
    models = table.select(MODEL).unique().sort(MODEL)
    size = max(1, BATCH_ELEMENTS // max(1, n_targets * width))
    for batch in models.iter_slices(size):
        grid = tasks.to_frame().join(batch, how="cross", maintain_order="left_right")
        cells = grid.join(table, on=CELL, how="left", maintain_order="left")
        yield _pairs(
            pl.concat([cells, cells], rechunk=True),
            batch.height,
            n_targets * batch.height,
            len(tasks),
        )


def _pairs(cells: pl.DataFrame, step: int, n_rows: int, n_tasks: int) -> pl.DataFrame:
    """DCD of the first `n_rows` rows from the rows 1, 2, .. n_tasks - 1 steps further down."""
    t, w = pl.col("t").slice(0, n_rows), pl.col("w").slice(0, n_rows)
    distances = range(1, n_tasks)
    values = cells.select(
        (t - pl.col("t").slice(d * step, n_rows))
        .arr.eval(pl.element().abs())
        .arr.dot(w)
        .alias(str(d))
        for d in distances
    )
    target = cells.head(n_rows).select(*MODEL, target="task")
    pairs = [
        target.with_columns(source=cells["task"].slice(d * step, n_rows), dcd=values[str(d)])
        for d in distances
    ]
    columns = [*MODEL, "source", "target", "dcd"]
    return pl.concat(pairs).select(columns).drop_nulls("dcd")


def _check_options(eta: float, eps: float, eps_mode: EpsMode) -> None:
    if not math.isfinite(eta):
        raise SelectionError(f"eta must be a finite number, not {eta}")
    if not (math.isfinite(eps) and eps > 0):
        raise SelectionError(f"eps must be a finite number above 0, not {eps}")
    if eps_mode not in get_args(EpsMode):
        raise SelectionError(
            f"eps_mode must be one of {', '.join(get_args(EpsMode))}, not {eps_mode!r}"
        )

"""Published transferability scores beside rivals that never look at the target.

Pool by pool, every task is the target once. The rivals read tables alone: `average-rank` and
`average-accuracy` over the pool's other tasks, and `size`, the number of parameters.
"""

from collections.abc import Callable, Mapping

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import BASELINE, leave_one_out
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.evaluation.transfer_metrics import TRANSFER_METRICS
from vlmsel.selection.registry import make_selector

TABLE_ONLY = ("average-rank", "average-accuracy")
SIZE = "size"
ONE_SIZE = "all models have one size"


def judge_benchmarks(
    accuracies: pl.DataFrame, scores: pl.DataFrame, sizes: Mapping[str, int]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judge scores and rivals on every pool.

    Args:
        accuracies: pool, task, model, pretrained, acc1.
        scores: estimator, pool, task, model, pretrained, score (higher is better).
        sizes: parameters by model.

    Returns:
        Values: pool, selector, target, n_models, metric, value; and what was left out: pool, name,
        reason.

    Raises:
        SelectionError: there are no accuracies.
    """
    if accuracies.is_empty():
        raise SelectionError("these tables hold no accuracies; add one with trained accuracies")
    values, left_out = [], []
    for (pool,), known in accuracies.group_by("pool", maintain_order=True):
        found, unused = _judge_pool(str(pool), known, scores.filter(pl.col("pool") == pool), sizes)
        values.append(found)
        left_out += unused
    schema = dict.fromkeys(["pool", "name", "reason"], pl.String)
    return pl.concat(values), pl.DataFrame(left_out, schema=schema, orient="row")


def summarise_benchmarks(values: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """Mean of each metric over targets, with 95 % intervals, alone and against average rank.

    A score that is known on a part of the targets is compared on that part.

    Returns:
        pool, selector, metric, n_targets, mean, low, high, delta, delta_low, delta_high.
    """
    parts = [
        paired_bootstrap(rows.drop("pool", "n_models"), seed=seed, baseline=BASELINE).select(
            pl.lit(pool).alias("pool"), pl.all()
        )
        for (pool,), rows in values.group_by("pool", maintain_order=True)
    ]
    return pl.concat(parts)


def _judge_pool(
    pool: str, known: pl.DataFrame, scores: pl.DataFrame, sizes: Mapping[str, int]
) -> tuple[pl.DataFrame, list[tuple[str, str, str]]]:
    table = known.drop("pool")
    rivals = leave_one_out([make_selector(name) for name in TABLE_ONLY], table, references=())
    rankings = rivals.rankings.select("selector", "target", *MODEL, "score")
    left_out = [(pool, name, why) for _, name, why in rivals.left_out.iter_rows()]
    named = scores.select("estimator", "task", *MODEL, -pl.col("score"))
    rankings = [rankings, named.rename({"estimator": "selector", "task": "target"})]
    by_size = [name for name in table["model"].unique() if name in sizes]
    if len(by_size) < table["model"].n_unique():
        unknown = sorted(set(table["model"]) - set(by_size))
        left_out.append((pool, SIZE, f"the size of {', '.join(unknown[:3])}, ... is not known"))
    elif len({sizes[name] for name in by_size}) == 1:
        left_out.append((pool, SIZE, ONE_SIZE))
    else:
        parameters = {name: -float(sizes[name]) for name in by_size}
        size = table.select(
            pl.lit(SIZE).alias("selector"),
            pl.col("task").alias("target"),
            *MODEL,
            score=pl.col("model").replace_strict(parameters, return_dtype=pl.Float64),
        )
        rankings.append(size)
    truth = table.rename({"task": "target"})
    joined = pl.concat(rankings).join(truth, on=["target", *MODEL], how="inner")
    rows = []
    for (name, target), part in joined.group_by("selector", "target", maintain_order=True):
        whole = truth.filter(pl.col("target") == target).height
        if part.height < whole:
            why = f"on {target}: {part.height} of {whole} models have a score"
            left_out.append((pool, str(name), why))
            continue
        # Ties stay in the order of names, whatever the table's order.
        ordered = part.sort(MODEL)
        rows += [
            (pool, name, target, whole, metric, value)
            for metric, value in _measure(ordered["acc1"], ordered["score"]).items()
        ]
    schema = {
        **dict.fromkeys(("pool", "selector", "target"), pl.String),
        "n_models": pl.Int64,
        "metric": pl.String,
        "value": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row"), left_out


def _measure(truth: pl.Series, score: pl.Series) -> dict[str, float]:
    function: Callable[..., float]
    measured = {}
    for name, metric in TRANSFER_METRICS.items():
        function = metric.function
        measured[name] = function(truth.to_numpy(), score.to_numpy())
    return measured

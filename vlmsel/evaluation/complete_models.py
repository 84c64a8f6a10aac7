"""Models that know every task: a table without holes, where most models allow it."""

import polars as pl

from vlmsel.columns import MODEL

# With fewer complete models each task keeps a zoo of its own.
LEAST_SHARE = 0.75


def keep_complete(accuracies: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leave out the models that lack a task, when three quarters of the models or more lack none.

    Args:
        accuracies: model, pretrained, task, acc1; null and NaN mean unknown.

    Returns:
        The accuracies, and kind ("model"), name, reason of the models that were left out.
    """
    known = accuracies.filter(pl.col("acc1").is_finite())
    n_tasks = known["task"].n_unique()
    counts = known.group_by(MODEL).agg(n=pl.col("task").n_unique()).sort(MODEL)
    short = counts.filter(pl.col("n") < n_tasks)
    schema = {"kind": pl.String, "name": pl.String, "reason": pl.String}
    if short.is_empty() or short.height > (1 - LEAST_SHARE) * counts.height:
        return accuracies, pl.DataFrame(schema=schema)
    rows = [
        ("model", f"{model}/{pretrained}", f"known on {n} of {n_tasks} tasks")
        for model, pretrained, n in short.rows()
    ]
    kept = accuracies.join(short, on=MODEL, how="anti", maintain_order="left")
    return kept, pl.DataFrame(rows, schema=schema, orient="row")

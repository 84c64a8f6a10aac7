"""Small made-up zoos: accuracies and profiles with the irregularities of real tables."""

import numpy as np
import polars as pl
import pytest

TASKS = ("alpha", "beta", "gamma", "delta", "epsilon")


def make_tables(
    seed: int, n_models: int = 8, tasks: tuple[str, ...] = TASKS, holes: float = 0.0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accuracies (three decimals, so with ties) and long profiles of models of 4 or 6 blocks."""
    rng = np.random.default_rng(seed)
    accuracies, profiles = [], []
    for m in range(n_models):
        skill = rng.normal(0.5, 0.1)
        for task in tasks:
            if rng.random() >= holes:
                acc1 = float(np.clip(skill + rng.normal(0, 0.1), 0, 1).round(2))
                accuracies.append((f"model{m}", "tag", task, acc1))
            if rng.random() < holes:
                continue
            for block, value in enumerate(rng.gamma(2, 1e-5, 4 + 2 * (m % 2))):
                profiles.append((f"model{m}", "tag", task, "0", block, f"b{block}", float(value)))
    names = ["model", "pretrained", "task"]
    return (
        pl.DataFrame(accuracies, schema=[*names, "acc1"], orient="row"),
        pl.DataFrame(
            profiles,
            schema=[*names, "image_id", "block", "block_name", "conductance"],
            orient="row",
        ),
    )


@pytest.fixture
def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    return make_tables(0)

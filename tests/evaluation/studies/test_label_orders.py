"""Picking orders judged on pools whose classes are known."""

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.studies.label_orders import LabelledPool, judge_orders, label_pool
from vlmsel.evaluation.studies.label_orders_page import describe_orders, orders_page
from vlmsel.selection.orders import Pool

NOTHING = pl.DataFrame(schema=dict.fromkeys(("kind", "name", "reason"), pl.String))


def task(seed: int, *, with_probabilities: bool = True) -> LabelledPool:
    """Five models of falling skill on 60 images of three classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 60)
    logits = rng.normal(size=(5, 60, 3))
    for model, skill in enumerate((3.0, 2.2, 1.5, 0.8, 0.0)):
        logits[model, np.arange(60), truth] += skill
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    pool = Pool(p.argmax(axis=2), 3, p if with_probabilities else None)
    return label_pool(f"task {seed}", pool, truth)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    tables = {"many": [task(seed) for seed in range(3)], "one": [task(9, with_probabilities=False)]}
    return judge_orders(tables, labels=(4, 12), n_draws=2, pool_images=40)


def test_every_order_is_judged_at_every_number(rows: pl.DataFrame) -> None:
    many = rows.filter(table="many")
    orders = ["random", "coda", "coda, plain hits", "model-selector", "vma", "vma, plain hits"]
    assert many["selector"].unique(maintain_order=True).to_list() == orders
    assert many["n_labels"].unique(maintain_order=True).to_list() == [4, 12]
    assert many.height == 6 * 2 * 3
    assert rows.filter(table="one")["n_images"].unique().to_list() == [40]
    # Without probabilities CODA is out.
    assert "coda" not in rows.filter(table="one")["selector"]


def test_labels_help_and_differences_are_to_random(rows: pl.DataFrame) -> None:
    tau = rows.filter(table="many", metric="tau", selector="random").sort("n_labels")["mean"]
    assert tau[1] > tau[0]
    regret = rows.filter(table="many", metric="regret1", n_labels=12)
    by_name = {row["selector"]: row for row in regret.iter_rows(named=True)}
    coda = by_name["coda"]
    assert coda["delta"] == pytest.approx(coda["mean"] - by_name["random"]["mean"])
    assert (rows["mean"] <= 1).all()


def test_the_same_seed_gives_the_same(rows: pl.DataFrame) -> None:
    again = judge_orders({"many": [task(seed) for seed in range(3)]}, labels=(4, 12), n_draws=2)
    assert again.equals(rows.filter(table="many"))


def test_the_page_says_how_it_was_made_and_who_wins(rows: pl.DataFrame) -> None:
    page = orders_page("`vlmsel study orders` on 2026-01-01, a machine", rows, NOTHING)
    assert "Made by `vlmsel study orders` on 2026-01-01, a machine." in page
    assert "no random sample" in page
    assert "## many: 3 tasks, 5 models, 60 images to pick from" in page
    regret = rows.filter(table="many", n_labels=12, metric="regret1")
    best = regret.sort("mean", "selector").row(0, named=True)
    told = f"regret1: {'random' if best['selector'] == 'random' else best['selector']} is best"
    assert told in describe_orders(rows).splitlines()[1]


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(SelectionError, match="61 labels are more than the 60 images"):
        judge_orders({"many": [task(0), task(1)]}, labels=(61,))
    with pytest.raises(SelectionError, match="1 or more"):
        judge_orders({"many": [task(0)]}, labels=(0,))
    with pytest.raises(SelectionError, match="too few"):
        label_pool("x", Pool(np.zeros((1, 5), dtype=int), 2), np.zeros(5, dtype=int))

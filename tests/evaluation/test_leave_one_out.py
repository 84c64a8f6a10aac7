"""Leave-one-out: no peeking, fair zoos, nothing left out in silence."""

import polars as pl
import pytest

from tests.evaluation.conftest import TASKS, make_tables
from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.metrics import METRICS, evaluate_ranking
from vlmsel.selection import make_selector

Tables = tuple[pl.DataFrame, pl.DataFrame]


def test_average_rank_by_hand() -> None:
    # Models a, b, c; ranks on t1: 1 2 3, on t2: 2 1 3, on t3: 3 2 1.
    rows = [
        ("a", "t1", 0.9), ("b", "t1", 0.8), ("c", "t1", 0.7),
        ("a", "t2", 0.5), ("b", "t2", 0.6), ("c", "t2", 0.4),
        ("a", "t3", 0.1), ("b", "t3", 0.2), ("c", "t3", 0.3),
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema=["model", "task", "acc1"], orient="row").with_columns(
        pretrained=pl.lit("x")
    )
    result = leave_one_out([make_selector("average-rank")], table)
    first = result.rankings.filter(rank=1).select("target", "model").sort("target").rows()
    assert first == [("t1", "b"), ("t2", "a"), ("t3", "a")]  # t3: a and b tie at 1.5, by name
    regret = result.metrics.filter(metric="regret1").select("target", "value").sort("target")
    assert [value for _, value in regret.rows()] == pytest.approx([0.1, 0.1, 0.2])


def test_every_selector_target_and_metric(tables: Tables) -> None:
    selectors = [make_selector(name) for name in ("dcd", "dcd-pooled", "average-rank", "random")]
    result = leave_one_out(selectors, *tables)
    assert len(result.metrics) == len(selectors) * len(TASKS) * len(METRICS)
    assert result.metrics.select("selector", "target", "metric").is_unique().all()
    weights = result.weights.collect()
    assert set(weights["selector"]) == {"dcd", "dcd-pooled"}
    sums = weights.group_by("selector", "target", "model").agg(pl.col("weight").sum())
    assert sums["weight"].to_list() == pytest.approx([1.0] * len(sums))
    assert result.left_out.is_empty()
    for (selector, target), rows in result.rankings.group_by("selector", "target"):
        values = result.metrics.filter(selector=selector, target=target).select("metric", "value")
        ordered = rows.sort("rank")
        assert dict(values.rows()) == pytest.approx(
            evaluate_ranking(ordered["accuracy"], ordered["score"]), abs=1e-12
        )


def test_the_target_is_not_seen(tables: Tables) -> None:
    """Changing a target's own accuracies changes its metrics, never its ranking."""
    accuracies, profiles = tables
    shuffled = accuracies.with_columns(
        acc1=pl.when(pl.col("task") == "alpha")
        .then(pl.col("acc1").reverse().over("task"))
        .otherwise("acc1")
    )
    assert not shuffled.equals(accuracies)
    selectors = [make_selector(name) for name in ("dcd", "average-rank")]
    before, after = (
        leave_one_out(selectors, table, profiles)
        .rankings.filter(target="alpha")
        .select("selector", "model", "score")
        for table in (accuracies, shuffled)
    )
    assert before.equals(after)


def test_holes_make_a_zoo_a_target() -> None:
    accuracies, profiles = make_tables(1, holes=0.2)
    result = leave_one_out(
        [make_selector("dcd"), make_selector("average-rank")], accuracies, profiles
    )
    cells = accuracies.join(profiles, on=["model", "task"], how="semi")
    for target in TASKS:
        elsewhere = set(cells.filter(pl.col("task") != target)["model"])
        known = set(cells.filter(task=target)["model"]) & elsewhere
        for selector in ("dcd", "average-rank"):
            ranked = result.rankings.filter(target=target, selector=selector)
            assert set(ranked["model"]) == known


def test_what_is_left_out_is_named(tables: Tables) -> None:
    accuracies, profiles = tables
    unknown = accuracies.with_columns(
        acc1=pl.when(pl.col("task") == "beta").then(float("nan")).otherwise("acc1")
    )
    lonely = pl.DataFrame({"model": "m", "pretrained": "x", "task": "zeta", "acc1": 0.5})
    result = leave_one_out(
        [make_selector("dcd"), make_selector("imagenet")], pl.concat([unknown, lonely]), profiles
    )
    left_out = {(kind, name): reason for kind, name, reason in result.left_out.rows()}
    assert "no usable accuracy" in left_out["task", "beta"]
    assert "no usable profile" in left_out["task", "zeta"]
    assert "no usable profile" in left_out["model", "m/x"]
    assert "imagenet" in left_out["selector", "imagenet"]
    assert set(result.metrics["target"]) == set(TASKS) - {"beta"}
    assert set(result.metrics["selector"]) == {"dcd"}


def test_imagenet_is_a_reference_only(tables: Tables) -> None:
    accuracies, _ = tables
    imagenet = accuracies.filter(task="alpha").with_columns(
        task=pl.lit("imagenet1k"), acc1=1 - pl.col("acc1")
    )
    selectors = [make_selector("imagenet"), make_selector("average-rank")]
    result = leave_one_out(selectors, pl.concat([accuracies, imagenet]))
    alone = leave_one_out(selectors[1:], accuracies)
    assert set(result.metrics["target"]) == set(TASKS)
    assert result.rankings.filter(selector="average-rank").equals(alone.rankings)
    order = result.rankings.filter(selector="imagenet", target="beta").sort("rank")["model"]
    truth = imagenet.sort("acc1", descending=True)
    assert order[0] in truth.filter(acc1=truth["acc1"].max())["model"]


def test_named_variants_of_one_selector(tables: Tables) -> None:
    variants = {f"eta {eta}": make_selector("dcd", eta=eta) for eta in (0, 2)}
    result = leave_one_out(variants, *tables, targets=["alpha"])
    assert set(result.metrics["selector"]) == {"eta 0", "eta 2"}
    assert set(result.metrics["target"]) == {"alpha"}


def only(column: str, value: str) -> pl.Expr:
    return pl.col(column) == value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.filter(only("model", "model0")), "2 models in common"),
        (lambda t: t.filter(only("task", "alpha")), "no task can be held out"),
        (lambda t: t.with_columns(acc1=pl.lit(None)), "no finite acc1"),
        (lambda t: t.with_columns(acc1=pl.col("acc1") * 100), "divide percentages by 100"),
        (lambda t: pl.concat([t, t.with_columns(acc1=pl.lit(0.123))]), "two different accuracies"),
        (lambda t: t.drop("acc1"), "no column 'acc1'"),
        (
            lambda t: t.with_columns(model=pl.col("model") + "@" + pl.col("task")),
            "known for 0 model",
        ),
    ],
)
def test_impossible_tables(tables: Tables, change: object, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        leave_one_out([make_selector("average-rank")], change(tables[0]))  # pyright: ignore


def test_impossible_selectors(tables: Tables) -> None:
    with pytest.raises(SelectionError, match="needs profiles"):
        leave_one_out([make_selector("dcd")], tables[0])
    with pytest.raises(SelectionError, match="different names"):
        leave_one_out([make_selector("dcd")] * 2, *tables)
    with pytest.raises(SelectionError, match=r"could rank any task; on .*imagenet"):
        leave_one_out([make_selector("imagenet")], tables[0])

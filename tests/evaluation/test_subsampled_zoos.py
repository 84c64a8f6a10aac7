"""Sub-zoos: the whole zoo gives leave-one-out, smaller ones give what they give alone."""

import polars as pl
import pytest

from tests.evaluation.conftest import make_tables
from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.subsampled_zoos import subsampled_zoos, zoo_summary
from vlmsel.selection import make_selector

NAMES = ("dcd", "dcd-pooled", "average-rank")


def test_the_whole_zoo_is_leave_one_out(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    selectors = [make_selector(name) for name in NAMES]
    zoos = subsampled_zoos(selectors, *tables, n_zoos=3, share=1.0)
    # tau does not depend on how ties are broken, so it must agree exactly.
    means = leave_one_out(selectors, *tables).summary(n_bootstrap=1).filter(metric="tau")
    for selector, mean in means.select("selector", "mean").rows():
        got = zoos.filter(selector=selector, metric="tau")["value"].to_list()
        assert got == pytest.approx([mean] * 3)


def test_a_subzoo_is_ranked_as_if_it_were_alone() -> None:
    accuracies, profiles = make_tables(2, n_models=4)
    zoos = subsampled_zoos(
        [make_selector("dcd-pooled")], accuracies, profiles, n_zoos=40, share=0.5
    )
    got = {round(value, 9) for value in zoos.filter(metric="tau")["value"]}
    models = accuracies["model"].unique().sort().to_list()
    alone = set()
    for i, model in enumerate(models):
        for other in models[i + 1 :]:
            pair = [
                table.filter(pl.col("model").is_in([model, other]))
                for table in (accuracies, profiles)
            ]
            result = leave_one_out([make_selector("dcd-pooled")], *pair)
            values = result.metrics.filter(metric="tau")["value"].to_numpy()
            alone.add(round(float(values.mean()), 9))
    assert got == alone


def test_summary_counts_the_better_zoos() -> None:
    zoos = pl.DataFrame(
        {
            "zoo": [0, 1, 0, 1] * 2,
            "selector": ["average-rank"] * 2 + ["x"] * 2 + ["average-rank"] * 2 + ["x"] * 2,
            "metric": ["tau"] * 4 + ["regret1"] * 4,
            "value": [0.5, 0.5, 0.6, 0.5, 0.1, 0.1, 0.2, 0.0],
        }
    )
    rows = {(r["selector"], r["metric"]): r for r in zoo_summary(zoos).iter_rows(named=True)}
    assert rows["x", "tau"]["delta"] == pytest.approx(0.05)
    assert rows["x", "tau"]["p_better"] == 0.5
    assert rows["x", "regret1"]["p_better"] == 0.5  # lower is better
    assert rows["average-rank", "tau"]["p_better"] == 0.0


@pytest.mark.parametrize("share", [0.0, 1.5, 0.1])
def test_impossible_shares(tables: tuple[pl.DataFrame, pl.DataFrame], share: float) -> None:
    with pytest.raises(SelectionError, match=r"share must be|widen the zoo"):
        subsampled_zoos([make_selector("average-rank")], tables[0], share=share)

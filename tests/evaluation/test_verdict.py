"""The rule, on evidence made to fall on either side of it."""

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.paired_bootstrap import MIN_TARGETS
from vlmsel.evaluation.verdict import judge_evidence
from vlmsel.selection import make_selector, selector_names

METRICS = ("ndcg5", "tau", "regret1")
TARGETS = [f"t{i}" for i in range(12)]


def evidence(n_tasks: int = 12, /, **means: tuple[float, float, float]) -> LeaveOneOut:
    """Every selector has the same small scatter around (ndcg5, tau, regret1)."""
    rows = [
        (name.replace("_at_", "@").replace("_", "-"), target, 6, 11, metric, mean + 0.01 * (i % 3))
        for name, values in means.items()
        for metric, mean in zip(METRICS, values, strict=True)
        for i, target in enumerate(TARGETS[:n_tasks])
    ]
    metrics = pl.DataFrame(
        rows,
        schema=["selector", "target", "n_models", "n_sources", "metric", "value"],
        orient="row",
    )
    models = pl.DataFrame(
        {"rank": [1, 2], "model": ["m", "n"], "pretrained": "x", "accuracy": [0.5, 0.4]}
    )
    rankings = metrics.filter(metric="tau").select("selector", "target").join(models, how="cross")
    return LeaveOneOut(metrics, rankings, pl.LazyFrame(), pl.DataFrame())


RIVALS = {
    "average_rank": (0.80, 0.5, 0.03),
    "imagenet": (0.79, 0.5, 0.03),
    "random": (0.5, 0.0, 0.2),
}


def test_a_clear_winner_is_supported() -> None:
    verdict = judge_evidence({"table": evidence(dcd=(0.85, 0.6, 0.02), **RIVALS)})
    assert verdict.selector == "dcd"
    assert verdict.paragraph.startswith("Use dcd: it beats average rank and ImageNet accuracy")
    assert verdict.untrusted == ()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dcd", (0.80, 0.6, 0.02)),  # no better on the decisive metric
        ("dcd", (0.85, 0.4, 0.02)),  # worse tau
        ("dcd", (0.85, 0.6, 0.09)),  # worse regret
        ("oracle_similarity", (0.95, 0.9, 0.0)),  # peeks
    ],
)
def test_no_default_without_evidence(name: str, values: tuple[float, float, float]) -> None:
    verdict = judge_evidence({"table": evidence(**{name: values}, **RIVALS)})
    assert verdict.selector == "average-rank"
    assert verdict.paragraph.startswith("Use average-rank: ")


def test_the_words_name_what_was_compared_and_nothing_else() -> None:
    alone = judge_evidence({"a long name": evidence(dcd=RIVALS["average_rank"], **RIVALS)})
    assert alone.paragraph.startswith(
        "Use average-rank: dcd does not beat average rank and ImageNet accuracy on ndcg5"
    )
    assert "Looking at the target's images has not been shown to help." in alone.paragraph
    assert "a long name" not in alone.paragraph
    few = {"average_rank": RIVALS["average_rank"], "random": RIVALS["random"]}
    blind = judge_evidence(
        {"a": evidence(average_accuracy=few["random"], **few), "b": evidence(**few)}
    ).paragraph
    assert blind.startswith("Use average-rank: average-accuracy does not beat average rank on")
    assert "ImageNet" not in blind
    assert "images" not in blind
    assert "On a: In leave-one-out" in blind
    nothing = judge_evidence({"a": evidence(**few)}).paragraph
    assert nothing.startswith("Use average-rank: nothing was compared")
    won = judge_evidence({"a": evidence(dcd=(0.85, 0.6, 0.02), **few)}).paragraph
    assert won.startswith("Use dcd: it beats average rank on ndcg5")


def test_imagenet_accuracy_can_be_the_choice() -> None:
    strong = {**RIVALS, "imagenet": (0.9, 0.5, 0.03)}
    verdict = judge_evidence({"a": evidence(dcd=(0.85, 0.6, 0.02), **strong)})
    assert verdict.selector == "imagenet"
    assert verdict.paragraph.startswith("Use imagenet: it beats average rank on ndcg5 with")


def test_where_imagenet_accuracy_also_loses_it_says_so() -> None:
    strong = {**RIVALS, "imagenet": (0.9, 0.3, 0.03)}
    verdict = judge_evidence({"a": evidence(**strong)})
    assert verdict.selector == "average-rank"
    expected = "ImageNet accuracy is clearly better than average rank in ndcg5 here, and clearly "
    assert f"{expected}worse in tau." in verdict.paragraph
    assert expected not in judge_evidence({"a": evidence(**RIVALS)}).paragraph


LABELLED = {
    "posterior_at_0": (0.80, 0.5, 0.03),
    "posterior_at_10": (0.83, 0.52, 0.03),
    "posterior_at_25": (0.85, 0.6, 0.02),
}


def test_the_fewest_labels_that_are_supported_are_named() -> None:
    verdict = judge_evidence({"a": evidence(**LABELLED, **RIVALS)})
    assert (verdict.selector, verdict.labelled, verdict.n_labels) == (
        "average-rank",
        "posterior@10",
        10,
    )
    assert verdict.paragraph.startswith(
        "With 10 labelled images, drawn at random, use posterior: it beats average rank and "
        "ImageNet accuracy on ndcg5 with an interval that excludes zero (+0.030 over average "
        "rank; +0.050 with 25)"
    )
    assert "Without labels use average-rank: nothing was compared" in verdict.paragraph


def test_labels_must_gain_more_than_the_choice_without() -> None:
    verdict = judge_evidence({"a": evidence(dcd=(0.84, 0.6, 0.02), **LABELLED, **RIVALS)})
    assert (verdict.selector, verdict.labelled) == ("dcd", "posterior@25")
    assert "Without labels use dcd: it beats average rank" in verdict.paragraph


def test_labels_that_do_not_help_are_not_named() -> None:
    verdict = judge_evidence({"a": evidence(posterior_at_10=(0.8, 0.5, 0.03), **RIVALS)})
    assert (verdict.labelled, verdict.n_labels) == (None, 0)
    assert "labelled images" not in verdict.paragraph


@pytest.mark.parametrize("n_tasks", [1, 3, 9])
def test_of_few_tasks_nothing_can_be_said(n_tasks: int) -> None:
    verdict = judge_evidence({"a": evidence(n_tasks, dcd=(0.95, 0.9, 0.0), **RIVALS)})
    assert verdict.selector == "average-rank"
    assert verdict.too_few == {"a": n_tasks}
    assert verdict.paragraph.startswith("Nothing can be said of which selector is better: ")
    assert "interval" not in verdict.paragraph
    enough = judge_evidence({"a": evidence(10, dcd=(0.95, 0.9, 0.0), **RIVALS)})
    assert (enough.selector, enough.too_few) == ("dcd", {})


def test_the_bound_is_where_false_claims_become_rare() -> None:
    """Selectors that differ in nothing: how often is one called better, by number of tasks?"""
    rng = np.random.default_rng(0)
    rates = {}
    for n in (5, MIN_TARGETS):
        counts = rng.multinomial(n, np.full(n, 1 / n), 1000) / n
        low = np.quantile(rng.standard_normal((4000, n)) @ counts.T, 0.025, axis=1)
        rates[n] = (low > 0).mean()
    assert rates[MIN_TARGETS] < 0.06
    assert rates[5] > 0.07


def test_a_win_over_one_rival_only_is_no_win() -> None:
    strong = {**RIVALS, "imagenet": (0.9, 0.5, 0.03)}
    assert judge_evidence({"a": evidence(dcd=(0.85, 0.6, 0.02), **strong)}).selector != "dcd"


def test_a_loss_in_another_table_counts() -> None:
    good = evidence(dcd=(0.85, 0.6, 0.02), dcd_scaled=(0.83, 0.6, 0.02), **RIVALS)
    bad = evidence(dcd=(0.70, 0.6, 0.02), **RIVALS)
    assert judge_evidence({"good": good}).selector == "dcd"
    assert judge_evidence({"good": good, "bad": bad}).selector == "dcd-scaled"


def test_no_better_than_chance_is_said() -> None:
    lost = {"average_rank": (0.5, 0.0, 0.2), "random": (0.5, 0.0, 0.2)}
    verdict = judge_evidence({"hopeless": evidence(**lost)})
    assert verdict.untrusted == ("hopeless",)
    assert "No ranking can be trusted" in verdict.paragraph
    fine = evidence(**{name: RIVALS[name] for name in lost})
    two = judge_evidence({"fine": fine, "hopeless": evidence(**lost)})
    assert two.untrusted == ("hopeless",)
    assert "On hopeless no ranking can be trusted" in two.paragraph


def test_needs_the_baseline() -> None:
    with pytest.raises(SelectionError, match="holds no average-rank"):
        judge_evidence({"table": evidence(dcd=(0.8, 0.5, 0.1))})
    with pytest.raises(SelectionError, match="at least one"):
        judge_evidence({})


def test_the_default_is_a_selector_that_cannot_peek() -> None:
    assert BASELINE in selector_names()
    assert not make_selector(BASELINE).oracle

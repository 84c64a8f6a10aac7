"""Choosing a layer: golden choices, the null world, and the published protocol's sizes."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from tests.selection.layers.worlds import answers_of, flipped, null_world, outcomes_of
from vlmsel.selection.layers.adaptation import adapt, cross_fit
from vlmsel.selection.layers.published_protocol import draw_stratified, pool_size, run_protocol
from vlmsel.selection.layers.rules import (
    RULE_OF,
    RULES,
    default_rule,
    evidence,
    folds,
    published,
    significant,
    tied_best,
)

RNG = np.random.default_rng(0)


def test_ties_go_to_the_lowest_and_all_are_listed():
    base = [0, 0, 1, 1]
    hits = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1]])
    outcomes = outcomes_of(base, hits)
    assert outcomes.gains().tolist() == [0.0, 0.25, 0.25, 0.25]
    assert published(outcomes, RNG) == 1
    assert tied_best(outcomes.gains()) == (1, 2, 3)
    found = adapt(answers_of(outcomes), rule="published", n_resamples=5)
    assert found.ties == ("vision.1", "vision.2", "vision.3")


@pytest.mark.parametrize("rule", RULES)
def test_nothing_above_zero_keeps_the_base(rule):
    base = np.ones(30)
    hits = np.ones((30, 3))
    hits[:4, 1] = 0
    outcomes = outcomes_of(base, hits)
    assert RULE_OF[rule](outcomes, RNG) is None
    found = adapt(answers_of(outcomes), rule=rule, n_resamples=5)
    assert (found.layer, found.variant, found.cross_fit_gain) == (None, None, 0.0)
    assert found.shares == {"base": 1.0}


def test_evidence_is_the_paired_t_test_on_log_probabilities():
    rng = np.random.default_rng(1)
    n_items = 24
    base = np.zeros(n_items)
    hits = np.zeros((n_items, 2))
    hits[:2] = 1
    before = rng.normal(-2, 0.3, n_items)
    after = np.column_stack([before + rng.normal(0.5, 0.4, n_items), before - 0.1])
    outcomes = outcomes_of(base, hits, before, after)
    p = ttest_rel(after[:, 0], before, alternative="greater").pvalue
    assert p < 0.10 / 2
    assert evidence(outcomes, RNG) == 0
    weak = before + (after[:, 0] - before - (after[:, 0] - before).mean())
    assert evidence(outcomes_of(base, hits, before, np.column_stack([weak, weak])), RNG) is None
    # One image that is no number counts as five nats, not as infinity.
    after[0, 0] = -np.inf
    assert evidence(outcomes_of(base, hits, before, after), RNG) in (None, 0)


def test_significant_corrects_for_the_number_of_candidates():
    base = np.zeros(40)
    few = np.zeros((40, 1))
    few[:5] = 1
    assert significant(outcomes_of(base, few), RNG) == 0
    many = np.zeros((40, 4))
    many[:5, 2] = 1
    assert significant(outcomes_of(base, many), RNG) is None


@pytest.mark.parametrize(("n_items", "shot", "pool"), [(100, 10, 33), (300, 10, 40), (29, 10, 9)])
def test_golden_sizes_of_pool_and_evaluation_set(n_items, shot, pool):
    assert pool_size(n_items, shot) == pool
    found = run_protocol(flipped(np.random.default_rng(2), n_items, 3), np.arange(n_items) % 4)
    assert found is not None
    assert (found.n_pool, found.n_evaluation) == (pool, n_items - pool)


def test_the_protocol_skips_small_tasks_redraws_and_ends_with_the_base():
    strata = np.zeros(100)
    assert run_protocol(outcomes_of(np.ones(9), np.ones((9, 1))), strata[:9]) is None
    none = run_protocol(outcomes_of(np.zeros(100), np.zeros((100, 2))), strata)
    assert none is not None
    assert (none.choice, none.evaluation_gain) == (None, 0.0)
    assert none.n_rounds > 1
    best = np.zeros((100, 2))
    best[:, 1] = 1
    found = run_protocol(outcomes_of(np.zeros(100), best), strata)
    assert found is not None
    assert (found.choice, found.probe_gain, found.evaluation_gain) == (1, 1.0, 1.0)


def test_a_pool_is_drawn_in_proportion():
    strata = np.repeat([0, 1, 2], [60, 30, 10])
    drawn = draw_stratified(strata, 20, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 20
    assert np.bincount(strata[drawn]).tolist() == [12, 6, 2]


def test_copies_of_an_image_are_on_one_side():
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6])
    parts = folds(groups, 3, np.random.default_rng(0))
    assert sorted(np.concatenate(parts).tolist()) == list(range(10))
    for part in parts:
        rest = np.setdiff1d(np.arange(10), part)
        assert not set(groups[part]) & set(groups[rest])


def test_defaults_by_size():
    assert [default_rule(n) for n in (10, 99, 100)] == ["evidence", "evidence", "confirm"]


GOLDEN_CLAIMS = [
    (31, 10, 21.0), (31, 20, 14.6), (31, 100, 6.5), (7, 10, 13.0), (7, 20, 9.3), (7, 100, 4.2)
]  # fmt: skip


@pytest.mark.parametrize(("n_layers", "n_items", "claimed"), GOLDEN_CLAIMS)
def test_in_the_null_world_the_published_rule_overclaims(n_layers, n_items, claimed):
    rng = np.random.default_rng(n_layers * n_items)
    claims, n_applied, n_worlds = [], 0, 400
    for _ in range(n_worlds):
        outcomes = null_world(rng, n_items, n_layers)
        choice = published(outcomes, rng)
        n_applied += choice is not None
        claims.append(0.0 if choice is None else 100 * outcomes.gains()[choice])
    error = np.std(claims) / np.sqrt(n_worlds)
    assert np.mean(claims) == pytest.approx(claimed, abs=0.3 + 3 * error)
    if n_layers == 31:
        assert n_applied == n_worlds


@pytest.mark.parametrize("n_items", [20, 100])
def test_in_the_null_world_significant_and_cross_fit_claim_nothing(n_items):
    rng = np.random.default_rng(n_items)
    n_worlds = 200
    fitted, n_significant = [], 0
    for world in range(n_worlds):
        outcomes = null_world(rng, n_items, 31)
        n_significant += significant(outcomes, rng) is not None
        fitted.append(cross_fit(outcomes, published, seed=world))
    assert n_significant <= 0.036 * n_worlds + 3
    assert abs(np.mean(fitted)) <= 2.5 * np.std(fitted) / np.sqrt(n_worlds)


def test_a_right_adaptation_is_found_and_a_wrong_one_refused_by_held_out_items():
    right = answers_of(flipped(np.random.default_rng(5), 200, 8, up=0.6, down=0.02))
    found = adapt(right, n_resamples=20)
    assert found.rule == "confirm"
    assert (found.layer, found.variant) == ("vision.0", "m@vision.0")
    assert found.cross_fit_gain is not None
    assert found.cross_fit_gain > 0.15
    assert found.held_out.layer == "vision.0"
    assert found.held_out.low > 0
    assert found.shares["vision.0"] > 0.9
    wrong = adapt(
        answers_of(flipped(np.random.default_rng(6), 40, 31), 5), rule="published", n_resamples=20
    )
    assert wrong.proposed is not None
    assert wrong.optimistic_gain > 0.05
    assert wrong.layer is None
    assert wrong.verdict.startswith("refused")


def test_a_gain_that_stays_below_chance_is_no_use():
    rng = np.random.default_rng(7)
    base = (rng.random(200) < 0.03).astype(float)
    hits = np.maximum(base, rng.random(200) < 0.12)[:, None]
    found = adapt(answers_of(outcomes_of(base, hits), n_classes=5), n_resamples=5)
    assert found.proposed == "vision.0"
    assert found.mid_p < 1e-6
    assert found.layer is None
    assert found.verdict.startswith("no use")


def test_too_few_items_have_no_cross_fit_and_it_is_said():
    base = np.zeros(8)
    found = adapt(answers_of(outcomes_of(base, np.ones((8, 1)))), rule="published", n_resamples=5)
    assert found.cross_fit_gain is None
    assert "too few items to cross-fit" in found.verdict
    assert adapt(answers_of(outcomes_of(base, np.zeros((8, 0)))), n_resamples=3).layer is None


def test_the_same_seed_gives_the_same_record():
    answers = answers_of(flipped(np.random.default_rng(8), 60, 5, up=0.3))
    assert adapt(answers, seed=3, n_resamples=10) == adapt(answers, seed=3, n_resamples=10)

"""Selectors that carry a similarity of tasks from some models to others."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.array_divergences import DcdDivergence
from vlmsel.selection.block_matches import BlockMatches
from vlmsel.selection.registry import make_selector
from vlmsel.selection.selectors.dcd_families import pool_families, rank_sources

ACROSS = ("dcd-depth", "dcd-families", "dcd-cka")
GAMMA = 2.0


def softmax(divergence):
    z = (divergence - divergence.mean()) / divergence.std()
    raised = np.exp(-GAMMA * z)
    return raised / raised.sum()


def dcd(t, s):
    return float(DcdDivergence(2.0).between(t, s))


@pytest.fixture
def world(make_problem):
    """Models vit-0, vit-1 with 4 blocks, rn50 with 2; 4 sources. Profiles as (tasks, blocks)."""
    rng = np.random.default_rng(5)
    accuracy, profiles = rng.random((3, 5)), rng.lognormal(size=(3, 5, 4))
    made = make_problem(accuracy, profiles)
    names = {"a": "vit-0", "b": "vit-1", "c": "rn50"}
    shapes = {"vit-0": profiles[0], "vit-1": profiles[1], "rn50": profiles[2, :, :2]}
    rows = [(m, "p", f"t{i}", shapes[m][i].tolist()) for m in shapes for i in range(5)]
    table = pl.DataFrame(rows, schema=["model", "pretrained", "task", "profile"], orient="row")
    known = made.accuracies.with_columns(pl.col("model").replace(names))
    nearest = {
        ("vit-0", "rn50"): [1, 3], ("vit-1", "rn50"): [0, 2],
        ("rn50", "vit-0"): [0, 0, 1, 1], ("rn50", "vit-1"): [0, 1, 1, 1],
        ("vit-0", "vit-1"): [0, 1, 2, 3], ("vit-1", "vit-0"): [3, 2, 1, 0],
        **{(m, m): list(range(shapes[m].shape[1])) for m in shapes},
    }  # fmt: skip
    pairs = {((a, "p"), (b, "p")): np.array(found) for (a, b), found in nearest.items()}
    matches = BlockMatches(pairs)
    problem = replace(made, accuracies=known, profiles=table, truth=None, matches=matches)
    return problem, shapes


def weights_of(problem, name, **options):
    """By model, the weights of t1 .. t4."""
    table = make_selector(name, **options).rank(problem).weights
    return {
        model: rows.sort("source")["weight"].to_numpy()
        for (model,), rows in table.group_by("model")
    }


def loud(profile):
    return profile / profile[1:].sum(axis=1).mean()


def test_depth_is_dcd_of_the_mean_resampled_profile(world):
    problem, shapes = world
    at = {4: np.array([1, 3, 5, 7]) / 8, 2: np.array([1, 3]) / 4}
    points = (np.arange(6) + 0.5) / 6
    mean = np.mean(
        [
            [np.interp(points, at[shape.shape[1]], task) for task in loud(shape)]
            for shape in shapes.values()
        ],
        axis=0,
    )
    expected = softmax(np.array([dcd(mean[0], mean[i]) for i in range(1, 5)]))
    for found in weights_of(problem, "dcd-depth", n_depths=6).values():
        np.testing.assert_allclose(found, expected)


def test_families_weigh_alike_whatever_their_size(world):
    problem, shapes = world
    ranks = {
        model: np.argsort(np.argsort([dcd(shape[0], shape[i]) for i in range(1, 5)])) + 1.0
        for model, shape in shapes.items()
    }
    pooled = ((ranks["vit-0"] + ranks["vit-1"]) / 2 + ranks["rn50"]) / 2
    for found in weights_of(problem, "dcd-families").values():
        np.testing.assert_allclose(found, softmax(pooled))


def test_a_family_of_one_model_counts_as_much_as_one_of_many():
    values = np.array([[[1.0, 2.0], [3.0, 2.0], [9.0, np.nan]]])
    pooled = pool_families(values, np.array([[0, 0, 1]]))
    assert pooled.tolist() == [[[5.5, 2.0]]]
    assert rank_sources(np.array([[0.3, 0.1, np.nan]])).tolist()[0][:2] == [2.75, 1.25]


def test_cka_compares_in_each_models_own_blocks(world):
    problem, shapes = world
    found = weights_of(problem, "dcd-cka")
    carried = [
        loud(shapes["vit-0"])[:, [1, 3]],
        loud(shapes["vit-1"])[:, [0, 2]],
        loud(shapes["rn50"]),
    ]
    mean = np.mean(carried, axis=0)
    expected = softmax(np.array([dcd(mean[0], mean[i]) for i in range(1, 5)]))
    np.testing.assert_allclose(found["rn50"], expected)
    assert np.abs(found["rn50"] - found["vit-0"]).max() > 1e-3


@pytest.mark.parametrize("name", ACROSS)
def test_a_family_without_profiles_is_ranked_by_the_others(world, name):
    problem, _ = world
    donors = replace(problem, profiles=problem.profiles.filter(model="rn50"))
    ranking = make_selector(name).rank(donors)
    assert sorted(ranking.table["model"]) == ["rn50", "vit-0", "vit-1"]
    weights = weights_of(donors, name)
    assert len(weights) == 3
    # The twins see what the one donor sees, in blocks of their own.
    others = weights_of(problem, name)
    assert np.abs(weights["vit-0"] - others["vit-0"]).max() > 1e-6


@pytest.mark.parametrize("name", ACROSS)
def test_without_profiles_of_the_target_it_says_so(world, name):
    problem, _ = world
    bare = replace(problem, profiles=problem.profiles.filter(pl.col("task") != "t0"))
    with pytest.raises(SelectionError, match="no model has a profile of t0"):
        make_selector(name).rank(bare)


def test_blocks_must_be_matched_and_be_those_of_the_profiles(world):
    problem, _ = world
    with pytest.raises(SelectionError, match=r"needs blocks matched .*vlmsel study objectives"):
        make_selector("dcd-cka").rank(replace(problem, matches=None))
    pairs = {pair: found[:3] for pair, found in problem.matches.nearest.items()}
    with pytest.raises(SelectionError, match="profiles of 4 blocks and embeddings of 3"):
        make_selector("dcd-cka").rank(replace(problem, matches=BlockMatches(pairs)))


def test_a_model_whose_blocks_are_not_embedded_is_left_out(world):
    problem, _ = world
    pairs = {p: n for p, n in problem.matches.nearest.items() if "rn50" not in (p[0][0], p[1][0])}
    ranking = make_selector("dcd-cka").rank(replace(problem, matches=BlockMatches(pairs)))
    assert sorted(ranking.table["model"]) == ["vit-0", "vit-1"]
    assert ranking.left_out["reason"].to_list() == ["no embeddings of its blocks"]


@pytest.mark.parametrize("name", ["dcd-depth", "dcd-families"])
def test_other_profiles_of_the_target_are_a_copy_of_the_problem(world, name):
    problem, _ = world
    scorer = make_selector(name).prepare(problem)
    arrays = problem.arrays
    drawn = arrays.grid.shapes[arrays.rows][:, arrays.grid.column_of["t0"]][None].copy()
    factor = np.array([2.0, 0.5, 1.0, 3.0])
    drawn[0] *= factor
    assert scorer.score_drawn is not None
    found = scorer.score_drawn(drawn).values[0]
    changed = problem.profiles.with_columns(
        profile=pl.Series(
            [
                (np.array(p) * (factor[: len(p)] if t == "t0" else 1.0)).tolist()
                for p, t in problem.profiles.select("profile", "task").rows()
            ]
        )
    )
    copy = make_selector(name).prepare(replace(problem, profiles=changed))
    np.testing.assert_allclose(found, copy.score(np.arange(3)[None]).values[0])
    assert np.abs(found - scorer.score(np.arange(3)[None]).values[0]).max() > 1e-6

"""Properties of every selector, shipped or to come."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.registry import make_selector, selector_names


@pytest.fixture
def known(problem):
    """The problem with a task that the imagenet selector knows."""
    imagenet = problem.accuracies.filter(task="t1").with_columns(task=pl.lit("imagenet"))
    return dataclasses.replace(problem, accuracies=pl.concat([problem.accuracies, imagenet]))


def without(problem, models: set[str]):
    keep = ~pl.col("model").is_in(sorted(models))
    frames = {
        name: getattr(problem, name).filter(keep)
        for name in ("accuracies", "profiles", "truth", "vectors")
    }
    kept = [i for i, (model, _) in enumerate(problem.answers.models) if model not in models]
    graphs = problem.texts.graphs.filter(keep)
    return dataclasses.replace(
        problem,
        **frames,
        answers=problem.answers.select_models(kept),
        texts=dataclasses.replace(problem.texts, graphs=graphs),
    )


@pytest.mark.parametrize("name", selector_names())
def test_every_model_has_one_rank(known, name):
    ranking = make_selector(name).rank(known)
    assert ranking.table.columns == ["target", "rank", "model", "pretrained", "score"]
    assert ranking.table["rank"].to_list() == [1, 2, 3, 4, 5, 6]
    assert sorted(ranking.table["model"]) == list("abcdef")
    assert ranking.table["score"].is_sorted()
    assert ranking.left_out.is_empty()
    assert ranking.n_sources == 5


@pytest.mark.parametrize("name", selector_names())
def test_the_order_of_rows_does_not_matter(known, name):
    shuffled = dataclasses.replace(
        known,
        accuracies=known.accuracies.sample(fraction=1, shuffle=True, seed=1),
        profiles=known.profiles.sample(fraction=1, shuffle=True, seed=2),
    )
    assert make_selector(name).rank(shuffled).table.equals(make_selector(name).rank(known).table)


@pytest.mark.parametrize("name", sorted(set(selector_names()) - {"random"}))
def test_many_zoos_at_once_are_the_rankings_of_each(known, name):
    selector = make_selector(name)
    scorer = selector.prepare(known)
    zoos = np.array([[0, 1, 2, 3], [5, 3, 2, 1], [0, 2, 4, 5]])
    found = scorer.score(zoos)
    assert found.values.shape == zoos.shape
    for zoo, values in zip(zoos, found.values, strict=True):
        chosen = [scorer.models[i][0] for i in zoo]
        alone = selector.rank(without(known, set("abcdef") - set(chosen))).table
        expected = dict(alone.select("model", "score").rows())
        np.testing.assert_allclose(values, [expected[m] for m in chosen], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(set(selector_names()) - {"oracle-similarity"}))
def test_only_oracles_see_the_truth(known, name):
    blind = dataclasses.replace(known, truth=None)
    assert make_selector(name).rank(blind).table.equals(make_selector(name).rank(known).table)


@pytest.mark.parametrize(
    "name", [n for n in selector_names() if not make_selector(n).needs_profiles]
)
def test_selectors_that_need_no_profiles_do_without(known, name):
    bare = dataclasses.replace(known, profiles=None)
    assert make_selector(name).rank(bare).table.equals(make_selector(name).rank(known).table)


@pytest.mark.parametrize("name", selector_names())
def test_only_selectors_that_say_so_look_at_answers(known, name):
    bare, selector = dataclasses.replace(known, answers=None), make_selector(name)
    if selector.needs_answers:
        with pytest.raises(SelectionError, match="needs the answers of the models on t0"):
            selector.rank(bare)
    else:
        assert selector.rank(bare).table.equals(selector.rank(known).table)

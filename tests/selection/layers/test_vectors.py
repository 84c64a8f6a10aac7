"""Interaction vectors from rows, and tasks compared by them."""

import numpy as np
import polars as pl
import pytest

from tests.selection.layers.worlds import answers_of, outcomes_of
from vlmsel.errors import SelectionError
from vlmsel.selection.layers.knockout_answers import choose_layers, collect_answers, label_knockouts
from vlmsel.selection.layers.likeness import (
    cluster_tasks,
    compare_tasks,
    correlate,
    likeness_pairs,
    pool_models,
)
from vlmsel.selection.layers.vectors import SCHEMA, interaction_vectors


def knockout_rows(answers: dict[int, list[int]], states: dict[int, str] | None = None):
    """Rows of four images with two classes; `answers` by layer, -1 the base."""
    states = states or {}
    rows = []
    for layer, argmaxes in answers.items():
        state = states.get(layer, "base" if layer < 0 else "acts")
        for image, argmax in enumerate(argmaxes):
            is_silent = state == "no-bypass"
            logs = None if is_silent or argmax < 0 else [-0.5, -1.0]
            rows.append(
                ("m", "p", "t", f"i{image}", f"s{image}", layer, f"b.{layer}", state,
                 None if is_silent else argmax, logs)
            )  # fmt: skip
    names = ["model", "pretrained", "task", "image_id", "image_sha256"]
    schema = {**dict.fromkeys(names, pl.String), "layer": pl.Int32}
    schema |= {"layer_name": pl.String, "state": pl.String, "argmax": pl.Int32}
    schema |= {"log_probabilities": pl.List(pl.Float32)}
    return pl.DataFrame(rows, schema=schema, orient="row")


LABELS = pl.DataFrame(
    {"task": ["t"] * 4, "image_id": [f"i{n}" for n in range(4)], "label": [0, 0, 1, 1]},
    schema_overrides={"label": pl.Int32},
)


def test_a_vector_by_hand():
    rows = knockout_rows({-1: [0, 1, 1, 0], 0: [0, 1, 1, 0], 1: [0, 0, 1, 0], 2: [1, 1, 1, 0]})
    (answers,) = collect_answers(label_knockouts(rows, LABELS, "vision", "block"))
    vectors = interaction_vectors([answers])
    assert vectors["base_accuracy"].unique().to_list() == [0.5]
    assert vectors["layer"].to_list() == ["vision.0", "vision.1", "vision.2"]
    assert vectors["delta"].to_list() == [0.0, 0.25, -0.25]
    assert vectors["gained"].to_list() == [0, 1, 0]
    assert vectors["lost"].to_list() == [0, 0, 1]
    assert (answers.chance, answers.majority) == (0.5, 0.5)


def test_no_number_is_wrong_and_what_cannot_be_silenced_is_no_candidate():
    rows = knockout_rows(
        {-1: [0, 1, 1, 0], 0: [-1] * 4, 1: [0] * 4, 2: [0] * 4},
        {0: "not-finite", 1: "no-bypass", 2: "off-path"},
    )
    (answers,) = collect_answers(label_knockouts(rows, LABELS, "vision", "block"))
    assert answers.layers == ("vision.0",)
    assert answers.idle == {"vision.1": "no-bypass", "vision.2": "off-path"}
    assert answers.outcomes.gains().tolist() == [-0.5]
    assert np.isneginf(answers.outcomes.log).all()


def test_guesses_are_among_the_options_of_each_question():
    rows = knockout_rows({-1: [0, 1, 1, 0], 0: [0, 1, 1, 0]})
    # Two questions have a third option; the others' cells hold -65504, or what came of it.
    logs = [[-0.5, -1.0, third] for third in (-65504.0, -65472.0, -3.0, -3.0)] * 2
    rows = rows.with_columns(log_probabilities=pl.Series(logs, dtype=pl.List(pl.Float32)))
    (answers,) = collect_answers(label_knockouts(rows, LABELS, "vision", "block"))
    assert answers.chance == pytest.approx((1 / 2 + 1 / 2 + 1 / 3 + 1 / 3) / 4)


def test_towers_and_parts_are_joined_and_must_be_of_the_same_images():
    rows = knockout_rows({-1: [0, 1, 1, 0], 0: [0, 0, 1, 0]})
    labelled = [label_knockouts(rows, LABELS, "text", "attention")]
    labelled.append(label_knockouts(rows, LABELS, "vision", "block"))
    (answers,) = collect_answers(pl.concat(labelled))
    assert answers.layers == ("vision.0", "text.0.attention")
    chosen = choose_layers(answers, ["text.0.attention"])
    assert chosen.layers == ("text.0.attention",)
    with pytest.raises(SelectionError, match=r"no layer 'vision\.7'.*TOWER\.NUMBER.*vision\.0"):
        choose_layers(answers, ["vision.7"])
    labelled[1] = labelled[1].filter(pl.col("image_id") != "i0")
    with pytest.raises(SelectionError, match="not measured on the same images"):
        list(collect_answers(pl.concat(labelled)))


def vectors_of(tasks: dict[str, list[float]], half: float = 0.01) -> pl.DataFrame:
    rows = [
        ("m", "p", task, place, f"vision.{place}", d, d - half, d + half, 0, 0, 0.5, 0.1, 100)
        for task, deltas in tasks.items()
        for place, d in enumerate(deltas)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_likeness_is_pearson_raw_and_centred_with_saturated_tasks_left_out():
    rng = np.random.default_rng(0)
    early = np.array([-0.8, -0.4, -0.1, 0.0, 0.0])
    noise = {name: rng.normal(0, 0.1, 5) for name in "abc"}
    tasks = {f"{name}-{twin}": (early + noise[name] + rng.normal(0, 0.01, 5)).tolist()
             for name in "abc" for twin in "12"}  # fmt: skip
    tasks |= {"easy": [0.0] * 5}
    (found,) = compare_tasks(vectors_of(tasks))
    assert found.saturated == ("easy",)
    assert found.tasks == tuple(sorted(set(tasks) - {"easy"}))
    values = np.array([tasks[name] for name in found.tasks])
    np.testing.assert_allclose(found.raw, np.corrcoef(values))
    np.testing.assert_allclose(found.centred, np.corrcoef(values - values.mean(axis=0)))
    pairs = likeness_pairs([found])
    is_twin = pl.col("task").str.slice(0, 1) == pl.col("other").str.slice(0, 1)
    twins, others = pairs.filter(is_twin), pairs.filter(~is_twin)
    assert twins["centred"].mean() > 0.9 > 0.3 > others["centred"].mean()
    # Raw, all pairs look alike: the same early layers matter everywhere.
    assert others["raw"].mean() > 0.7
    tree = cluster_tasks(found.centred)
    assert {frozenset(map(int, row[:2])) for row in tree[:3]} == {
        frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})
    }  # fmt: skip


def test_saturated_tasks_would_look_identical():
    """Reason to leave them out: centred, each is minus the mean."""
    values = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.5, -0.1, 0.1]])
    assert np.isnan(correlate(values)[0, 1])
    assert correlate(values - values.mean(axis=0))[0, 1] == pytest.approx(1.0)


def test_outcomes_of_a_constant_model_have_a_vector_of_zeros():
    vectors = interaction_vectors([answers_of(outcomes_of([1, 0, 1], np.array([[1], [0], [1]])))])
    assert vectors.select("delta", "gained", "lost").row(0) == (0.0, 0, 0)


def test_the_zoo_as_one_model_has_the_layers_of_all_and_only_those_of_every_task():
    vectors = vectors_of({"a": [0.1, -0.2], "b": [0.0, 0.3]})
    other = vectors_of({"a": [0.4, 0.5]}).with_columns(model=pl.lit("n"))
    (found,) = compare_tasks(pool_models(pl.concat([vectors, other])))
    assert found.model == ("zoo", "pooled")
    assert found.layers == ("m/p vision.0", "m/p vision.1")
    np.testing.assert_allclose(found.vectors, [[0.1, -0.2], [0.0, 0.3]])


def test_two_layers_have_no_correlation():
    (found,) = compare_tasks(vectors_of({"a": [0.1, -0.2], "b": [0.0, 0.3]}))
    assert np.isnan(found.raw).all()

"""Accuracies against slow references in plain numpy, and what holds whatever the answers are."""

import random
from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.columns import CELL
from vlmsel.errors import StoreError
from vlmsel.evidence.accuracies import (
    SCHEMA,
    calibration_error,
    confusion,
    derive_accuracies,
    join_imported,
    label_predictions,
    labels_frame,
    per_class_accuracies,
    softmax,
)

Logits = np.ndarray


def answers(
    logits: Logits, labels: Iterable[int], *, model: str = "m", task: str = "t"
) -> pl.DataFrame:
    """Labelled predictions of one model on one task, as a probe would have stored them."""
    order = np.argsort(-logits, axis=1, kind="stable")
    largest = logits.max(axis=1, keepdims=True)
    total = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))
    return pl.DataFrame(
        {
            "model": [model] * len(logits),
            "pretrained": ["p"] * len(logits),
            "task": [task] * len(logits),
            "image_id": [f"{number}.png" for number in range(len(logits))],
            "argmax": order[:, 0].tolist(),
            "top": order[:, :5].tolist(),
            "log_sum_exp": total.tolist(),
            "logits": logits.tolist(),
            "n_classes": [logits.shape[1]] * len(logits),
            "label": list(labels),
        },
        schema_overrides={"argmax": pl.Int32, "top": pl.List(pl.Int32), "label": pl.Int32},
    )


def drawn(seed: int, n_images: int = 40, n_classes: int = 8) -> tuple[Logits, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_images, n_classes)) * 3, rng.integers(n_classes, size=n_images)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Logits, list[int]]:
    n_images, n_classes = draw(st.integers(1, 25)), draw(st.integers(1, 9))
    number = st.floats(-20, 20, width=16)
    row = st.lists(number, min_size=n_classes, max_size=n_classes)
    logits = draw(st.lists(row, min_size=n_images, max_size=n_images))
    label = st.integers(0, n_classes - 1)
    return np.array(logits), draw(st.lists(label, min_size=n_images, max_size=n_images))


def slow_accuracies(logits: Logits, labels: list[int]) -> tuple[float, float | None, float]:
    """acc1, acc5 and mean per class recall, image by image."""
    right, near, by_class = [], [], {}
    for row, label in zip(logits, labels, strict=True):
        order = sorted(range(len(row)), key=lambda place: (-row[place], place))
        right.append(order[0] == label)
        near.append(label in order[:5])
        by_class.setdefault(label, []).append(order[0] == label)
    recalls = [np.mean(hits) for hits in by_class.values()]
    acc5 = float(np.mean(near)) if logits.shape[1] > 5 else None
    return float(np.mean(right)), acc5, float(np.mean(recalls))


def slow_calibration_error(logits: Logits, labels: list[int], n_bins: int) -> float:
    """Guo et al. 2017, equation 3, bin by bin."""
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == np.array(labels)
    error = 0.0
    for number in range(n_bins):
        low, high = number / n_bins, (number + 1) / n_bins
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += gap * inside.sum() / len(labels)
    return error


@settings(max_examples=60)
@given(cases())
def test_accuracies_are_those_of_the_reference(case: tuple[Logits, list[int]]) -> None:
    (row,) = derive_accuracies(answers(*case)).rows(named=True)
    acc1, acc5, recall = slow_accuracies(*case)
    assert row["acc1"] == pytest.approx(acc1)
    assert row["acc5"] == (None if acc5 is None else pytest.approx(acc5))
    assert row["mean_per_class_recall"] == pytest.approx(recall)
    assert row["n_images"] == len(case[1])


@settings(max_examples=40)
@given(cases(), st.randoms())
def test_the_order_of_rows_changes_no_digit(
    case: tuple[Logits, list[int]], rng: random.Random
) -> None:
    labelled = pl.concat([answers(*case), answers(*drawn(1), task="u")])
    order = list(range(labelled.height))
    rng.shuffle(order)
    for derive in (derive_accuracies, per_class_accuracies, confusion):
        assert derive(labelled[order]).equals(derive(labelled))
    found, again = calibration_error(labelled), calibration_error(labelled[order])
    assert again["calibration_error"].to_list() == pytest.approx(
        found["calibration_error"].to_list(), abs=1e-12
    )


@settings(max_examples=40)
@given(cases())
def test_the_tables_agree_with_each_other(case: tuple[Logits, list[int]]) -> None:
    labelled = answers(*case)
    (row,) = derive_accuracies(labelled).rows(named=True)
    classes, counts = per_class_accuracies(labelled), confusion(labelled)
    assert row["mean_per_class_recall"] == pytest.approx(classes["accuracy"].mean())
    assert classes["n_images"].sum() == counts["n_images"].sum() == row["n_images"]
    weighted = (classes["accuracy"] * classes["n_images"]).sum() / row["n_images"]
    assert row["acc1"] == pytest.approx(weighted)
    diagonal = counts.filter(pl.col("label") == pl.col("argmax"))["n_images"].sum()
    assert row["acc1"] == pytest.approx(diagonal / row["n_images"])
    assert row["acc5"] is None or row["acc1"] <= row["acc5"] <= 1
    assert set(classes["label"]) == set(case[1])


@settings(max_examples=40)
@given(cases(), st.randoms())
def test_the_numbers_of_the_classes_say_nothing(
    case: tuple[Logits, list[int]], rng: random.Random
) -> None:
    logits, labels = case
    # Ties go to the first class, so they would depend on the numbers.
    logits = logits + np.arange(logits.shape[1]) * 1e-6
    new = list(range(logits.shape[1]))
    rng.shuffle(new)
    renamed = np.empty_like(logits)
    renamed[:, new] = logits
    found = derive_accuracies(answers(renamed, [new[label] for label in labels])).row(0)
    assert found[3:] == pytest.approx(derive_accuracies(answers(logits, labels)).row(0)[3:])


def test_models_and_tasks_are_kept_apart_and_sorted() -> None:
    parts = {
        (model, task): answers(*drawn(seed, 10 + seed), model=model, task=task)
        for seed, (model, task) in enumerate([("b", "x"), ("a", "y"), ("a", "x"), ("b", "y")])
    }
    whole = pl.concat(parts.values())
    for derive in (derive_accuracies, per_class_accuracies, confusion, calibration_error):
        alone = pl.concat([derive(parts[place]) for place in sorted(parts)])
        found = derive(whole)
        assert found.select(CELL).equals(alone.select(CELL))
        for name in found.columns[3:]:
            assert found[name].to_list() == pytest.approx(alone[name].to_list())
    assert derive_accuracies(whole).select("model", "task").rows() == sorted(parts)


def test_by_hand() -> None:
    logits = np.array([[3, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3.0]])
    labelled = answers(logits, [0, 1, 1, 1])
    assert derive_accuracies(labelled).row(0) == (
        *("m", "p", "t"),
        *(0.5, None, pytest.approx((1 + 1 / 3) / 2), 4),
    )
    assert per_class_accuracies(labelled).drop(CELL).rows() == [
        (0, 1.0, 1),
        (1, pytest.approx(1 / 3), 3),
    ]
    assert confusion(labelled).drop(CELL).rows() == [
        *((0, 0, 1), (1, 0, 1)),
        *((1, 1, 1), (1, 2, 1)),
    ]


@pytest.mark.parametrize(("n_classes", "acc5"), [(5, None), (6, 0.5)])
def test_acc5_of_five_classes_says_nothing(n_classes: int, acc5: float | None) -> None:
    logits = np.arange(n_classes, dtype=float)[None, ::-1].repeat(2, axis=0)
    found = derive_accuracies(answers(logits, [n_classes - 1, 4]))
    assert found["acc5"].to_list() == [acc5]


def test_more_than_five_named_classes_change_no_acc5() -> None:
    logits, labels = drawn(3, 60, 12)
    few = answers(logits, labels)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :9].tolist()
    many = few.with_columns(top=pl.Series(order, dtype=pl.List(pl.Int32)))
    assert derive_accuracies(many).equals(derive_accuracies(few))


def test_only_labelled_images_count() -> None:
    whole = answers(*drawn(0, 6))
    predictions = whole.drop("label")
    labels = labels_frame(
        {
            "t": pl.DataFrame({"image_id": ["5.png", "1.png", "gone.png"], "label": [1, 2, 3]}),
            "u": pl.DataFrame({"image_id": ["0.png"], "label": [1]}),
        }
    )
    labelled = label_predictions(predictions, labels)
    assert labelled.select("image_id", "label").rows() == [("1.png", 2), ("5.png", 1)]
    assert derive_accuracies(labelled)["n_images"].to_list() == [2]


def test_of_nothing_there_are_the_columns() -> None:
    none = answers(*drawn(0)).clear()
    assert dict(derive_accuracies(none).schema) == SCHEMA
    assert per_class_accuracies(none).columns == [*CELL, "label", "accuracy", "n_images"]
    assert confusion(none).columns == [*CELL, "label", "argmax", "n_images"]
    names = ["calibration_error", "confidence", "n_images"]
    assert calibration_error(none).columns == [*CELL, *names]
    assert labels_frame({}).columns == ["task", "image_id", "label"]
    assert label_predictions(none.drop("label"), labels_frame({})).is_empty()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_bins", [1, 7, 15])
def test_calibration_error_is_that_of_the_reference(seed: int, n_bins: int) -> None:
    logits, labels = drawn(seed, 200, 4)
    (row,) = calibration_error(answers(logits, labels), n_bins=n_bins).rows(named=True)
    expected = slow_calibration_error(logits, labels, n_bins)
    assert row["calibration_error"] == pytest.approx(expected)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert row["confidence"] == pytest.approx(shares.max(axis=1).mean())
    assert row["n_images"] == 200


@settings(max_examples=40)
@given(cases(), st.integers(1, 30))
def test_calibration_error_has_bounds(case: tuple[Logits, list[int]], n_bins: int) -> None:
    labelled = answers(*case)
    (row,) = calibration_error(labelled, n_bins=n_bins).rows(named=True)
    one_bin = calibration_error(labelled, n_bins=1)["calibration_error"][0]
    gap = abs(derive_accuracies(labelled)["acc1"][0] - row["confidence"])
    assert one_bin == pytest.approx(gap, abs=1e-9)
    assert one_bin - 1e-9 <= row["calibration_error"] <= 1


def test_who_is_sure_and_right_is_calibrated() -> None:
    logits = np.array([[40.0, 0.0], [0.0, 40.0]])
    right, wrong = answers(logits, [0, 1]), answers(logits, [1, 0])
    assert calibration_error(right)["calibration_error"].to_list() == pytest.approx([0])
    assert calibration_error(wrong)["calibration_error"].to_list() == pytest.approx([1])


def test_a_confidence_on_the_border_of_two_bins_belongs_to_the_lower_one() -> None:
    labelled = answers(np.zeros((2, 2)), [0, 1]).with_columns(
        log_sum_exp=pl.Series([-np.log(0.5), -np.log(0.25)])
    )
    # In one bin the right answer makes up for the wrong one: |1 - 0.75| / 2.
    found = calibration_error(labelled, n_bins=2)["calibration_error"].to_list()
    assert found == pytest.approx([0.125])


def test_rounding_of_stored_logits_makes_no_confidence_above_one() -> None:
    labelled = answers(np.array([[60.1, 0.0]]), [0]).with_columns(
        pl.col("logits").cast(pl.List(pl.Float32)), log_sum_exp=pl.lit(60.0)
    )
    assert calibration_error(labelled)["confidence"].to_list() == [1.0]


def test_calibration_reads_the_best_logits_alone() -> None:
    logits, labels = drawn(2, 50, 9)
    best = answers(logits, labels).with_columns(pl.col("logits").list.sort(descending=True))
    few = best.with_columns(pl.col("logits").list.head(5))
    name = "calibration_error"
    assert calibration_error(few)[name][0] == pytest.approx(calibration_error(best)[name][0])


def test_softmax_gives_probabilities() -> None:
    logits, _ = drawn(0)
    total = np.log(np.exp(logits).sum(axis=1))
    shares = softmax(logits, total)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(axis=1)[:, None])
    assert (softmax(logits[:, :3], total).sum(axis=1) < 1).all()


def measured(acc1: float, task: str = "cars") -> pl.DataFrame:
    row = ("m", "p", task, acc1, None, None, 10)
    return pl.DataFrame([row], schema=SCHEMA, orient="row")


def imported(*rows: tuple[float, str, str]) -> pl.DataFrame:
    frames = [measured(acc1, task).with_columns(source=pl.lit(name)) for acc1, task, name in rows]
    return pl.concat(frames)


NOTHING = pl.DataFrame(schema=SCHEMA)


def test_measured_wins_over_imported() -> None:
    found = join_imported(measured(0.5), imported((0.1, "cars", "lovm"), (0.2, "dtd", "lovm")))
    assert found.columns == [*SCHEMA, "source"]
    assert found.select("task", "acc1", "source").rows() == [
        ("cars", 0.5, "measured"),
        ("dtd", 0.2, "lovm"),
    ]


def test_without_imports_or_measurements() -> None:
    none = imported((0.1, "cars", "lovm")).clear()
    assert join_imported(measured(0.5), none)["source"].to_list() == ["measured"]
    assert join_imported(NOTHING, none).is_empty()
    only = join_imported(NOTHING, imported((0.1, "cars", "lovm")))
    assert only.select("acc1", "source").rows() == [(0.1, "lovm")]


def test_of_several_imports_the_first_by_name_counts() -> None:
    tables = imported((0.3, "cars", "c"), (0.1, "cars", "b"), (0.4, "dtd", "c"))
    found = join_imported(NOTHING, tables)
    assert found.select("acc1", "source").rows() == [(0.1, "b"), (0.4, "c")]


def test_sources_choose_and_order() -> None:
    computed = measured(0.5)
    tables = imported((0.1, "cars", "b"), (0.2, "cars", "c"), (0.3, "dtd", "c"))

    def picked(*sources: str) -> list[tuple[str, float]]:
        found = join_imported(computed, tables, sources=sources)
        return found.select("task", "acc1").rows()

    assert picked("c", "b") == [("cars", 0.2), ("dtd", 0.3)]
    assert picked("b") == [("cars", 0.1)]
    assert picked("measured") == [("cars", 0.5)]
    assert picked("c", "measured") == [("cars", 0.2), ("dtd", 0.3)]
    assert join_imported(NOTHING, tables, sources=["measured"]).is_empty()
    with pytest.raises(StoreError, match="store here has no accuracies from 'd'"):
        join_imported(computed, tables, sources=["d"], address="here")

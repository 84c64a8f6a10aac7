import numpy as np
import polars as pl
import pytest
from scipy.special import log_softmax, logsumexp

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import (
    FAILED,
    confidence,
    margin,
    negative_entropy,
)
from vlmsel.selection.zoo_answers import ZooAnswers, image_order, zoo_answers

N_MODELS, N_IMAGES, N_CLASSES = 3, 8, 4


def predictions(logits: np.ndarray, task: str = "t", kept: int | None = None) -> pl.DataFrame:
    rows = []
    for m, i in np.ndindex(logits.shape[:2]):
        order = np.argsort(-logits[m, i])
        stored = logits[m, i] if kept is None else logits[m, i][order[:kept]]
        rows.append(
            {
                "model": f"m{m}",
                "pretrained": "x",
                "task": task,
                "image_id": f"i{i}",
                "argmax": int(order[0]),
                "n_classes": logits.shape[2],
                "log_sum_exp": float(logsumexp(logits[m, i])),
                "logits": stored.tolist(),
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N_MODELS, N_IMAGES, N_CLASSES))


def test_measures_are_those_of_the_probabilities(logits):
    found = zoo_answers(predictions(logits).sample(fraction=1, shuffle=True, seed=1))["t"]
    place = [found.images.index(f"i{i}") for i in range(N_IMAGES)]
    np.testing.assert_array_equal(found.classes[:, place], logits.argmax(axis=2))
    for m in range(N_MODELS):
        p = np.exp(log_softmax(logits[m], axis=1))
        assert found.confidence[m].mean() == pytest.approx(confidence(p), abs=1e-9)
        assert found.margin[m].mean() == pytest.approx(margin(p), abs=1e-9)
        assert found.entropy[m].mean() == pytest.approx(negative_entropy(p), abs=1e-9)


def test_images_are_in_the_order_in_which_they_are_measured(logits):
    found = zoo_answers(predictions(logits))["t"]
    assert list(found.images) == sorted(found.images, key=image_order)
    assert found.first_images(3).images == found.images[:3]
    np.testing.assert_array_equal(found.first_images(3).classes, found.classes[:, :3])


def test_the_best_logits_alone_give_no_entropy(logits):
    best = zoo_answers(predictions(logits, kept=2))["t"]
    whole = zoo_answers(predictions(logits))["t"]
    np.testing.assert_allclose(best.confidence, whole.confidence)
    np.testing.assert_allclose(best.margin, whole.margin)
    assert np.isnan(best.entropy).all()


def test_a_missing_answer_has_failed_and_tasks_are_apart(logits):
    rows = pl.concat([predictions(logits), predictions(logits, "u")])
    gap = rows.filter(~((pl.col("model") == "m1") & (pl.col("image_id") == "i4")))
    found = zoo_answers(gap)
    assert set(found) == {"t", "u"}
    hole = found["t"].images.index("i4")
    assert found["t"].classes[1, hole] == FAILED
    assert (found["t"].classes != FAILED).sum() == N_MODELS * N_IMAGES - 1
    assert np.isnan(found["t"].confidence[1, hole])


def test_without_logits_only_the_classes_are_known(logits):
    found = zoo_answers(predictions(logits).drop("logits", "log_sum_exp"))["t"]
    assert np.isnan(found.confidence).all()
    assert (found.classes >= 0).all()


def test_models_by_place(logits):
    found = zoo_answers(predictions(logits))["t"].select_models([2, 0])
    assert found.models == (("m2", "x"), ("m0", "x"))
    assert found.classes.shape == (2, N_IMAGES)


def test_arrays_of_another_shape_are_refused():
    logits = np.zeros((1, 2))
    with pytest.raises(SelectionError, match="one row per model"):
        ZooAnswers((("a", "p"),), ("x",), logits.astype(int), 2, logits, logits, logits)

import numpy as np
import pytest

from vlmsel.selection.answer_agreement import LEAST_SOURCES, measure_agreement
from vlmsel.selection.zoo_answers import ZooAnswers


def answers(classes: np.ndarray, n_classes: int = 4, first: int = 0) -> ZooAnswers:
    nothing = np.full(classes.shape, np.nan)
    models = tuple((f"m{first + i}", "x") for i in range(len(classes)))
    images = tuple(f"i{i}" for i in range(classes.shape[1]))
    return ZooAnswers(models, images, classes, n_classes, nothing, nothing, nothing)


def by_chance(seed: int, *, known: float) -> ZooAnswers:
    """Five models that know a share of the images and answer the rest by chance."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 400)
    guesses = rng.integers(0, 4, (5, 400))
    return answers(np.where(rng.random((5, 400)) < known, truth, guesses))


SOURCES = {f"s{i}": by_chance(i, known=0.6) for i in range(LEAST_SOURCES)}


def test_the_share_is_zero_at_chance_and_one_where_all_agree():
    found = measure_agreement(by_chance(99, known=0.0), SOURCES)
    assert found.share == pytest.approx(0.0, abs=0.05)
    # Two models agree by knowledge where both know: .6 squared.
    assert found.lowest == pytest.approx(0.36, abs=0.06)
    assert measure_agreement(by_chance(99, known=1.0), SOURCES).share == pytest.approx(1.0)


def test_less_agreement_than_on_any_source_is_told():
    found = measure_agreement(by_chance(99, known=0.2), SOURCES)
    assert found.source in found.notice
    assert measure_agreement(by_chance(99, known=0.8), SOURCES).notice is None


def test_few_sources_and_one_model_say_nothing():
    few = dict(list(SOURCES.items())[:-1])
    assert measure_agreement(by_chance(99, known=0.2), few) is None
    assert measure_agreement(by_chance(99, known=0.2).select_models([0]), SOURCES) is None


def test_sources_answer_by_the_same_models():
    better = {
        name: answers(np.vstack([known.classes, np.repeat(known.classes[:1], 9, axis=0)]))
        for name, known in SOURCES.items()
    }
    target = by_chance(99, known=0.5)
    assert measure_agreement(target, better) == measure_agreement(target, SOURCES)
    strangers = {name: answers(known.classes, first=50) for name, known in SOURCES.items()}
    assert measure_agreement(target, strangers) is None

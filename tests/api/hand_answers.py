"""Answers of three models on twelve pictures, made by hand: no store, no picture, no model."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from vlmsel.api.answer import AnswerOptions, TargetAnswer
from vlmsel.api.answer_table import answer_table
from vlmsel.api.answer_target import TargetLabels
from vlmsel.api.known_zoo import KnownZoo
from vlmsel.measurements.prediction import Prediction
from vlmsel.selection.answer import Question, answer
from vlmsel.selection.label_draw import draw_labels
from vlmsel.selection.zoo_answers import ZooAnswers
from vlmsel.store.store import Store
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.pictures import Pictures
from vlmsel.tasks.task_catalog import TaskSpec
from vlmsel.zoo.catalog import ModelSpec

CLASSES = ("cat", "dog")
ORDER = tuple(f"{i:02}.png" for i in range(12))
MODELS = (("a", "x"), ("b", "x"), ("c", "x"))
# Four sources: the later model is the better one, but for the second source.
ACCURACY = np.array([[0.5, 0.6, 0.8], [0.8, 0.6, 0.5], [0.4, 0.5, 0.7], [0.3, 0.5, 0.6]])
# Of twelve pictures the models are right on 10, 7 and 4.
N_RIGHT = (10, 7, 4)


def make_zoo(**changes: Any) -> KnownZoo:
    """Three models on four sources."""
    facts = pl.DataFrame(MODELS, schema=["model", "pretrained"], orient="row")
    zoo = KnownZoo(
        specs={key: ModelSpec(model=key[0], pretrained=key[1]) for key in MODELS},
        accuracy=ACCURACY,
        sources=("s", "t", "u", "v"),
        imagenet=np.array([0.9, 0.8, np.nan]),
        facts=facts.with_columns(parameters_m=pl.Series([10.0, 20.0, 30.0])),
        about="made up",
        source="",
        store=Store("/nowhere"),
        measurement=Prediction(),
        is_shipped=False,
    )
    return replace(zoo, **changes)


def make_target(n_labels: int = 0, **changes: Any) -> TargetLabels:
    """Twelve pictures of two classes, the first ones labelled."""
    target = TargetLabels(
        spec=TaskSpec(name="target:pets", images="/nowhere"),
        index=TaskIndex("target:pets", ()),
        order=ORDER,
        labels={image: i % 2 for i, image in enumerate(ORDER[:n_labels])},
        from_folders=False,
        classnames=CLASSES,
        pictures=Pictures(n_held=12, n_read=12),
    )
    return replace(target, **changes)


def make_answers() -> ZooAnswers:
    """The first pictures are answered right by all, the last by none."""
    truth = np.arange(12) % 2
    classes = np.stack([np.where(np.arange(12) < n, truth, 1 - truth) for n in N_RIGHT])
    nothing = np.full(classes.shape, np.nan)
    return ZooAnswers(MODELS, ORDER, classes, 2, nothing, nothing, nothing)


def make_answer(
    n_labels: int = 0,
    *,
    zoo: KnownZoo | None = None,
    options: AnswerOptions | None = None,
    question: dict[str, Any] | None = None,
    **changes: Any,
) -> TargetAnswer:
    """An answer to so many labels.

    Args:
        n_labels: of the first pictures.
        zoo: three models.
        options: as they were asked.
        question: more fields of the question.
        changes: other fields of the answer.
    """
    zoo, target, answers = zoo or make_zoo(), make_target(n_labels), make_answers()
    asked = {"answers": answers, "labels": target.labels, **(question or {})}
    found = answer(Question(zoo.models, zoo.accuracy, zoo.imagenet, **asked))
    made = TargetAnswer(
        target="pets",
        images="/nowhere",
        zoo=zoo,
        found=found,
        table=answer_table(found, zoo),
        draw=draw_labels(target.order, target.labels),
        target_labels=target,
        choice=None,
        notes=("a note",),
        to_run=(),
        options=options or AnswerOptions(classnames=CLASSES),
        answers=answers,
    )
    return replace(made, **changes)

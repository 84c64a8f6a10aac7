"""Answers to multiple-choice questions: options scored by a generative model, or generated."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.errors import ModelError
from vlmsel.measurements.prediction import Prediction
from vlmsel.probes.arrays import list_array
from vlmsel.probes.batch import Batch
from vlmsel.probes.protocol import Probed
from vlmsel.settings import NO_OPTION
from vlmsel.tasks.questions import LETTERS, ChoiceQuestion, TaskQuestions
from vlmsel.zoo.choices import ChoiceModel, ChoicePrompt

# What VLMEvalKit takes for the end of a word.
PUNCTUATION = re.compile(r"[.()\[\],:;!*#{}]")


def choice_prompts(questions: TaskQuestions) -> list[ChoicePrompt]:
    """Questions to a model, one by one."""
    whole = questions.answers == "words"
    return [
        ChoicePrompt(questions.prompt(item), questions.choices(item), whole)
        for item in questions.items.values()
    ]


def option_scorer(batch: Batch) -> ChoiceModel:
    """The model's way to score options.

    Raises:
        ModelError: it has none.
    """
    scorer = batch.model.score_choices
    if scorer is None:
        raise ModelError(f"{batch.model.spec.name} answers no questions: it is no generative model")
    return scorer


def predict_options(batch: Batch, questions: TaskQuestions, measurement: Prediction) -> Probed:
    """Answer the questions about a batch's pictures, as the rows of a prediction.

    Raises:
        ModelError: the model answers no questions.
    """
    scorer, prompts = option_scorer(batch), choice_prompts(questions)
    width = questions.n_options
    with ieee_float32():
        if measurement.options == "generated":
            texts, failures = scorer.answer(batch.pictures, prompts)
            scores = match_answers(texts, list(questions.items.values()), width)
        else:
            found = scorer(batch.pictures, prompts)
            failures = dict(found.failures)
            mean = measurement.options == "mean"
            scores = found.per_character if mean else found.log_probabilities
            if mean:
                scores = scores.where(found.log_probabilities != NO_OPTION, NO_OPTION)
            scores = _widen(scores, width)
    for number in (~torch.isfinite(scores).all(dim=1)).nonzero().flatten().tolist():
        failures.setdefault(number, "its log-probabilities are not finite")
    kept = [number for number in range(len(batch)) if number not in failures]
    values = scores[kept].clamp(min=NO_OPTION)
    order = values.sort(dim=-1, descending=True, stable=True).indices
    top = order[:, : measurement.n_top]
    logits = values if measurement.logits == "full" else values.gather(1, top)
    columns = {
        "argmax": pa.array(top[:, 0].numpy().astype(np.int32)),
        "top": list_array(top.numpy().astype(np.int32)),
        "log_sum_exp": pa.array(values.logsumexp(dim=-1).numpy()),
        "logits": list_array(logits.numpy().astype(np.float16)),
        "n_classes": pa.array(np.full(len(kept), values.shape[1], np.int32)),
    }
    return Probed(kept, columns, failures)


def match_answers(texts: Sequence[str], questions: Sequence[ChoiceQuestion], width: int) -> Tensor:
    """Generated answers as scores (N, width + 1): 0 for what is answered, `NO_OPTION` elsewhere.

    The last column is for an answer that is none of the options.
    """
    scores = torch.full((len(texts), width + 1), NO_OPTION)
    for number, (text, question) in enumerate(zip(texts, questions, strict=True)):
        found = match_option(text, question.options)
        scores[number, width if found is None else found] = 0.0
    return scores


def match_option(text: str, options: Sequence[str]) -> int | None:
    """The one option that a generated text names, as VLMEvalKit matches them.

    Exactly one letter among its words; else exactly one option's text in the lower-cased answer.
    """
    words = PUNCTUATION.sub(" ", text).split()
    numbers = {letter: number for number, letter in enumerate(LETTERS[: len(options)])}
    letters = {numbers[word] for word in words if word in numbers}
    if len(letters) == 1:
        return letters.pop()
    named = [i for i, option in enumerate(options) if option.lower() in text.lower()]
    return named[0] if not letters and len(named) == 1 else None


def _widen(scores: Tensor, width: int) -> Tensor:
    """As many columns as the task's largest question has options."""
    missing = scores.new_full((len(scores), width - scores.shape[1]), NO_OPTION)
    return torch.cat([scores, missing], dim=1)

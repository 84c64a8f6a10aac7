"""Options scored with every layer of one tower of a generative model silenced in turn."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from vlmsel.probes.batch import Batch
from vlmsel.probes.knockout_rows import SilencedAnswers
from vlmsel.probes.option_answers import choice_prompts, option_scorer
from vlmsel.probes.silenced_layers import Silenced, Way, choose_way, resumed
from vlmsel.settings import NO_OPTION
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.zoo.blocks import Blocks
from vlmsel.zoo.choices import ChoiceBatch
from vlmsel.zoo.layer_name import Part, Tower

# A log-probability that changes by less, relative to the largest, changes by rounding alone.
CHANGED = 1e-6


class OptionSilencer:
    """Silences the layers of a tower while options are scored.

    Pictures are encoded once where the language model's layers are silenced.

    Args:
        tower: whose layers are silenced.
        part: what of a layer is silenced.
    """

    def __init__(self, tower: Tower, part: Part) -> None:
        self._tower: Tower = tower
        self._part: Part = part
        self._way: Way | None = None

    def answers(
        self, batch: Batch, blocks: Blocks, questions: TaskQuestions
    ) -> tuple[SilencedAnswers, dict[int, SilencedAnswers], dict[int, str]]:
        """Answers of the model as it is, by silenced layer, and failures with the reason."""
        scorer = option_scorer(batch)
        prepared = scorer.prepare(batch.pictures, choice_prompts(questions))
        shape = (len(batch), questions.n_options)
        base = torch.full(shape, float("nan"))
        outputs: dict[int, Tensor] = {}
        for choices in prepared.batches:
            with scorer.share_pictures() if self._tower == "text" else nullcontext():
                found = self._silence(choices, blocks)
            places = list(choices.places)
            base[places] = _fill(found.base, shape[1])
            for number, output in found.outputs.items():
                rows = outputs.setdefault(number, torch.full(shape, float("nan")))
                rows[places] = _fill(output, shape[1])
        answers = {n: _answers(rows, _has_changed(rows, base)) for n, rows in outputs.items()}
        return _answers(base, None), answers, dict(prepared.failures)

    def _silence(self, batch: ChoiceBatch, blocks: Blocks) -> Silenced:
        """Scores of all options, from the forward passes that each score some of them."""
        parts = [self._run_pass(partial(batch.run, n), blocks) for n in range(batch.n_passes)]
        first = parts[0]
        outputs = {
            number: torch.stack([part.outputs[number] for part in parts]).sum(dim=0)
            for number in first.outputs
        }
        base = torch.stack([part.base for part in parts]).sum(dim=0)
        return Silenced(base, outputs, first.reasons)

    def _run_pass(self, run: Callable[[], Tensor], blocks: Blocks) -> Silenced:
        if self._way is None:
            self._way = choose_way(run, blocks, self._part, (resumed,))
        return self._way(run, blocks, self._part)


def _fill(scores: Tensor, width: int) -> Tensor:
    found = scores.float().cpu()
    missing = found.new_full((len(found), width - found.shape[1]), NO_OPTION)
    return torch.cat([found, missing], dim=1)


def _has_changed(output: Tensor, base: Tensor) -> Tensor:
    """(rows,), whether a real option's score differs by more than rounding."""
    is_real = base > NO_OPTION
    gap = ((output - base).abs() * is_real).amax(dim=1)
    largest = (base.abs() * is_real).amax(dim=1)
    return ~(gap <= CHANGED * largest)


def _answers(scores: Tensor, changed: Tensor | None) -> SilencedAnswers:
    argmax = scores.sort(dim=-1, descending=True, stable=True).indices[:, 0]
    finite = torch.isfinite(scores).all(dim=1)
    # What a question does not have is not normalised with its options.
    log_p = scores.log_softmax(dim=-1).masked_fill(scores == NO_OPTION, NO_OPTION)
    return SilencedAnswers(argmax, log_p, finite, changed)

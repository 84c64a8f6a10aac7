"""Multiple-choice questions as a generative model gets them, and how probable it finds the options.

Options are scored in place: as continuations of the prompt that the model would generate from.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class ChoicePrompt:
    """A question about a picture, and the texts among which its answer is.

    Attributes:
        prompt: the user's turn, without the picture.
        options: what is scored as the answer, two at least.
        whole: score every token of an option; else, as for letters, the first in which the options
            differ, which then must tell all of them apart.
    """

    prompt: str
    options: tuple[str, ...]
    whole: bool = False


@dataclass(frozen=True)
class ChoiceScores:
    """Log-probabilities of the options of N questions, on the CPU.

    Attributes:
        log_probabilities: (N, K) float32, summed over an option's tokens; `NO_OPTION` beyond the
            options of a question, NaN where it failed.
        per_character: (N, K), the same divided by the characters of the option.
        outside: (N,), probability that the first token is none of the options' first tokens.
        failures: questions that could not be scored, by number, with the reason.
    """

    log_probabilities: Tensor
    per_character: Tensor
    outside: Tensor
    failures: Mapping[int, str] = field(default_factory=dict)


class ChoiceModel(Protocol):
    """A model that scores options; `vlmsel.zoo.providers.generative` has one."""

    def __call__(
        self, pictures: Sequence[Image.Image], choices: Sequence[ChoicePrompt]
    ) -> ChoiceScores:
        """Score the options of each question about its picture."""
        ...

    def answer(
        self, pictures: Sequence[Image.Image], choices: Sequence[ChoicePrompt]
    ) -> tuple[list[str], dict[int, str]]:
        """Greedy answers, and failures by number with the reason."""
        ...

    def try_out(self) -> None:
        """One forward pass on a plain picture, to see whether the model runs."""
        ...

    def share_pictures(self) -> AbstractContextManager[None]:
        """Encode pictures once, in the first of the forward passes of one batch."""
        ...

    def prepare(
        self, pictures: Sequence[Image.Image], choices: Sequence[ChoicePrompt]
    ) -> "Preparation":
        """Inputs of forward passes that can be repeated with layers silenced."""
        ...


@dataclass(frozen=True)
class Preparation:
    """Questions ready for the model.

    Attributes:
        batches: of questions that go through the model together; each is made when it is asked for.
        failures: questions that cannot be asked, by number, with the reason; of those before the
            last batch that was made.
    """

    batches: Iterable["ChoiceBatch"]
    failures: Mapping[int, str]


class ChoiceBatch(Protocol):
    """Some questions in one batch, and the forward passes that score their options."""

    @property
    def places(self) -> Sequence[int]:
        """Numbers of its questions."""
        ...

    @property
    def n_passes(self) -> int:
        """Number of forward passes that score all options; one where each is one token."""
        ...

    @property
    def outside(self) -> Mapping[int, float]:
        """By question, probability that the first token is none of the options'; once it ran."""
        ...

    def run(self, number: int) -> Tensor:
        """One forward pass: (questions, K), log-probabilities of its options and 0 elsewhere.

        The sum over the passes is the log-probability of each option.
        """
        ...

"""Agreement of a zoo on a target's images against that on its sources: a check of novelty.

Where most models know the classes they agree, where none does they answer by chance. Images on
which they agree less than on any source ask for something that the sources say nothing about.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vlmsel.selection.estimators.pair_agreement_estimate import pair_agreement
from vlmsel.selection.zoo_answers import ZooAnswers

# With fewer sources one of them is the lowest too often to say anything.
LEAST_SOURCES = 10


@dataclass(frozen=True)
class AnswerAgreement:
    """Share of images on which two models agree, mean over their pairs.

    Attributes:
        share: on the target, scaled so that chance (1 / K) is 0 and always is 1.
        lowest: the smallest such share of any source.
        source: the source that has it.
    """

    share: float
    lowest: float
    source: str

    @property
    def notice(self) -> str | None:
        """The sentence to show when the models agree less than on any source."""
        if self.share >= self.lowest:
            return None
        return (
            "the models agree less on these images than on any source "
            f"({100 * self.share:.0f} % on a scale from chance to always; the least on a source is "
            f"{100 * self.lowest:.0f} %, on {self.source}): the sources say little about such "
            "images (do the class names and templates fit?)"
        )


def measure_agreement(
    answers: ZooAnswers, sources: Mapping[str, ZooAnswers]
) -> AnswerAgreement | None:
    """Compare the agreement on a target with that on the sources.

    Args:
        answers: of the target.
        sources: answers by source, on as many images.

    Returns:
        None with fewer than `LEAST_SOURCES` sources, or fewer than two models.
    """
    if len(sources) < LEAST_SOURCES or len(answers.models) < 2:
        return None
    wanted = set(answers.models)
    shares = {}
    for name, known in sources.items():
        # The same models, or a better zoo would look like an easier task.
        rows = [i for i, key in enumerate(known.models) if key in wanted]
        if len(rows) == len(wanted):
            shares[name] = _agreement(known.select_models(rows))
    if len(shares) < LEAST_SOURCES:
        return None
    lowest = min(shares, key=lambda name: (shares[name], name))
    return AnswerAgreement(_agreement(answers), shares[lowest], lowest)


def _agreement(answers: ZooAnswers) -> float:
    share = float(np.nanmean(pair_agreement(answers.classes, answers.n_classes)))
    chance = 1 / answers.n_classes
    return (share - chance) / (1 - chance)

"""Check before any consensus: the answers of a zoo spread over the classes as on the sources.

Class names that mean nothing to the models make most of them answer one class for every image. They
then agree, and every estimate made of agreement is high and wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vlmsel.selection.estimators.answers import vote_counts
from vlmsel.selection.zoo_answers import ZooAnswers


@dataclass(frozen=True)
class AnswerSpread:
    """Share of the answers that fall into one class.

    Attributes:
        share: of the images whose most frequent answer is the most common of these, scaled so that
            1 / K is 0 and all images is 1.
        usual: the largest such share of any source, on as many images.
        class_number: the class.
        n_of_class: images whose most frequent answer it is.
    """

    share: float
    usual: float
    class_number: int
    n_of_class: int

    @property
    def is_unusual(self) -> bool:
        """True if the answers fall into one class more than on any source."""
        return self.share > self.usual + 1e-9


def measure_spread(answers: ZooAnswers, sources: Mapping[str, ZooAnswers]) -> AnswerSpread | None:
    """Compare the answers on a target with those on the sources.

    Args:
        answers: of the target.
        sources: answers by source, on as many images.

    Returns:
        None without sources that some of the models answered on.
    """
    if not sources:
        return None
    number, count, share = _find_commonest(answers)
    # Of the same models: fewer of them agree on a class more often.
    wanted = set(answers.models)
    among = (
        known.select_models([i for i, key in enumerate(known.models) if key in wanted])
        for known in sources.values()
    )
    shares = [_find_commonest(known)[2] for known in among if known.models]
    if not shares:
        return None
    usual = max(shares)
    return AnswerSpread(share, usual, number, count)


def _find_commonest(answers: ZooAnswers) -> tuple[int, int, float]:
    """The class that is most often the plurality, on how many images, and its scaled share."""
    counts = vote_counts(answers.classes, np.ones(len(answers.models)), answers.n_classes)
    votes = np.bincount(counts.argmax(axis=1), minlength=answers.n_classes)
    number = int(votes.argmax())
    chance = 1 / answers.n_classes
    share = votes[number] / max(len(answers.images), 1)
    return number, int(votes[number]), float((share - chance) / (1 - chance))

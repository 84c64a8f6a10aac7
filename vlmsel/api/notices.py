"""Warnings of a ranking: what a reader must know before trusting it, as values. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from vlmsel.evaluation.paired_bootstrap import MIN_TARGETS
from vlmsel.evaluation.trust import Trust
from vlmsel.plurals import number_of
from vlmsel.selection.novelty import Novelty
from vlmsel.selection.ranking import Ranking
from vlmsel.tasks.pictures import Pictures

Code = Literal[
    "few-pictures",
    "unlike-every-source",
    "few-sources",
    "not-better-than-chance",
    "images-not-looked-at",
    "constant-or-repeated-pictures",
    "near-uniform",
    "failed-images",
    "models-left-out",
]


@dataclass(frozen=True)
class Notice:
    """One warning.

    Attributes:
        code: which, for programs.
        text: the sentence for people.
        is_serious: whether the ranking cannot be trusted for it.
    """

    code: Code
    text: str
    is_serious: bool = False

    @property
    def voids_intervals(self) -> bool:
        """True if intervals made from the errors on the sources do not hold for the target."""
        return self.code in ("few-pictures", "unlike-every-source", "few-sources")


def find_notices(
    ranking: Ranking,
    trust: Trust | None,
    *,
    pictures: Pictures | None = None,
    novelty: Novelty | None = None,
    failed_images: pl.DataFrame | None = None,
    looks_at_images: bool = True,
) -> tuple[Notice, ...]:
    """Collect the warnings of a ranking, the serious ones first.

    Args:
        ranking: of the selector.
        trust: how it did in leave-one-out; None where that could not be run.
        pictures: what decoding tells of the images.
        novelty: how far the nearest source is.
        failed_images: image_id and reason, one row per image and model.
        looks_at_images: whether any model was run on the images.
    """
    found = [
        _check_pictures(pictures),
        _check_novelty(novelty),
        _check_trust(trust, ranking.n_sources),
        None if looks_at_images else Notice("images-not-looked-at", NOT_LOOKED_AT),
        Notice("near-uniform", ranking.notice) if ranking.notice else None,
        _check_failures(failed_images),
        _check_left_out(ranking.left_out),
    ]
    present = [notice for notice in found if notice is not None]
    return tuple(sorted(present, key=lambda notice: not notice.is_serious))


NOT_LOOKED_AT = (
    "Images not looked at: no model was run on them, the ranking is the same for any images "
    "(--profile-anyway runs the models and says whether a source is like them)."
)


def headline(notices: Iterable[Notice], first_choice: str, trust: Trust | None) -> str:
    """The first line of an answer.

    Args:
        notices: of the ranking, the serious ones first.
        first_choice: name of the model ranked first.
        trust: how the selector did in leave-one-out.
    """
    for notice in notices:
        if notice.is_serious:
            return f"No trustworthy ranking for these images. {notice.text}"
    if trust is None:
        return f"{first_choice} is ranked first."
    loss, low, high = (100 * share for share in (trust.regret, trust.regret_low, trust.regret_high))
    return (
        f"{first_choice} is ranked first; expected loss against the best model: {loss:.1f} points "
        f"of accuracy (95 % interval {low:.1f} to {high:.1f} over {trust.n_tasks} tasks)."
    )


def _check_pictures(pictures: Pictures | None) -> Notice | None:
    if pictures is None or pictures.notice is None:
        return None
    text = f"{pictures.notice[0].upper()}{pictures.notice[1:]}."
    if pictures.is_enough:
        return Notice("constant-or-repeated-pictures", text)
    return Notice("few-pictures", text, is_serious=True)


def _check_novelty(novelty: Novelty | None) -> Notice | None:
    if novelty is None or novelty.notice is None:
        return None
    return Notice("unlike-every-source", novelty.notice, is_serious=True)


def _check_trust(trust: Trust | None, n_sources: int) -> Notice | None:
    n_tasks = n_sources if trust is None else trust.n_tasks
    if trust is None or not trust.is_enough:
        tasks = number_of(n_tasks, "known task is", "known tasks are")
        text = f"Nothing can be said of how good it is: {tasks} too few, {MIN_TARGETS} are needed."
        return Notice("few-sources", text, is_serious=True)
    if trust.beats_chance:
        return None
    text = (
        f"In leave-one-out over {trust.n_tasks} tasks the ranking of {trust.selector} was not "
        "clearly better than chance (the 95 % interval of its mean tau includes 0)."
    )
    return Notice("not-better-than-chance", text, is_serious=True)


def _check_failures(failed: pl.DataFrame | None) -> Notice | None:
    if failed is None or failed.is_empty():
        return None
    images = number_of(failed["image_id"].n_unique(), "image", "images")
    text = f"{images} could not be used."
    return Notice("failed-images", text)


def _check_left_out(left_out: pl.DataFrame) -> Notice | None:
    if left_out.is_empty():
        return None
    models = number_of(left_out.height, "model has", "models have")
    text = f"{models} no place in the ranking."
    return Notice("models-left-out", text)

"""Estimators of accuracy without labels: arrays in, one score per model out, one function per file.

`vote`, `one_coin`, `dawid_skene` and `pair_agreement` compare the answers of a whole zoo;
`confidence`, `margin`, `entropy` and `nuclear_norm` look at the probabilities of one model;
`expected_agreement` at those of a zoo; `text_rank` at descriptions of the tasks alone.

Higher is better everywhere but in `text_rank`. When most models are wrong together, the estimators
that compare answers are worse than chance and nothing in the unlabelled images says so: use them as
control variates (`vlmsel.selection.posterior.power_hits`), which cannot mislead.
"""

from vlmsel.selection.estimators.answers import FAILED, OUTSIDE
from vlmsel.selection.estimators.confidence_estimate import (
    calibrated_confidence,
    confidence,
    fit_temperature,
)
from vlmsel.selection.estimators.dawid_skene_estimate import dawid_skene
from vlmsel.selection.estimators.entropy_estimate import negative_entropy
from vlmsel.selection.estimators.expected_agreement import expected_agreement
from vlmsel.selection.estimators.margin_estimate import margin
from vlmsel.selection.estimators.nuclear_norm import nuclear_norm
from vlmsel.selection.estimators.one_coin import OneCoin, one_coin
from vlmsel.selection.estimators.pair_agreement_estimate import pair_agreement
from vlmsel.selection.estimators.text_rank import (
    text_similarity,
    text_weighted_ranks,
    text_weights,
)
from vlmsel.selection.estimators.vote import vote

__all__ = [
    "FAILED",
    "OUTSIDE",
    "OneCoin",
    "calibrated_confidence",
    "confidence",
    "dawid_skene",
    "expected_agreement",
    "fit_temperature",
    "margin",
    "negative_entropy",
    "nuclear_norm",
    "one_coin",
    "pair_agreement",
    "text_similarity",
    "text_weighted_ranks",
    "text_weights",
    "vote",
]

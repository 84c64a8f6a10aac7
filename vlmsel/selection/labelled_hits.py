"""Hits of a zoo on the labelled images of a target, for selectors that take labels."""

from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey


@dataclass(frozen=True)
class LabelledHits:
    """Answers of each model on a few labelled images, right or wrong.

    Attributes:
        models: (model, pretrained) of the columns.
        hits: (images, models) of 1, 0 and NaN where the image failed for the model. The images must
            be a random sample of the target's.
    """

    models: tuple[ModelKey, ...]
    hits: np.ndarray

    def __post_init__(self) -> None:
        """Refuse what are no hits."""
        known = self.hits[np.isfinite(self.hits)]
        if self.hits.ndim != 2 or self.hits.shape[1] != len(self.models):
            raise SelectionError(
                f"hits need one column per model: {self.hits.shape} of {len(self.models)} models"
            )
        if len(set(self.models)) < len(self.models) or not np.isin(known, (0.0, 1.0)).all():
            raise SelectionError("hits must be 1 or 0, and every model must have one column")

    def of(self, models: tuple[ModelKey, ...]) -> np.ndarray:
        """Columns of some models, (images, models), NaN where a model has none."""
        place = {key: column for column, key in enumerate(self.models)}
        found = np.full((len(self.hits), len(models)), np.nan)
        for column, key in enumerate(models):
            if key in place:
                found[:, column] = self.hits[:, place[key]]
        return found

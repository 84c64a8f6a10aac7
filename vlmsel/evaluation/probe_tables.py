"""Results of probes as tables: accuracies, places of scores, hits, as arrays over a zoo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.evaluation.probe_work import (
    ProbeOptions,
    ProbeResult,
    ShotResult,
    accuracy_of,
    from_text,
)
from vlmsel.evaluation.shots import LabelledImages, draw_shots, find_undrawn
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.transfer.score_catalog import Value, find_estimator
from vlmsel.selection.transfer.zoo_table import ScoredCell, ScoredModel, estimator_column

Unit = tuple[ModelKey, str, int | None]
PROBE_SCHEMA = {
    **dict.fromkeys([*MODEL, "task"], pl.String),
    "shots": pl.Int64,
    "acc1": pl.Float64,
    "n_images": pl.Int64,
    "n_draws": pl.Int64,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Places:
    """Places of a zoo by one score.

    Attributes:
        place: (models,), 1 = best; NaN where a model has none.
        reason: why the score ranks nothing, or not all; None where it ranks all.
    """

    place: np.ndarray
    reason: str | None


@dataclass(frozen=True)
class ProbeTables:
    """All results of a zoo.

    Attributes:
        models: the zoo, by name.
        images: labelled images by task.
        results: by model, task and shots (None: all images).
        options: shots, draws and scores that were asked.
    """

    models: tuple[ModelKey, ...]
    images: Mapping[str, LabelledImages]
    results: Mapping[Unit, ProbeResult]
    options: ProbeOptions

    @cached_property
    def accuracies(self) -> pl.DataFrame:
        """Accuracies of probes: model, pretrained, task, shots (null: all images), acc1, ....

        Those of all images are of held-out folds; those of a few shots are of the images that were
        not drawn, means over draws. `n_images` were judged, per draw. Sorted.
        """
        rows = [self._row(unit, result) for unit, result in self.results.items()]
        frame = pl.DataFrame(rows, schema=PROBE_SCHEMA, orient="row")
        return frame.sort(*MODEL, "task", "shots", nulls_last=True)

    @property
    def truth(self) -> pl.DataFrame:
        """Accuracies of probes of all images: model, pretrained, task, acc1."""
        whole = self.accuracies.filter(pl.col("shots").is_null() & pl.col("acc1").is_not_null())
        return whole.select(*MODEL, "task", "acc1")

    def draw_rows(self, task: str, shots: int, draw: int) -> np.ndarray:
        """Rows of a draw."""
        return draw_shots(self.images[task], shots, draw, seed=self.options.seed)

    def unseen_accuracy(self, task: str, drawn: np.ndarray, *, zero_shot: bool) -> np.ndarray:
        """Accuracy of each model on the images that a draw did not show, NaN where unknown.

        Args:
            task: its name.
            drawn: rows of the draw.
            zero_shot: of the zero-shot classifier, not of the probe of all images.
        """
        rows = find_undrawn(self.images[task], drawn)
        found = np.full(len(self.models), np.nan)
        for column, key in enumerate(self.models):
            result = self.results.get((key, task, None), ProbeResult())
            text = result.zero_shot_hits if zero_shot else result.hits
            if text:
                found[column] = accuracy_of(from_text(text), rows)
        return found

    def shot(self, key: ModelKey, task: str, shots: int, draw: int) -> ShotResult | None:
        """One draw of one model; None where it has none."""
        result = self.results.get((key, task, shots))
        return result.draws[draw] if result is not None and result.draws else None

    def places(self, name: str, task: str, shots: int, draw: int) -> Places:
        """Places of the zoo by one score of a draw, under the score's gates."""
        rows, known = [], []
        for column, key in enumerate(self.models):
            shot = self.shot(key, task, shots, draw)
            if shot is None or name not in shot.cells:
                continue
            value, tie_break, floor, reason = shot.cells[name]
            told = None if value is None else Value(value, tie_break)
            cell = ScoredCell(told, floor, reason)
            dimensions = self.results[key, task, shots].dimensions
            rows.append(ScoredModel(key, {name: cell}, dimensions, None, None))
            known.append(column)
        place = np.full(len(self.models), np.nan)
        if not rows:
            return Places(place, self._explain_none(task, shots))
        table = estimator_column(name, find_estimator(name), rows)
        place[known] = table["place"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        lacking = table.filter(pl.col("place").is_null())
        if len(rows) < len(self.models) and lacking.is_empty():
            return Places(place, self._explain_none(task, shots))
        return Places(place, None if lacking.is_empty() else lacking.item(0, "reason"))

    def hits(self, task: str, shots: int, draw: int, *, zero_shot: bool) -> np.ndarray | None:
        """Held-out hits on the drawn images, (images, models); None where nobody has any."""
        columns = []
        for key in self.models:
            shot = self.shot(key, task, shots, draw)
            text = "" if shot is None else shot.zero_shot_hits if zero_shot else shot.hits
            columns.append(from_text(text) if text else None)
        lengths = {len(column) for column in columns if column is not None}
        if len(lengths) != 1:
            return None
        holes = np.full(lengths.pop(), np.nan)
        return np.stack([holes if column is None else column for column in columns], axis=1)

    def _explain_none(self, task: str, shots: int) -> str:
        reasons: Sequence[str] = [
            result.reason
            for key in self.models
            if (result := self.results.get((key, task, shots))) is not None and result.reason
        ]
        return reasons[0] if reasons else "some models have no labelled images with an embedding"

    def _row(self, unit: Unit, result: ProbeResult) -> tuple[object, ...]:
        (model, pretrained), task, shots = unit
        where = (model, pretrained, task, shots)
        if result.reason is not None:
            return (*where, None, None, None, result.reason)
        if shots is None:
            hits = from_text(result.hits)
            return (*where, accuracy_of(hits), int(np.isfinite(hits).sum()), None, None)
        accuracy = float(np.mean([draw.accuracy for draw in result.draws]))
        return (*where, accuracy, result.draws[0].n_images, len(result.draws), None)

"""Texts of all tasks by all models, with what labelled images of the sources add."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl

from vlmsel.columns import CELL
from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.texts.text_features import FEATURES, IMAGENET, TEXT_FEATURES, text_features
from vlmsel.selection.texts.text_view import TextView

GRAPH_COLUMNS = {**dict.fromkeys(CELL, pl.String), "node": pl.Float64, "edges": pl.Float64}
FEATURE_COLUMNS = {**dict.fromkeys(CELL, pl.String), **dict.fromkeys(FEATURES, pl.Float64)}


@dataclass(frozen=True, eq=False)
class TextEvidence:
    """Everything that selectors by texts look at.

    Attributes:
        views: by task, then by model.
        features: model, pretrained, task and `FEATURES`, NaN or null where unknown; None makes them
            of the views.
        graphs: model, pretrained, task, node, edges of `vega_parts`, where images were embedded.
        notes: where captions and synonyms come from, one line each.
    """

    views: Mapping[str, Mapping[ModelKey, TextView]] = field(default_factory=dict)
    features: pl.DataFrame | None = None
    graphs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=GRAPH_COLUMNS))
    notes: tuple[str, ...] = ()

    @cached_property
    def feature_table(self) -> pl.DataFrame:
        """Features of every model and task: as imported, or made of the views."""
        return make_features(self.views) if self.features is None else self.features

    @cached_property
    def digest(self) -> str:
        """Digest of everything."""
        found = hashlib.sha256()
        for table in (self.feature_table, self.graphs):
            found.update(table.sort(CELL).write_csv().encode())
        for task, models in sorted(self.views.items()):
            for key, view in sorted(models.items()):
                found.update(repr((task, key, view.names)).encode())
                for name in ("classes", "captions", "synonyms", "gaps", "accuracy"):
                    values = getattr(view, name)
                    found.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
        return found.hexdigest()

    def hide_labels(self, target: str) -> "TextEvidence":
        """The same without what labelled images of the target add."""
        views = dict(self.views)
        if target in views:
            views[target] = {key: view.hide_labels() for key, view in views[target].items()}
        return replace(self, views=views, features=self.feature_table)

    def has_label_traces(self, target: str) -> bool:
        """True if anything made of the target's labels is left in it."""
        views = self.views.get(target, {}).values()
        return any(view.gaps is not None or view.accuracy is not None for view in views)

    def feature_array(self, models: Iterable[ModelKey], tasks: Iterable[str]) -> np.ndarray:
        """Features as (models, tasks, F), NaN where unknown."""
        columns = self.feature_table.select(*CELL, *FEATURES).iter_rows()
        known = {row[:3]: row[3:] for row in columns}
        nothing = (None,) * len(FEATURES)
        names = list(tasks)
        rows = [[known.get((*key, task), nothing) for task in names] for key in models]
        shape = (len(rows), len(names), len(FEATURES))
        return np.array(rows, dtype=float).reshape(shape)

    def require_views(self, selector: str, tasks: Iterable[str]) -> None:
        """Make sure that there are texts of some tasks.

        Raises:
            SelectionError: there are none of one.
        """
        for task in tasks:
            if not self.views.get(task):
                raise SelectionError(
                    f"selector {selector} needs texts of {task}, which no model has: run `vlmsel "
                    "measure text` on tasks with class names"
                )


def make_features(views: Mapping[str, Mapping[ModelKey, TextView]]) -> pl.DataFrame:
    """Features of every view; ImageNet's score is unknown to texts."""
    rows = [
        {
            **dict(zip(CELL, (*key, task), strict=True)),
            IMAGENET: None,
            **dict(
                zip(TEXT_FEATURES, text_features(view, seed=task_seed(task)).tolist(), strict=True)
            ),
        }
        for task, models in sorted(views.items())
        for key, view in sorted(models.items())
    ]
    return pl.DataFrame(rows, schema=FEATURE_COLUMNS)


def task_seed(task: str) -> int:
    """Seed of a task's noise, the same everywhere."""
    return zlib.crc32(task.encode())

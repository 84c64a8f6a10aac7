"""Tables for export: what a store knows of accuracies, classes, answers and rankings."""

from collections.abc import Sequence

import polars as pl

from vlmsel.api.laboratory import current_knowledge, evaluate, imported_knowledge
from vlmsel.api.workspace import Workspace, open_workspace, remembers
from vlmsel.columns import CELL, MEASURED
from vlmsel.errors import StoreError
from vlmsel.evidence.accuracies import (
    join_imported,
    label_predictions,
    per_class_accuracies,
)
from vlmsel.evidence.evidence import Evidence
from vlmsel.published import stored_tables
from vlmsel.published.stored_tables import read_class_accuracies, read_predictions, read_rankings
from vlmsel.store.store import Store


class ExportSource:
    """A store's current catalogs, where it remembers some, and the tables imported into it.

    Args:
        store: folder or address.
        zoo: model catalog, where not the remembered one.
        tasks: task catalog, likewise.
        sources: take only these, ``measured`` or names of imports; the first one that knows a row
            counts. By default measured, then imports by name.
    """

    def __init__(
        self,
        store: str,
        *,
        zoo: str | None = None,
        tasks: str | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        self._store = Store(store)
        self._sources = list(sources)
        is_known = zoo is not None or tasks is not None or remembers(store)
        self._workspace = open_workspace(store, zoo=zoo, tasks=tasks) if is_known else None

    def accuracies(self) -> pl.DataFrame:
        """Accuracies of models on tasks, measured and published.

        Returns:
            model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images, source.

        Raises:
            StoreError: there are none, or a source is unknown.
        """
        measured = _NO_ACCURACIES if self._evidence is None else self._evidence.accuracies
        found = join_imported(
            measured,
            stored_tables.read_accuracies(self._store.folder),
            sources=self._sources or None,
            address=self._store.address,
        )
        return self._require_rows(found, "accuracies")

    def classes(self) -> pl.DataFrame:
        """Accuracies of classes.

        Returns:
            model, pretrained, task, classname, accuracy, n_images, source.

        Raises:
            StoreError: there are none, or a source is unknown.
        """
        columns = [*CELL, "classname", "accuracy", "n_images", "source"]
        parts = [read_class_accuracies(self._store.folder).select(columns)]
        if (evidence := self._evidence) is not None:
            named = per_class_accuracies(evidence.labelled).join(
                _class_names(evidence), on=["task", "label"], how="left", maintain_order="left"
            )
            parts.append(named.with_columns(source=pl.lit(MEASURED)).select(columns))
        return self._require_rows(
            self._keep_first_source(pl.concat(parts), [*CELL, "classname"]), "classes"
        )

    def predictions(self) -> pl.DataFrame:
        """The answer of every model on every image, with its confidence and the true class.

        Returns:
            model, pretrained, task, image_id, prediction (class name), confidence (softmax
            probability of the answer), label (class name; null where unknown), source.

        Raises:
            StoreError: there are none, or a source is unknown.
        """
        columns = [*CELL, "image_id", "prediction", "confidence", "label", "source"]
        parts = [read_predictions(self._store.folder).select(columns)]
        if (workspace := self._workspace) is not None:
            evidence = Evidence(
                workspace.store, workspace.catalogued, workspace.wants, with_logits=True
            )
            parts.append(_named_answers(evidence).select(columns))
        return self._require_rows(
            self._keep_first_source(pl.concat(parts), [*CELL, "image_id"]), "predictions"
        )

    def rankings(self, selectors: Sequence[str] = ()) -> pl.DataFrame:
        """Rankings of the zoo for every task, which selectors do not see, beside the truth.

        Args:
            selectors: by name; all that can be used by default.

        Returns:
            target, selector, rank, model, pretrained, score, accuracy, source.

        Raises:
            StoreError, SelectionError: too little is known.
        """
        imported = read_rankings(self._store.folder)
        if self._sources and MEASURED not in self._sources:
            return self._require_rows(
                self._keep_first_source(imported, list(imported.columns[:5])), "rankings"
            )
        if self._workspace is None:
            knowledge = imported_knowledge(self._store.uri)
        else:
            knowledge = current_knowledge(self._workspace)
        found = evaluate(knowledge, list(selectors) or None)
        return found.rankings.with_columns(source=pl.lit(MEASURED))

    @property
    def _evidence(self) -> Evidence | None:
        workspace: Workspace | None = self._workspace
        wanted = workspace is not None and "prediction" in workspace.wants
        return workspace.evidence if workspace is not None and wanted else None

    def _keep_first_source(self, found: pl.DataFrame, key: list[str]) -> pl.DataFrame:
        """Every row once: of the first source that knows it.

        Raises:
            StoreError: a source is unknown.
        """
        known = found["source"].unique().sort().to_list()
        for source in self._sources:
            if source not in (*known, MEASURED):
                raise StoreError(
                    f"store {self._store.address} has nothing from {source!r}: there is "
                    f"{', '.join(known) or 'nothing'}"
                )
        order = self._sources or [MEASURED, *(name for name in known if name != MEASURED)]
        places = {source: place for place, source in enumerate(order)}
        return (
            found.filter(pl.col("source").is_in(order))
            .sort(*key, pl.col("source").replace_strict(places, return_dtype=pl.Int64))
            .unique(subset=key, keep="first", maintain_order=True)
        )

    def _require_rows(self, found: pl.DataFrame, what: str) -> pl.DataFrame:
        """The table, which must have a row.

        Raises:
            StoreError: it has none.
        """
        if found.is_empty():
            raise StoreError(
                f"store {self._store.address} knows no {what}: `vlmsel accuracy` measures some, "
                "`vlmsel import` reads published tables"
            )
        return found


_NO_ACCURACIES = pl.DataFrame(
    schema={
        **dict.fromkeys(CELL, pl.String),
        "acc1": pl.Float64,
        "acc5": pl.Float64,
        "mean_per_class_recall": pl.Float64,
        "n_images": pl.Int64,
    }
)


def _class_names(evidence: Evidence) -> pl.DataFrame:
    """Class names by task and label."""
    rows = [
        (task, label, name)
        for task, prompts in evidence.catalogued.prompts.items()
        for label, name in enumerate(prompts.classnames)
    ]
    schema = {"task": pl.String, "label": pl.Int32, "classname": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _named_answers(evidence: Evidence) -> pl.DataFrame:
    """Answers under class names, of labelled and other images."""
    names = _class_names(evidence)
    keys = [*CELL, "image_id"]
    labels = label_predictions(evidence.predictions.select(keys), evidence.labels)
    largest = pl.col("logits").list.max().cast(pl.Float64)
    confidence = (largest - pl.col("log_sum_exp").cast(pl.Float64)).exp().clip(0.0, 1.0)
    answered = names.rename({"label": "argmax", "classname": "prediction"})
    true = names.rename({"classname": "true"})
    return (
        evidence.predictions.join(labels, on=keys, how="left", maintain_order="left")
        .join(answered, on=["task", "argmax"], how="left", maintain_order="left")
        .join(true, on=["task", "label"], how="left", maintain_order="left")
        .with_columns(confidence=confidence, source=pl.lit(MEASURED))
        .drop("label")
        .rename({"true": "label"})
    )

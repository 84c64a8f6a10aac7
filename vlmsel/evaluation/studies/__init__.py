"""Studies: what a selector's quality depends on. Each is a pure function from tables to a table.

`STUDIES` names them for the command line, `study_data` holds what they share;
`vlmsel.report.study_figures` draws them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from vlmsel.evaluation.studies.image_counts import number_of_images
from vlmsel.evaluation.studies.noise import off_task_images, source_noise
from vlmsel.evaluation.studies.setting_variants import attribution, granularity
from vlmsel.evaluation.studies.source_weights import sources_weighed
from vlmsel.evaluation.studies.study_data import StudyData
from vlmsel.evaluation.studies.zoo_draws import other_zoos

__all__ = ["STUDIES", "Study", "StudyData"]


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        function: tables in, table out.
        description: one line of help.
    """

    function: Callable[[StudyData], pl.DataFrame]
    description: str


STUDIES: dict[str, Study] = {
    "images": Study(
        number_of_images,
        "quality by the number of images of the target and of the sources",
    ),
    "granularity": Study(
        granularity,
        "quality with blocks and with stages (regrouped, or profiles of both)",
    ),
    "attribution": Study(
        attribution,
        "quality with conductance, gradient and gradient x activation",
    ),
    "noise": Study(source_noise, "quality under noise in the source profiles"),
    "off-task": Study(
        off_task_images,
        "quality when a share of the target's images shows another task",
    ),
    "sources": Study(sources_weighed, "which sources a selector weighs, target by target"),
    "zoos": Study(
        other_zoos,
        "whether a comparison holds in 1,000 random zoos of 70 % of the models",
    ),
}

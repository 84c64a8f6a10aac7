"""Effect of the block granularity, and of the attribution, on the quality of selectors."""

from collections.abc import Mapping

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.studies.study_data import StudyData, common_cells, evaluate_conditions

QUARTERS = 4


def granularity(data: StudyData) -> pl.DataFrame:
    """Leave-one-out on each variant of the profiles; blocks alone are regrouped to stages.

    Returns:
        granularity, then the summary's columns.
    """
    frames, blocks = data.profiles, data.reference
    if len(frames) == 1:
        frames = {**frames, "stage": to_stages(blocks)}
    return _compare_variants("granularity", frames, data)


def attribution(data: StudyData) -> pl.DataFrame:
    """Leave-one-out on the profiles of each attribution.

    Returns:
        attribution, then the summary's columns.

    Raises:
        SelectionError: There is one variant only.
    """
    if len(data.profiles) < 2:
        msg = (
            "this study compares attributions and there is only "
            f"{', '.join(data.profiles) or 'none'}; run `vlmsel profile --attribution gradient`"
        )
        raise SelectionError(msg)
    return _compare_variants("attribution", data.profiles, data)


def to_stages(long: pl.DataFrame) -> pl.DataFrame:
    """Keep the last block of every stage, whose output is the stage's output.

    Blocks named `container.number` form one stage a container; a model with a single container is
    cut into quarters of its depth, as `functional_blocks(granularity="stage")` does.

    Args:
        long: profiles of every block.

    Returns:
        The rows of the stages; block is their number and block_name unchanged.
    """
    blocks = long.filter(pl.col("block").is_not_null()).select(*MODEL, "block", "block_name")
    named = blocks.unique().sort(*MODEL, "block")
    inside = named.with_columns(
        _stage=pl.col("block_name").str.extract(r"^(.*)\.[^.]*$").fill_null(""),
        _place=pl.int_range(pl.len()).over(MODEL),
        _depth=pl.len().over(MODEL),
    )
    many = pl.col("_stage").n_unique().over(MODEL) > 1
    parts = pl.min_horizontal(pl.lit(QUARTERS), "_depth")
    # Quarter j ends behind depth * j // parts blocks; j is the first one that can end here.
    behind = pl.col("_place") + 1
    quarter = (behind * parts + pl.col("_depth") - 1) // pl.col("_depth")
    last_of_quarter = pl.col("_depth") * quarter // parts == behind
    last_of_stage = pl.col("_place") == pl.col("_place").max().over(*MODEL, "_stage")
    kept = inside.filter(pl.when(many).then(last_of_stage).otherwise(last_of_quarter))
    numbered = kept.select(
        *MODEL, "block", _number=pl.int_range(pl.len()).over(MODEL).cast(pl.Int32)
    )
    stages = long.join(numbered, on=[*MODEL, "block"], how="inner")
    return stages.with_columns(block=pl.col("_number")).drop("_number")


def _compare_variants(
    name: str, frames: Mapping[str, pl.DataFrame], data: StudyData
) -> pl.DataFrame:
    tables = common_cells(frames)
    conditions = (
        ({name: variant}, hold_out(data.accuracies, table)) for variant, table in tables.items()
    )
    return evaluate_conditions(conditions, data.selectors)

"""Comparison of selectors under other draws of the zoo."""

import polars as pl

from vlmsel.evaluation.studies.study_data import StudyData
from vlmsel.evaluation.subsampled_zoos import subsampled_zoos, zoo_summary

N_ZOOS, SHARE = 1000, 0.7


def other_zoos(data: StudyData, *, n_zoos: int = N_ZOOS) -> pl.DataFrame:
    """Leave-one-out in random zoos of 70 % of the models.

    Needs no profiles when no selector does.

    Args:
        data: tables and selectors.
        n_zoos: number of random zoos.

    Returns:
        n_zoos, n_models (in the whole zoo), then the columns of `zoo_summary`.
    """
    known, profiles = data.accuracies, None
    if any(not frame.is_empty() for frame in data.profiles.values()):
        profiles = data.reference
        known = known.join(profiles, on=["model", "pretrained"], how="semi")
    zoos = subsampled_zoos(
        data.selectors, known, profiles, n_zoos=n_zoos, share=SHARE, seed=data.seed
    )
    sizes = (
        pl.lit(n_zoos).alias("n_zoos"),
        pl.lit(known.select("model", "pretrained").n_unique()).alias("n_models"),
    )
    return zoo_summary(zoos).select(*sizes, pl.all())

"""Weighted taus that papers print and that no table at hand lets one compute again."""

from functools import cache
from importlib.resources import files

import polars as pl
import yaml


@cache
def printed_taus() -> pl.DataFrame:
    """Return pool, estimator, weighted_tau, source."""
    text = (files("vlmsel.published") / "weighted_taus.yaml").read_text(encoding="utf-8")
    return pl.DataFrame(yaml.safe_load(text))

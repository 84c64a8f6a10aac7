"""Objectives, blocks, symmetry, noise and architectures side by side, against one reference."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from vlmsel.evaluation.cross_family import Approach, judge_families
from vlmsel.evaluation.held_out import HeldOutTasks, hold_out
from vlmsel.evaluation.leave_one_out import BASELINE, judge
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.evaluation.studies.noise import with_noise
from vlmsel.evaluation.studies.study_data import common_cells
from vlmsel.selection.block_matches import BlockMatches
from vlmsel.selection.registry import make_selector
from vlmsel.selection.selector import Selector

# `dcd` as published, and its kin with one vector of weights in units of the spread.
COMPARED = ("dcd", "dcd-pooled", "symmetric-l1")
# Each pair differs in direction alone, or in the distance alone.
SYMMETRY = ("dcd-pooled", "dcd-uniform", "symmetric-l1", "cosine", "jensen-shannon")
SIGMAS = (0.2, 0.5)
REPEATS = 5
OWN = "dcd-pooled, own profiles"
KEYS = ["selector", "target", "metric", "value"]


def variant_rows(
    frames: Mapping[str, pl.DataFrame], accuracies: pl.DataFrame, reference: str
) -> pl.DataFrame:
    """Leave-one-out of `COMPARED` on each variant of the profiles; see `summarise`.

    Args:
        frames: profiles by the name of their variant, compared on the cells that all have.
        accuracies: model, pretrained, task, acc1.
        reference: name of the variant that the others are compared with.

    Raises:
        SelectionError: the variants have no model and task in common.
    """
    metrics = {
        variant: judge(_selectors(COMPARED), hold_out(accuracies, table)).metrics
        for variant, table in common_cells(frames).items()
    }
    return summarise(metrics, reference)


def noise_rows(
    held_out: HeldOutTasks,
    reference: str,
    *,
    sigmas: Sequence[float] = SIGMAS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> pl.DataFrame:
    """Leave-one-out of `COMPARED` under noise on the sources, and on the target; see `summarise`.

    Args:
        held_out: the tasks, with profiles.
        reference: name of the profiles without noise.
        sigmas: strengths of the noise.
        repeats: draws of the noise, over which values are averaged.
        seed: of the noise.
    """
    selectors = _selectors(COMPARED)
    metrics = {reference: judge(selectors, held_out).metrics}
    rng = np.random.default_rng(seed)
    for side, on_target in (("sources", False), ("target", True)):
        for sigma in sigmas:
            drawn = [
                judge(selectors, with_noise(held_out, sigma, rng, on_target=on_target)).metrics
                for _ in range(repeats)
            ]
            metrics[f"noise {sigma:g} on the {side}"] = (
                pl.concat(drawn).group_by(KEYS[:3], maintain_order=True).agg(pl.col("value").mean())
            )
    return summarise(metrics, reference)


def symmetry_rows(held_out: HeldOutTasks) -> pl.DataFrame:
    """Leave-one-out of the distances; each is a variant, compared with `dcd-pooled`."""
    metrics = judge(_selectors(SYMMETRY), held_out).metrics
    return _compare_variants(metrics, "distance", SYMMETRY[0])


def family_rows(held_out: HeldOutTasks, matches: BlockMatches | None) -> pl.DataFrame:
    """Similarity carried between families; each approach is a variant, compared with `OWN`.

    Args:
        held_out: the tasks, with profiles.
        matches: blocks of the models matched with each other; None where they are not known.

    Returns:
        design, then the columns of `summarise`.

    Raises:
        SelectionError: all models are of one family.
    """
    carried = ["dcd-pooled", "dcd-depth", "dcd-families", *(["dcd-cka"] if matches else [])]
    approaches = {
        BASELINE: Approach(make_selector(BASELINE), is_carried=False),
        "dcd, own profiles": Approach(make_selector("dcd"), is_carried=False),
        OWN: Approach(make_selector("dcd-pooled"), is_carried=False),
        # As sharp as ranks of sources are, to tell the sharpness from the ranks.
        "dcd-pooled at gamma 6, own profiles": Approach(
            make_selector("dcd-pooled", gamma=6.0), is_carried=False
        ),
        "dcd-families, own profiles": Approach(make_selector("dcd-families"), is_carried=False),
        **{f"{name}, carried": Approach(make_selector(name), is_carried=True) for name in carried},
    }
    metrics = judge_families(approaches, held_out, matches)
    parts = [
        _compare_variants(part.select(KEYS), "approach", OWN).select(
            pl.lit(design).alias("design"), pl.all()
        )
        for (design,), part in metrics.group_by("design", maintain_order=True)
    ]
    return pl.concat(parts)


def summarise(metrics: Mapping[str, pl.DataFrame], reference: str) -> pl.DataFrame:
    """Means with their gain over average rank and their change against a reference.

    Args:
        metrics: by variant: selector, target, metric, value.
        reference: one of the variants.

    Returns:
        variant, selector, metric, n_targets, mean, gain, gain_low, gain_high (over average rank),
        change, change_low, change_high (against the same selector on the reference); 95 %
        intervals of paired resamples of the targets.
    """
    chosen = {name: table.filter(pl.col("selector") != BASELINE) for name, table in metrics.items()}
    rival = metrics[reference].filter(selector=BASELINE).select(KEYS)
    names = chosen[reference]["selector"].unique(maintain_order=True).to_list()
    parts = []
    for name in names:
        of_selector = pl.concat(
            table.filter(selector=name).select(pl.lit(variant).alias("selector"), *KEYS[1:])
            for variant, table in chosen.items()
        )
        found = _compare_variants(pl.concat([rival, of_selector]), name, reference)
        parts.append(found.filter(pl.col("variant") != BASELINE))
    return pl.concat(parts)


def _compare_variants(metrics: pl.DataFrame, selector: str, reference: str) -> pl.DataFrame:
    """Rows of `summarise` for variants that stand in the column selector."""
    gain = paired_bootstrap(metrics, baseline=BASELINE)
    change = paired_bootstrap(metrics, baseline=reference)
    ends = ("", "_low", "_high")
    return gain.select(
        pl.col("selector").alias("variant"),
        pl.lit(selector).alias("selector"),
        "metric",
        "n_targets",
        "mean",
        *(pl.col(f"delta{end}").alias(f"gain{end}") for end in ends),
    ).with_columns(change[f"delta{end}"].alias(f"change{end}") for end in ends)


def _selectors(names: Sequence[str]) -> dict[str, Selector]:
    return {name: make_selector(name) for name in (BASELINE, *names)}

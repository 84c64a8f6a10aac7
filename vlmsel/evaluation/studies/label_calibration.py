"""Calibration of the posterior's advice on published tables, with simulated hits.

Whether the expected regret, the 95 % rank intervals and the 90 % accuracy intervals hold, and what
the rule to stop labelling costs: how many labels, and how much accuracy in truth.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from vlmsel.evaluation.held_out import HeldOutTasks
from vlmsel.evaluation.simulated_labels import draw_hits, target_rng
from vlmsel.evaluation.studies.label_gain import N_DRAWS, RHO, Target, lay_out
from vlmsel.selection.posterior.advice import CHECKS, advise, expected_regret
from vlmsel.selection.posterior.prior import fit_prior
from vlmsel.selection.posterior.spectrum import SpectralPrior, observe_draws

LABELS = (10, 25, 50, 100)
TOLERANCES = (0.01, 0.02, 0.03)
# Of the zoo, a case. Means over hundreds of cases need fewer than one user does.
ZOO_DRAWS = 500


def calibration_of_advice(
    held_out: HeldOutTasks,
    *,
    labels: Sequence[int] = LABELS,
    rho: float = RHO,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> pl.DataFrame:
    """Hold what the posterior says of every target against the truth, by number of labels.

    Returns:
        n_labels, n_cases, expected_regret, realised_regret, p_best (said of the first choice),
        was_best (share of the cases), rank_held (share of the true ranks in their 95 % interval;
        of tied models any place of the tie counts), rank_width (share of the zoo),
        first_width (of the first choice's), accuracy_held (in the 90 % interval).
    """
    rows = []
    wanted = sorted({n for n in labels if n > 0})
    for target in map(lay_out, held_out.tasks):
        rng = target_rng(seed, target.name)
        hits = draw_hits(target.truth, max(wanted), n_draws, rho, rng)
        prior = SpectralPrior(fit_prior(target.sources))
        for n in wanted:
            rows += [(n, *row) for row in _cases(target, prior, hits[:, :n], rng)]
    names = ["expected_regret", "realised_regret", "p_best", "was_best", "rank_held"]
    names += ["rank_width", "first_width", "accuracy_held"]
    cases = pl.DataFrame(rows, schema=["n_labels", *names], orient="row")
    return (
        cases.group_by("n_labels")
        .agg(pl.len().alias("n_cases"), pl.col(names).mean())
        .sort("n_labels")
    )


def cost_of_stopping(
    held_out: HeldOutTasks,
    *,
    tolerances: Sequence[float] = TOLERANCES,
    rho: float = RHO,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> pl.DataFrame:
    """Follow the rule to stop, target by target: label until the expected regret is small enough.

    Returns:
        tolerance, n_cases, labels_mean, labels_median, labels_90 (90 % quantile), realised_regret;
        a case that never stops is counted with the last number of the checks.
    """
    rows = []
    for target in map(lay_out, held_out.tasks):
        rng = target_rng(seed, target.name)
        hits = draw_hits(target.truth, CHECKS[-1], n_draws, rho, rng)
        prior = SpectralPrior(fit_prior(target.sources))
        rows += _find_stops(target, prior, hits, sorted(tolerances), rng)
    cases = pl.DataFrame(rows, schema=["tolerance", "labels", "regret"], orient="row")
    used = pl.col("labels")
    return (
        cases.group_by("tolerance")
        .agg(
            n_cases=pl.len(),
            labels_mean=used.mean(),
            labels_median=used.median(),
            labels_90=used.quantile(0.9, "nearest"),
            realised_regret=pl.col("regret").mean(),
        )
        .sort("tolerance")
    )


def _cases(
    target: Target, prior: SpectralPrior, hits: np.ndarray, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """One row per draw of labels."""
    from scipy.stats import rankdata

    seen = observe_draws(hits)
    many = prior.condition(seen)
    truth, n_models = target.truth, len(target.truth)
    # Tied models have no rank of their own: any place of the tie would be right.
    best, worst = rankdata(-truth, "min"), rankdata(-truth, "max")
    rows = []
    for i, score in enumerate(many.scores):
        draws = prior.draw(seen, i, many.weights[i], ZOO_DRAWS, rng)
        told = advise(draws, score)
        width = (told.rank_high - told.rank_low + 1) / n_models
        first = told.first
        held = (told.rank_low <= worst) & (best <= told.rank_high)
        inside = (told.accuracy_low <= truth) & (truth <= told.accuracy_high)
        rows.append(
            (
                told.expected_regret,
                float(truth.max() - truth[first]),
                float(told.p_best[first]),
                float(truth[first] == truth.max()),
                float(held.mean()),
                float(width.mean()),
                float(width[first]),
                float(inside.mean()),
            )
        )
    return rows


def _find_stops(
    target: Target,
    prior: SpectralPrior,
    hits: np.ndarray,
    tolerances: Sequence[float],
    rng: np.random.Generator,
) -> list[tuple[float, int, float]]:
    """Tolerance, labels used and realised regret of every draw of labels."""
    truth, rows = target.truth, []
    going = {tolerance: set(range(len(hits))) for tolerance in tolerances}
    for n in CHECKS:
        # A smaller tolerance never stops before a larger one does.
        active = sorted(going[tolerances[0]])
        if not active:
            break
        seen = observe_draws(hits[active, :n])
        many = prior.condition(seen)
        for i, case in enumerate(active):
            first = int(np.argmax(many.scores[i]))
            draws = prior.draw(seen, i, many.weights[i], ZOO_DRAWS, rng)
            regret = expected_regret(draws, first)
            for tolerance in tolerances:
                if case in going[tolerance] and (regret < tolerance or n == CHECKS[-1]):
                    going[tolerance].remove(case)
                    rows.append((tolerance, n, float(truth.max() - truth[first])))
    return rows

r"""From a few labels to a ranking: an empirical-Bayes Gaussian process over the models of a zoo.

```
accuracies on the sources -> prior.fit_prior ------------------\
hits on labelled images   -> observation.observe_hits ----------> mixture.condition -> Posterior
predictions on all images -> powered_hits.observe_powered_hits -/        |
accuracies on the target  -> whole_target.observe_accuracies --/         v
                             advice.advise: P(best), expected regret, rank intervals, when to stop
```

All functions are pure: arrays in, arrays out. `scale` is the scale on which the noise of a hit rate
is the same everywhere, `shrinkage` estimates the covariance of the models, `spectrum` conditions
many draws or zoos at once. Scores are higher-better here; selectors negate them.
"""

from vlmsel.selection.posterior.advice import Advice, advise, is_enough, next_check
from vlmsel.selection.posterior.estimate import observe_estimate
from vlmsel.selection.posterior.mixture import Posterior, condition
from vlmsel.selection.posterior.observation import (
    Observation,
    hit_correlation,
    hit_matrix,
    observe_counts,
    observe_hits,
)
from vlmsel.selection.posterior.powered_hits import PoweredHits, observe_powered_hits, power_hits
from vlmsel.selection.posterior.prior import Prior, fit_prior
from vlmsel.selection.posterior.whole_target import (
    expected_improvement,
    next_model,
    observe_accuracies,
)

__all__ = [
    "Advice",
    "Observation",
    "Posterior",
    "PoweredHits",
    "Prior",
    "advise",
    "condition",
    "expected_improvement",
    "fit_prior",
    "hit_correlation",
    "hit_matrix",
    "is_enough",
    "next_check",
    "next_model",
    "observe_accuracies",
    "observe_counts",
    "observe_estimate",
    "observe_hits",
    "observe_powered_hits",
    "power_hits",
]

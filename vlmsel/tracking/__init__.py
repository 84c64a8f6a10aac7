"""MLflow, and the only package that knows it: every evaluation and every sweep becomes a run.

Runs are told apart by the tag `kind`: `evaluation` (named after its store, with the means of all
selectors), `leave-one-out` (one run per selector, nested under it, with one `group`), `sweep`,
`sweep-point` (children of a sweep, its best points), and what `log_run_summary` is given.
Metrics have plain names: `tags.kind = 'sweep-point' and metrics.ndcg5 > 0.9` finds runs.

`run_values` computes the values of a run, `logged_runs` logs them through `mlflow_runs`, and
`tracking_uri` finds and checks the place.
"""

import logging
import os

# Before the import: MLflow reads these then, and its usage reports go over the network.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from vlmsel.tracking.logged_runs import (
    EXPERIMENT,
    log_leave_one_out,
    log_run_summary,
    log_sweep,
)
from vlmsel.tracking.tracking_uri import (
    absolute_tracking_uri,
    check_tracking_uri,
    default_tracking_uri,
)

__all__ = [
    "EXPERIMENT",
    "absolute_tracking_uri",
    "check_tracking_uri",
    "default_tracking_uri",
    "log_leave_one_out",
    "log_run_summary",
    "log_sweep",
]

for _noisy in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)

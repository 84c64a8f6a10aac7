"""Prometheus metrics of a worker, through Ray's own metrics agent."""

import time

from ray.util.metrics import Counter, Gauge, Histogram

from vlmsel.execution.plan.units import CellOutcome

SECONDS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]


class WorkerMetrics:
    """Counts one worker's cells.

    Tags are few, since models times tasks would be a million series.
    """

    def __init__(self) -> None:
        keys = ("model", "kind")
        self._cells = Counter("vlmsel_cells", "Cells settled, by status", (*keys, "status"))
        self._images = Counter("vlmsel_images", "Images measured", keys)
        self._failed_images = Counter("vlmsel_failed_images", "Images not measurable", keys)
        self._seconds = Histogram("vlmsel_cell_seconds", "Compute per cell", SECONDS, keys)
        self._busy = Gauge("vlmsel_accelerator_busy_share", "Compute over wall time")
        self._start = time.monotonic()
        self._busy_s = 0.0

    def count(self, outcome: CellOutcome) -> None:
        """Add one outcome."""
        tags = {
            "model": f"{outcome.cell.model}/{outcome.cell.pretrained}",
            "kind": outcome.cell.kind,
        }
        self._cells.inc(tags={**tags, "status": outcome.status})
        if outcome.n_images:
            self._images.inc(outcome.n_images, tags)
        if outcome.failed_images:
            self._failed_images.inc(len(outcome.failed_images), tags)
        if outcome.status == "measured":
            self._seconds.observe(outcome.seconds, tags)
        self._busy_s += outcome.seconds
        share = self._busy_s / max(time.monotonic() - self._start, 1e-9)
        self._busy.set(share)

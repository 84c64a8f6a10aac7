"""Measure kinds of a zoo on tasks: what is missing of them, in one pass."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vlmsel.api.workspace import open_workspace
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import execute
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements.kinds import measurement_class
from vlmsel.measurements.measurement import Measurement
from vlmsel.store.store import Store


def measure(
    kinds: str | Sequence[str],
    *,
    store: str | Path | Store,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    n_images: Mapping[str, int | None] | None = None,
    measurements: Mapping[str, Measurement] | None = None,
    options: RunOptions | None = None,
) -> RunSummary:
    """Measure what a store lacks of some kinds; a model is loaded and an image decoded once.

    The store remembers zoo, tasks and settings, so that `select` and `evaluate` need only it.

    Args:
        kinds: such as ``profile``, ``prediction`` or ``embedding``; one or several.
        store: folder or address; made where missing.
        zoo: model catalog (YAML) or a shipped name; by default that of the store's last run.
        tasks: task catalog (YAML) or ``demo``; by default likewise.
        n_images: images per task by kind, None for all; by default those of the store's last run.
        measurements: settings by kind, likewise.
        options: where and how to run; by default in this process.

    Returns:
        What was measured, what was there, and every failure with its reason.

    Raises:
        VlmselError: of the kind that says what is missing or wrong; see `vlmsel.errors`.
    """
    names = [kinds] if isinstance(kinds, str) else list(dict.fromkeys(kinds))
    for name in names:
        measurement_class(name)
    workspace = open_workspace(
        store, zoo=zoo, tasks=tasks, kinds=names, measurements=measurements, n_images=n_images
    )
    plan = workspace.plan(names, options)
    workspace.remember()
    return execute(plan, workspace.store, options=options)

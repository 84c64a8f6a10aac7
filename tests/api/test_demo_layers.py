"""Heatmap of silenced layers for the demo: what it lacks, and what it does not measure again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vlmsel.api import demo_layers
from vlmsel.api.demo_layers import explain_lack, study_layers
from vlmsel.demo.demo_questions import demo_question
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import Unit
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements.knockout import BASE_LAYER
from vlmsel.store import Store
from vlmsel.zoo.layer_name import TOWERS

TASK = "counting"


def test_without_transformers_one_line_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_layers, "find_spec", lambda _: None)
    lack = explain_lack()
    assert lack is not None
    assert "transformers is not installed (pip install 'vlmsel[transformers]')" in lack
    monkeypatch.setattr(demo_layers, "find_spec", lambda _: object())
    assert explain_lack() is None


def answer_rows(unit: Unit) -> Iterator[dict[str, Any]]:
    """Always the first option, with layers and without."""
    n_options = len(demo_question(TASK).options)
    (cell,) = (cell.id for cell in unit.cells)
    for ref in unit.shard.images:
        for layer in (BASE_LAYER, 0, 1):
            yield {
                "model": cell.model,
                "pretrained": cell.pretrained,
                "task": cell.task,
                "image_id": ref.image_id,
                "image_sha256": ref.sha256,
                "layer": layer,
                "layer_name": "" if layer == BASE_LAYER else f"block.{layer}",
                "state": "base" if layer == BASE_LAYER else "acts",
                "argmax": 0,
                "log_probabilities": [-np.log(n_options)] * n_options,
            }


def test_a_second_study_measures_nothing_again(tmp_path: Path) -> None:
    plans = []

    def run(plan: Plan, store: Store, options: RunOptions, what: str) -> RunSummary:
        """Write cells that are made up, in place of a model's."""
        plans.append((plan.n_measured, plan.n_missing))
        (measurement,) = plan.job.measurements.values()
        for unit in (unit for model in plan.work for unit in model.units):
            rows = pa.Table.from_pylist([*answer_rows(unit)], schema=measurement.row_schema())
            store.write(unit.cells[0].id, measurement, rows)
        return RunSummary()

    first, second = (
        study_layers(tmp_path, RunOptions(), run, names=(TASK,), n_items=8) for _ in range(2)
    )
    assert plans == [(0, 1)] * len(TOWERS) + [(1, 0)] * len(TOWERS)
    assert second.text == first.text

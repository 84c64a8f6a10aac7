from pathlib import Path

import pytest

from tests.execution.builders import JOB, PROFILE, THREE, job
from vlmsel.execution.plan.timings import read_timings, write_timings
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements import Measurement
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store


def summary(model: str, *runs: tuple[int, float], measurement: Measurement = PROFILE) -> RunSummary:
    cell = CellId(model, "x", "cars", "0", measurement.digest, measurement.kind)
    return RunSummary.of(
        CellOutcome(cell, "measured", n_images=n, seconds=seconds) for n, seconds in runs
    )


def test_seconds_per_image_are_kept_by_model(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_timings(store, JOB, summary("a", (10, 1.0), (10, 3.0)).tallies)
    write_timings(store, JOB, summary("b", (2, 1.0)).tallies)
    assert read_timings(store, PROFILE) == pytest.approx({"a/x": 0.2, "b/x": 0.5})


def test_the_latest_run_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_timings(store, JOB, summary("a", (10, 1.0)).tallies)
    write_timings(store, JOB, summary("a", (10, 2.0)).tallies)
    assert read_timings(store, PROFILE) == pytest.approx({"a/x": 0.2})


def test_every_measurement_has_times_of_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = [summary("a", (10, float(i)), measurement=one) for i, one in enumerate(THREE, 1)]
    write_timings(store, job(THREE), (sum(parts, RunSummary())).tallies)
    for number, one in enumerate(THREE, 1):
        assert read_timings(store, one) == pytest.approx({"a/x": number / 10})


def test_a_run_without_measurements_writes_nothing(tmp_path: Path) -> None:
    write_timings(Store(tmp_path), JOB, summary("a", (0, 0.0)).tallies)
    assert not (tmp_path / "timings").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"a/x": "soon"}', "null"])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / f"profile-{PROFILE.digest}.json").write_text(text)
    assert read_timings(Store(tmp_path), PROFILE) == {}

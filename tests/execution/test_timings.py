from pathlib import Path

import pytest

from tests.execution.builders import JOB
from vlmsel.execution.cells import CellOutcome
from vlmsel.execution.summary import RunSummary
from vlmsel.execution.timings import read_timings, write_timings
from vlmsel.store.keys import CellId


def summary(model: str, *runs: tuple[int, float]) -> RunSummary:
    cell = CellId(model, "x", "cars", "0", JOB.digest)
    return RunSummary.of(
        CellOutcome(cell, "measured", n_images=n, seconds=seconds) for n, seconds in runs
    )


def test_seconds_per_image_are_kept_by_model(tmp_path: Path) -> None:
    write_timings(str(tmp_path), JOB, summary("a", (10, 1.0), (10, 3.0)))
    write_timings(str(tmp_path), JOB, summary("b", (2, 1.0)))
    assert read_timings(str(tmp_path), JOB) == pytest.approx({"a/x": 0.2, "b/x": 0.5})


def test_the_latest_run_counts(tmp_path: Path) -> None:
    write_timings(str(tmp_path), JOB, summary("a", (10, 1.0)))
    write_timings(str(tmp_path), JOB, summary("a", (10, 2.0)))
    assert read_timings(str(tmp_path), JOB) == pytest.approx({"a/x": 0.2})


def test_a_run_without_measurements_writes_nothing(tmp_path: Path) -> None:
    write_timings(str(tmp_path), JOB, summary("a", (0, 0.0)))
    assert not (tmp_path / "timings").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"a/x": "soon"}', "null"])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / f"{JOB.digest}.json").write_text(text)
    assert read_timings(str(tmp_path), JOB) == {}

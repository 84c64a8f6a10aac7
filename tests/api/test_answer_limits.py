import polars as pl
import pytest

from vlmsel.api.answer_limits import (
    check_limits,
    eligible_models,
    image_times,
    limit_words,
    may_be_eligible,
)
from vlmsel.api.known_zoo import KnownZoo, shipped_zoo
from vlmsel.errors import SelectionError
from vlmsel.execution.plan.timings import write_timings
from vlmsel.execution.plan.units import Job
from vlmsel.execution.run_summary import RunSummary, Tally
from vlmsel.measurements.embedding import Embedding

FACTS = pl.DataFrame(
    {"parameters_m": [10.0, 80.0, None, 20.0], "ms_image": [5.0, 1.0, 1.0, None]},
    schema={"parameters_m": pl.Float64, "ms_image": pl.Float64},
)


def test_without_a_limit_all_are_eligible():
    assert eligible_models(FACTS, max_params=None, max_ms=None) == (None, [])
    assert may_be_eligible(FACTS, max_params=None, max_ms=None) is None


def test_models_of_unknown_size_or_time_are_not_eligible_and_counted():
    fits, notes = eligible_models(FACTS, max_params=50, max_ms=9)
    assert fits.tolist() == [True, False, False, False]
    assert [note.split()[0] for note in notes] == ["1", "1"]


def test_a_model_that_was_never_timed_is_run_first():
    assert may_be_eligible(FACTS, max_params=50, max_ms=2).tolist() == [False, False, False, True]
    assert may_be_eligible(FACTS, max_params=None, max_ms=2).tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_params": 1, "max_ms": None}, "at most 1 million parameters .* raise --max-params"),
        ({"max_params": None, "max_ms": 0.5}, "at most 0.5 ms per image .* raise --max-ms"),
        ({"max_params": 15, "max_ms": 2}, "raise --max-params or --max-ms"),
    ],
)
def test_limits_that_nothing_keeps_are_refused(limits, words):
    with pytest.raises(SelectionError, match=words):
        eligible_models(FACTS, **limits)


@pytest.mark.parametrize("limits", [(0, None), (None, -1.0)])
def test_limits_are_above_zero(limits):
    with pytest.raises(SelectionError, match="must be above 0"):
        check_limits(*limits)


def test_both_limits_are_named():
    words = "at most 5 million parameters and at most 2 ms per image"
    assert limit_words(max_params=5, max_ms=2) == words


def test_a_shared_forward_pass_counts_once_at_the_kind_that_booked_it(tmp_path):
    zoo = shipped_zoo(str(tmp_path / "store"), None)
    assert image_times(zoo).null_count() == len(zoo.models)
    keep_times(zoo, prediction=0.004, embedding=0.3)
    times = image_times(zoo)
    assert times[0] == pytest.approx(300.0)
    assert times.null_count() == len(zoo.models) - 1


def test_a_pass_that_warmed_up_does_not_count(tmp_path):
    zoo = shipped_zoo(str(tmp_path / "store"), None)
    keep_times(zoo, prediction=0.0016, embedding=0.011)
    assert image_times(zoo)[0] == pytest.approx(1.6)


def keep_times(zoo: KnownZoo, *, prediction: float, embedding: float) -> None:
    """Keep seconds per image of the first model."""
    model, pretrained = zoo.models[0]
    for measurement, seconds in ((zoo.measurement, prediction), (Embedding(), embedding)):
        tally = Tally(n_images=100, seconds=100 * seconds)
        kind = measurement.kind
        summary = RunSummary(tallies={(kind, model, pretrained, "task"): tally})
        write_timings(zoo.store, Job(measurements={kind: measurement}), summary.tallies)

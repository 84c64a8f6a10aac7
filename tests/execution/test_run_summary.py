import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.evidence.failure import Failure
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.run_summary import RunSummary
from vlmsel.store.keys import CellId

outcomes = st.builds(
    CellOutcome,
    cell=st.builds(
        CellId,
        st.sampled_from("ab"),
        st.just("x"),
        st.sampled_from("st"),
        st.text("0f", max_size=3),
        st.just("d"),
        st.sampled_from(["profile", "prediction"]),
    ),
    status=st.sampled_from(["measured", "failed", "skipped"]),
    reason=st.just("why"),
    n_images=st.integers(0, 9),
    failed_images=st.sampled_from([(), (("i", "bad"),)]),
    inexact=st.sampled_from([(), (("j", 0.5),)]),
    seconds=st.integers(0, 100).map(float),
)


@given(st.lists(outcomes, max_size=8), st.integers(0, 8))
def test_summaries_of_parts_add_up_to_the_whole(items: list[CellOutcome], cut: int) -> None:
    whole = RunSummary.of(items)
    front, back = RunSummary.of(items[:cut]), RunSummary.of(items[cut:])
    assert front + back == whole
    assert (back + front).tallies == whole.tallies
    assert sorted(map(str, (back + front).failures)) == sorted(map(str, whole.failures))
    assert whole + RunSummary() == whole


@given(st.lists(outcomes, max_size=8))
def test_every_outcome_is_counted_once(items: list[CellOutcome]) -> None:
    total = RunSummary.of(items).total
    assert total.measured + total.skipped + total.failed == len(items)
    assert total.seconds == sum(item.seconds for item in items)


def outcome(status: str = "measured", kind: str = "profile", **values: object) -> CellOutcome:
    cell = CellId("a", "x", "cars", "00", "d", kind)
    return CellOutcome(cell, status, **values)  # type: ignore[arg-type]


def test_exit_code_is_zero_only_if_all_was_done_or_allowed() -> None:
    done = RunSummary.of([outcome()])
    assert done.exit_code() == 0
    bad = done + RunSummary.of(
        [outcome("failed", reason="r"), outcome(failed_images=(("i", "bad"),))]
    )
    assert bad.n_failures == 2
    assert [bad.exit_code(allowed) for allowed in (0, 1, 2)] == [1, 1, 0]


def test_what_failed_before_and_what_could_not_be_planned_counts() -> None:
    assert RunSummary(earlier=(Failure("a", "x", "cars", None, "broken"),)).exit_code() == 1
    assert RunSummary(earlier=(Failure("a", "x", "cars", "7.png", "cut"),)).failed_before == 0
    assert RunSummary(faults=(Failure("", "", "cars", None, "gone"),)).exit_code() == 1
    assert RunSummary(already_measured=3).exit_code() == 0


def test_failures_name_cell_or_image() -> None:
    summary = RunSummary.of(
        [outcome("failed", reason="no model"), outcome(failed_images=(("7.png", "truncated"),))]
    )
    assert [str(failure) for failure in summary.failures] == [
        "profile of a/x on cars: no model",
        "profile of a/x on cars, image 7.png: truncated",
    ]


def test_frame_has_a_row_per_kind_model_and_task() -> None:
    both = RunSummary.of([outcome(seconds=1.0), outcome(kind="embedding", seconds=0.5)]).frame()
    names = ["kind", "model", "pretrained", "task", "seconds"]
    assert both.select(names).rows() == [
        ("embedding", "a", "x", "cars", 0.5),
        ("profile", "a", "x", "cars", 1.0),
    ]
    frame = RunSummary.of([outcome(n_images=3, seconds=1.5), outcome("skipped")]).frame()
    row = frame.row(0, named=True)
    assert frame.height == 1
    assert (row["measured"], row["skipped"], row["n_images"], row["seconds"]) == (1, 1, 3, 1.5)
    assert frame.schema["seconds"] == pl.Float64

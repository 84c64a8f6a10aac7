import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution.builders import JOB, identity, shard, spec
from vlmsel.execution.cells import Failure
from vlmsel.execution.plan import Known, Plan, describe_plan, plan_cells
from vlmsel.store.keys import CellId
from vlmsel.tasks.shards import Shard

SHARDS = {name: (shard(name),) for name in ("cars", "dogs", "stars")}


def plan(
    models: str = "ab", costs: dict[str, float] | None = None, known: Known | None = None
) -> Plan:
    candidates = [(spec(name), identity(name)) for name in models]
    seconds = {f"{name}/x": 1.0 for name in models} | (costs or {})
    return plan_cells(candidates, SHARDS, JOB, known=known or Known(), seconds_per_image=seconds)


def todo(which: Plan) -> list[CellId]:
    return [cell.id for work in which.work for cell in work.cells]


def test_an_empty_store_leaves_everything_to_do() -> None:
    whole = plan()
    assert whole.n_missing == len(whole.wanted) == 6
    assert {(c.model, c.task) for c in whole.wanted} == {(m, t) for m in "ab" for t in SHARDS}


def test_measured_cells_are_not_done_again_and_still_wanted() -> None:
    whole = plan()
    rest = plan(known=Known(measured=frozenset(todo(whole)[:4])))
    assert todo(rest) == todo(whole)[4:]
    assert rest.wanted == whole.wanted
    assert (rest.n_measured, rest.n_missing) == (4, 2)


def test_failed_cells_wait_for_retry_failed() -> None:
    failed = frozenset(todo(plan())[:2])
    assert plan(known=Known(failed=dict.fromkeys(failed, "why"))).n_failed_before == 2
    assert set(todo(plan(known=Known(failed=dict.fromkeys(failed, "why"))))).isdisjoint(failed)
    again = plan(known=Known(failed=dict.fromkeys(failed, "why"), retry_failed=True))
    assert again.n_failed_before == 0
    assert failed <= set(todo(again))


def test_a_cell_that_failed_and_was_measured_since_is_measured() -> None:
    one = frozenset(todo(plan())[:1])
    assert plan(known=Known(one, dict.fromkeys(one, "why"))).n_measured == 1


def test_two_tasks_with_the_same_images_have_cells_of_their_own() -> None:
    images = shard("cars").images
    both = {name: (Shard(name, 0, images),) for name in ("cars", "copy")}

    def plan_both(known: Known) -> Plan:
        return plan_cells(
            [(spec("a"), identity("a"))], both, JOB, known=known, seconds_per_image={"a/x": 1.0}
        )

    first, second = todo(plan_both(Known()))
    assert first.key == second.key
    for state in (Known(measured={first}), Known(failed={first: "why"})):
        assert todo(plan_both(state)) == [second]


def test_longest_expected_work_comes_first_and_each_model_once() -> None:
    ordered = plan("abcd", {"c/x": 9.0, "a/x": 0.5})
    assert [work.name for work in ordered.work] == ["c/x", "b/x", "d/x", "a/x"]
    assert [work.seconds for work in ordered.work] == [54.0, 6.0, 6.0, 3.0]


def test_expected_work_counts_only_what_is_missing() -> None:
    heavy = {"a/x": 2.0}
    done = frozenset(todo(plan("a", heavy))[:2])
    assert [w.name for w in plan("ab", heavy, Known(done)).work] == ["b/x", "a/x"]


def test_every_model_goes_through_the_tasks_in_the_same_order() -> None:
    for work in plan().work:
        assert [cell.id.task for cell in work.cells] == list(SHARDS)


def test_a_key_depends_on_model_images_and_settings() -> None:
    whole = plan()
    assert len({cell.key for cell in todo(whole)}) == 6
    same = plan_cells(
        [(spec("a"), identity("other"))],
        SHARDS,
        JOB,
        known=Known(),
        seconds_per_image={"a/x": 1.0},
    )
    assert {c.key for c in todo(same)}.isdisjoint(c.key for c in todo(whole))


@given(st.data())
def test_every_wanted_cell_is_missing_measured_or_failed(data: st.DataObject) -> None:
    everything = todo(plan("abc"))
    measured = frozenset(data.draw(st.sets(st.sampled_from(everything))))
    failed = frozenset(data.draw(st.sets(st.sampled_from(everything))))
    retry = data.draw(st.booleans())
    part = plan("abc", known=Known(measured, dict.fromkeys(failed, "why"), retry_failed=retry))
    assert part.n_missing + part.n_measured + part.n_failed_before == len(part.wanted)
    assert part.n_missing == len(todo(part)) == len(set(todo(part)))
    assert part.n_measured == len(measured)


def test_describe_plan_has_a_row_a_model_also_where_nothing_is_left() -> None:
    done = frozenset(todo(plan("a")))
    table = describe_plan(plan("ab", known=Known(done)))
    assert table.rows() == [
        ("b", "x", 3, 3, 0, 0, pytest.approx(6.0)),
        ("a", "x", 3, 0, 3, 0, pytest.approx(0.0)),
    ]
    assert table.schema["to_measure"] == pl.Int64


def test_faults_are_kept() -> None:
    fault = Failure("", "", "cars", None, "gone")
    kept = plan_cells(
        [(spec("a"), identity("a"))],
        SHARDS,
        JOB,
        known=Known(),
        seconds_per_image={"a/x": 1.0},
        faults=(fault,),
    )
    assert kept.faults == (fault,)
    assert str(fault) == "cars: gone"

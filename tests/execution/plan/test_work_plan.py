import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution.builders import JOB, THREE, identity, job, shard, spec, wanted
from vlmsel.evidence.failure import Failure
from vlmsel.execution.plan.work_plan import Known, Plan, describe_plan, plan_cells
from vlmsel.store.keys import CellId
from vlmsel.tasks.shards import Shard

TASKS = ("cars", "dogs", "stars")
SHARDS = wanted(*(shard(name) for name in TASKS))


def plan(
    models: str = "ab", costs: dict[str, float] | None = None, known: Known | None = None
) -> Plan:
    candidates = [(spec(name), identity(name)) for name in models]
    seconds = {f"{name}/x": 1.0 for name in models} | (costs or {})
    by_kind = {name: {"profile": cost} for name, cost in seconds.items()}
    return plan_cells(candidates, SHARDS, JOB, known=known or Known(), seconds_per_image=by_kind)


def plan_three(known: Known | None = None) -> Plan:
    """Three kinds of two models."""
    return plan_cells(
        [(spec(name), identity(name)) for name in "ab"],
        wanted(*(shard(name) for name in TASKS), measurements=THREE),
        job(THREE),
        known=known or Known(),
        seconds_per_image={
            f"{name}/x": {"profile": 5.0, "prediction": 1.0, "embedding": 1.0} for name in "ab"
        },
    )


def todo(which: Plan) -> list[CellId]:
    return [cell.id for work in which.work for unit in work.units for cell in unit.cells]


def test_an_empty_store_leaves_everything_to_do() -> None:
    whole = plan()
    assert whole.n_missing == len(whole.wanted) == 6
    assert {(c.model, c.task) for c in whole.wanted} == {(m, t) for m in "ab" for t in TASKS}


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
    both = wanted(*(Shard(name, 0, images) for name in ("cars", "copy")))

    def plan_both(known: Known) -> Plan:
        costs = {"a/x": {"profile": 1.0}}
        model = (spec("a"), identity("a"))
        return plan_cells([model], both, JOB, known=known, seconds_per_image=costs)

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
        assert [unit.shard.task for unit in work.units] == list(TASKS)


def test_a_key_depends_on_model_images_and_settings() -> None:
    whole = plan()
    assert len({cell.key for cell in todo(whole)}) == 6
    costs = {"a/x": {"profile": 1.0}}
    model = (spec("a"), identity("other"))
    same = plan_cells([model], SHARDS, JOB, known=Known(), seconds_per_image=costs)
    assert {c.key for c in todo(same)}.isdisjoint(c.key for c in todo(whole))
    assert len({cell.key for cell in todo(plan_three())}) == 18


def test_all_kinds_of_a_model_on_a_shard_are_one_unit() -> None:
    three = plan_three()
    assert (three.n_missing, three.n_units) == (18, 6)
    for work in three.work:
        assert work.seconds == 3 * 2 * 7.0
        for unit in work.units:
            assert [cell.id.kind for cell in unit.cells] == [one.kind for one in THREE]
            assert {cell.id.task for cell in unit.cells} == {unit.shard.task}


def test_a_unit_holds_only_what_is_missing_and_is_gone_with_its_last_cell() -> None:
    cells = todo(plan_three())
    profiles = frozenset(cell for cell in cells if cell.kind == "profile")
    first = frozenset(cells[:3])
    rest = plan_three(Known(measured=profiles | first))
    assert (rest.n_missing, rest.n_units, rest.n_measured) == (10, 5, 8)
    assert {cell.kind for cell in todo(rest)} == {"prediction", "embedding"}
    assert [work.seconds for work in rest.work] == [12.0, 8.0]


def test_cells_whose_images_failed_are_tried_again_and_marked_so() -> None:
    one, *others = todo(plan("a"))
    state = {"measured": {one}, "failed_images": {one: (("7.png", "cut"),)}}
    left = plan("a", known=Known(**state))  # type: ignore[arg-type]
    assert todo(left) == others
    assert [str(failure) for failure in left.earlier] == [
        f"profile of a/x on {one.task}, image 7.png: cut"
    ]
    again = plan("a", known=Known(**state, retry_failed=True))  # type: ignore[arg-type]
    marked = [cell.again for work in again.work for unit in work.units for cell in unit.cells]
    assert (marked, again.earlier) == ([True, False, False], ())


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
        seconds_per_image={"a/x": {"profile": 1.0}},
        faults=(fault,),
    )
    assert kept.faults == (fault,)
    assert str(fault) == "cars: gone"

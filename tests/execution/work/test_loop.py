"""The loop against a scripted pool: the test decides what happens to a cell, not chance."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from tests.execution.builders import JOB, THREE, identity, job, shard, spec, wanted
from vlmsel.errors import ExecutionError, StoreError
from vlmsel.execution.plan.limits import MAX_TRIES, MODEL_DEATHS, OUTAGE_TRIES, Limits
from vlmsel.execution.plan.units import Cell, CellOutcome, ModelUnits, Unit, UnitOutcome
from vlmsel.execution.plan.work_plan import Known, Plan, plan_cells
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work.dispatch import IN_FLIGHT
from vlmsel.execution.work.loop import Lost, work_loop
from vlmsel.store.keys import CellId

LIMITS = Limits(deadline_s=100.0, patience_s=300.0)
CELL_S = 0.001

Script = Callable[[Cell, int, bool], CellOutcome | Lost]


def make_plan(models: str = "ab", n_tasks: int = 5, seconds: float = 1.0) -> Plan:
    """Units of one cell each."""
    shards = wanted(*(shard(f"t{i}") for i in range(n_tasks)))
    candidates = [(spec(name), identity(name)) for name in models]
    costs = {f"{name}/x": {"profile": seconds} for name in models}
    return plan_cells(candidates, shards, JOB, known=Known(), seconds_per_image=costs)


def plan_three(n_tasks: int = 2) -> Plan:
    """Units of three cells each, of one model."""
    shards = wanted(*(shard(f"t{i}") for i in range(n_tasks)), measurements=THREE)
    return plan_cells(
        [(spec("a"), identity("a"))],
        shards,
        job(THREE),
        known=Known(),
        seconds_per_image={"a/x": dict.fromkeys(job(THREE).measurements, 1.0)},
    )


def measured(cell: Cell, _attempt: int, _last: bool) -> CellOutcome:
    return CellOutcome(cell.id, "measured", n_images=2, seconds=1.0)


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def run(plan: Plan, pool: "ScriptedPool", *args: Callable[[CellOutcome], None]) -> RunSummary:
    clock = pool.clock
    return work_loop(plan, pool, *args, limits=LIMITS, clock=clock, sleep=clock.sleep)


class ScriptedPool:
    """Slots, and outcomes of cells as the script says; keeps what the loop asked for.

    A script that loses one cell loses its whole unit, as a worker does.
    """

    def __init__(self, script: Script = measured, slots: int = 2) -> None:
        self.script, self.slots = script, slots
        self.present: set[int] = set()
        self.acquired: list[str] = []
        self.killed: list[int] = []
        self.out: dict[int, tuple[int, Unit, bool]] = {}
        self.attempts: Counter[CellId] = Counter()
        self.recorded: dict[CellId, str] = {}
        self.most_out = 0
        self.clock = Clock()
        self.pending: set[int] = set()
        self.hangs: Callable[[Cell], bool] = lambda cell: False
        self._next = 0

    @property
    def is_full(self) -> bool:
        return len(self.present) >= self.slots

    def fits(self, work: ModelUnits) -> bool:
        return not self.is_full

    def acquire(self, work: ModelUnits) -> int:
        assert not self.is_full
        self.acquired.append(work.name)
        self.present.add(len(self.acquired))
        return len(self.acquired)

    def submit(self, worker: int, unit: Unit, *, last_try: bool) -> int:
        assert worker in self.present
        self._next += 1
        self.out[self._next] = (worker, unit, last_try)
        by_worker = Counter(worker for worker, _, _ in self.out.values())
        self.most_out = max(self.most_out, *by_worker.values())
        return self._next

    def has_started(self, worker: int) -> bool:
        return worker not in self.pending

    def wait(
        self, tickets: Sequence[object], timeout_s: float | None
    ) -> list[tuple[object, UnitOutcome | Lost]]:
        assert set(tickets) == set(self.out)
        assert timeout_s is not None
        answers = [
            ticket for ticket, (worker, unit, _) in self.out.items() if self._answers(worker, unit)
        ]
        if not answers:
            self.clock.sleep(timeout_s)
            return []
        ticket = min(answers)
        self.clock.sleep(CELL_S)
        _, unit, last = self.out.pop(ticket)
        self.attempts.update(cell.id for cell in unit.cells)
        found = [self.script(cell, self.attempts[cell.id], last) for cell in unit.cells]
        lost = next((one for one in found if isinstance(one, Lost)), None)
        outcomes = tuple(one for one in found if isinstance(one, CellOutcome))
        return [(ticket, lost or UnitOutcome(outcomes))]

    def _answers(self, worker: int, unit: Unit) -> bool:
        return worker not in self.pending and not any(self.hangs(cell) for cell in unit.cells)

    def kill(self, worker: int) -> None:
        assert worker in self.present
        self.killed.append(worker)

    def release(self, worker: int, *, at_once: bool) -> None:
        self.present.remove(worker)
        self.out = {t: entry for t, entry in self.out.items() if entry[0] != worker}

    def record_failure(self, unit: Unit, reason: str) -> None:
        self.recorded |= {cell.id: reason for cell in unit.cells}


def test_every_cell_is_settled_once_and_everyone_goes_home() -> None:
    seen: list[CellOutcome] = []
    pool, plan = ScriptedPool(), make_plan("abc")
    summary = run(plan, pool, seen.append)
    assert summary.measured == 15
    assert Counter(o.cell for o in seen) == Counter(plan.wanted)
    assert pool.present == set()
    assert set(pool.attempts.values()) == {1}


def test_calls_in_flight_are_bounded() -> None:
    pool = ScriptedPool()
    run(make_plan(n_tasks=20), pool)
    assert pool.most_out == IN_FLIGHT


def test_a_checkpoint_is_loaded_once_where_models_outnumber_slots() -> None:
    pool = ScriptedPool(slots=2)
    run(make_plan("abc"), pool)
    assert sorted(pool.acquired) == ["a/x", "b/x", "c/x"]


def test_one_model_gets_several_workers_where_slots_outnumber_models() -> None:
    pool = ScriptedPool(slots=3)
    run(make_plan("a", n_tasks=40, seconds=10.0), pool)
    assert pool.acquired == ["a/x"] * 3


def test_cells_of_a_dead_worker_are_done_by_another() -> None:
    def die_once(cell: Cell, attempt: int, last: bool) -> CellOutcome | Lost:
        return Lost("killed") if attempt == 1 else measured(cell, attempt, last)

    pool = ScriptedPool(die_once)
    summary = run(make_plan(), pool)
    assert (summary.measured, summary.n_failures) == (10, 0)
    assert pool.recorded == {}


def test_a_cell_that_kills_every_worker_is_given_up_and_written_down() -> None:
    poison = make_plan().work[0].units[0].cells[0].id

    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome | Lost:
        return Lost("out of memory") if cell.id == poison else measured(cell, attempt, last)

    pool = ScriptedPool(script)
    summary = run(make_plan(), pool)
    assert pool.attempts[poison] == MAX_TRIES
    assert pool.recorded == {poison: f"gave up after {MAX_TRIES} tries: out of memory"}
    assert (summary.measured, summary.total.failed) == (9, 1)
    assert "out of memory" in summary.failures[0].reason


def test_a_passing_failure_is_tried_again_and_recorded_by_the_last_try_only() -> None:
    asked: list[bool] = []

    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        if cell.id.task != "t0":
            return measured(cell, attempt, last)
        asked.append(last)
        return CellOutcome(cell.id, "failed", "disk away", transient=not last)

    summary = run(make_plan("a"), ScriptedPool(script))
    assert asked == [False] * (OUTAGE_TRIES - 1) + [True]
    assert summary.total.failed == 1


def test_a_lasting_failure_is_not_tried_again() -> None:
    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        return CellOutcome(cell.id, "failed", "no such model")

    pool = ScriptedPool(script)
    assert run(make_plan(), pool).total.failed == 10
    assert set(pool.attempts.values()) == {1}


def test_a_store_that_cannot_be_written_ends_the_run_and_lets_everyone_go() -> None:
    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        raise StoreError("disk full")

    pool = ScriptedPool(script)
    with pytest.raises(StoreError, match="disk full"):
        run(make_plan(), pool)
    assert pool.present == set()


def test_nothing_to_do_hires_nobody() -> None:
    pool = ScriptedPool()
    empty = plan_cells([], [], JOB, known=Known(), seconds_per_image={})
    assert run(empty, pool).measured == 0
    assert pool.acquired == []


def test_every_cell_of_a_unit_is_settled_once() -> None:
    seen: list[CellOutcome] = []
    pool, plan = ScriptedPool(), plan_three()
    summary = run(plan, pool, seen.append)
    assert summary.measured == 6
    assert Counter(outcome.cell for outcome in seen) == Counter(plan.wanted)
    assert set(pool.attempts.values()) == {1}


def test_only_the_cells_of_a_unit_that_failed_in_passing_are_tried_again() -> None:
    seen: list[CellOutcome] = []

    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        if cell.id.kind == "prediction" and attempt == 1:
            return CellOutcome(cell.id, "failed", "disk away", transient=True)
        if cell.id.kind == "embedding":
            return CellOutcome(cell.id, "failed", "no such layer")
        return measured(cell, attempt, last)

    pool = ScriptedPool(script)
    summary = run(plan_three(n_tasks=1), pool, seen.append)
    assert {cell.kind: n for cell, n in pool.attempts.items()} == {
        "profile": 1,
        "prediction": 2,
        "embedding": 1,
    }
    assert Counter(outcome.cell.kind for outcome in seen) == Counter(list(job(THREE).measurements))
    assert (summary.measured, summary.total.failed) == (2, 1)


def test_a_unit_that_kills_every_worker_is_given_up_with_all_its_cells() -> None:
    pool = ScriptedPool(lambda cell, attempt, last: Lost("out of memory"))
    summary = run(plan_three(n_tasks=1), pool)
    assert (summary.measured, summary.total.failed) == (0, 3)
    assert {cell.kind for cell in pool.recorded} == set(job(THREE).measurements)
    assert set(pool.attempts.values()) == {MAX_TRIES}


def test_a_fault_that_passes_is_waited_for_and_all_is_measured() -> None:
    """Everything is away for 100 of the 300 seconds that the run has patience for."""
    pool = ScriptedPool()
    back = pool.clock() + 100.0

    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        if pool.clock() < back:
            return CellOutcome(cell.id, "failed", "away", transient=True)
        return measured(cell, attempt, last)

    pool.script = script
    summary = run(make_plan(), pool)
    assert (summary.measured, summary.n_failures) == (10, 0)
    assert max(pool.attempts.values()) <= OUTAGE_TRIES
    assert pool.recorded == {}
    # When one is read, the others do not wait for the end of their pauses.
    assert pool.clock() < back + 300


def test_an_outage_of_everything_stops_the_run_and_marks_nothing_as_failed() -> None:
    pool = ScriptedPool(lambda cell, n, last: CellOutcome(cell.id, "failed", "EIO", transient=True))
    begin = pool.clock()
    settled: list[CellOutcome] = []
    with pytest.raises(ExecutionError, match=r"most of what is read cannot be read.*EIO.*goes on"):
        run(make_plan(), pool, settled.append)
    assert 150 <= pool.clock() - begin < 1000
    assert (settled, pool.recorded, pool.present) == ([], {}, set())


def test_a_few_that_cannot_be_read_do_not_stop_the_others() -> None:
    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        if cell.id.task == "t0":
            return CellOutcome(cell.id, "failed", "bad sector", transient=not last)
        return measured(cell, attempt, last)

    summary = run(make_plan("abcdef"), ScriptedPool(script))
    assert (summary.measured, summary.total.failed) == (24, 6)


def test_a_model_that_waits_for_its_images_makes_room_for_the_next() -> None:
    """One slot; a's images are away for a while, and b does not wait for them."""
    order: list[str] = []

    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        if cell.id.model == "a" and attempt == 1:
            return CellOutcome(cell.id, "failed", "away", transient=True)
        order.append(cell.id.model)
        return measured(cell, attempt, last)

    pool = ScriptedPool(script, slots=1)
    assert run(make_plan("ab"), pool).measured == 10
    assert order == ["b"] * 5 + ["a"] * 5


def test_a_worker_over_its_deadline_is_killed_and_its_cells_are_tried_again() -> None:
    pool = ScriptedPool(slots=1)
    begin, stuck = pool.clock(), make_plan().work[0].units[1].cells[0].id
    pool.hangs = lambda cell: cell.id == stuck and len(pool.acquired) == 1
    summary = run(make_plan("a"), pool)
    assert (summary.measured, summary.n_failures) == (5, 0)
    assert (len(pool.acquired), pool.killed) == (2, [1])
    # One outcome came, so the model was loaded.
    assert 100 <= pool.clock() - begin <= 101


def test_a_cell_that_always_hangs_is_given_up_and_the_run_ends() -> None:
    pool = ScriptedPool(slots=1)
    stuck = make_plan().work[0].units[1].cells[0].id
    pool.hangs = lambda cell: cell.id == stuck
    summary = run(make_plan(), pool)
    assert (summary.measured, summary.total.failed) == (9, 1)
    [(cell, reason)] = pool.recorded.items()
    assert cell == stuck
    assert "gave up after 4 tries: no outcome in" in reason


def test_a_cell_that_kills_is_alone_when_it_kills_again() -> None:
    """Its neighbour in the same worker is not blamed, however often they meet."""
    [poison] = make_plan("a", n_tasks=2).work[0].units[0].cells

    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome | Lost:
        return Lost("crashed") if cell == poison else measured(cell, attempt, last)

    class WorkerPool(ScriptedPool):
        def wait(
            self, tickets: Sequence[object], timeout_s: float | None
        ) -> list[tuple[object, UnitOutcome | Lost]]:
            done = super().wait(tickets, timeout_s)
            if any(isinstance(result, Lost) for _, result in done):
                done += [(ticket, Lost("crashed")) for ticket in self.out]
                self.out.clear()
            return done

    summary = run(make_plan("a", n_tasks=2), WorkerPool(script, slots=1))
    assert (summary.measured, summary.total.failed) == (1, 1)


def test_a_model_whose_workers_only_die_is_left_and_the_others_are_measured() -> None:
    def script(cell: Cell, attempt: int, last: bool) -> CellOutcome | Lost:
        return Lost("SIGSEGV") if cell.id.model == "a" else measured(cell, attempt, last)

    pool = ScriptedPool(script, slots=1)
    summary = run(make_plan("ab", n_tasks=30), pool)
    assert (summary.measured, summary.total.failed) == (30, 30)
    assert pool.acquired.count("a/x") == MODEL_DEATHS
    assert "died 5 times in a row, so it is left for now; the last: SIGSEGV" in str(
        summary.failures[0].reason
    )
    # Nothing keeps the next run from trying it.
    assert pool.recorded == {}


def test_a_worker_that_waits_for_its_place_is_not_over_any_deadline() -> None:
    pool = ScriptedPool(slots=1)
    acquire = pool.acquire

    def slow(work: ModelUnits) -> int:
        worker = acquire(work)
        pool.pending.add(worker)
        return worker

    pool.acquire = slow  # type: ignore[method-assign]
    until = pool.clock() + 2000
    sleep = pool.clock.sleep

    def pass_time(seconds: float) -> None:
        sleep(seconds)
        if pool.clock() > until:
            pool.pending.clear()

    pool.clock.sleep = pass_time  # type: ignore[method-assign]
    assert run(make_plan("a"), pool).measured == 5
    assert len(pool.acquired) == 1
    until += 10_000
    with pytest.raises(ExecutionError, match="no worker got a place in 3600 s"):
        run(make_plan("a"), pool)


def test_a_unit_whose_worker_is_over_its_deadline_loses_no_cell() -> None:
    seen: list[CellOutcome] = []
    pool, plan = ScriptedPool(slots=1), plan_three()
    stuck = plan.work[0].units[0].cells[1].id
    pool.hangs = lambda cell: cell.id == stuck and len(pool.acquired) == 1
    summary = run(plan, pool, seen.append)
    assert (summary.measured, summary.n_failures, pool.killed) == (6, 0, [1])
    assert Counter(outcome.cell for outcome in seen) == Counter(plan.wanted)


def test_a_run_whose_time_is_over_finishes_what_is_out_and_leaves_the_rest() -> None:
    plan, clock = make_plan("a", n_tasks=20), Clock()

    def slow(cell: Cell, attempt: int, last: bool) -> CellOutcome:
        clock.now += 10.0
        return measured(cell, attempt, last)

    pool = ScriptedPool(slow, slots=1)
    limits = Limits(deadline_s=1e6, run_s=45.0)
    summary = work_loop(plan, pool, limits=limits, clock=clock, sleep=clock.sleep)
    assert summary.failures == ()
    assert 0 < summary.measured < 20
    assert summary.measured + summary.n_left == 20
    assert summary.exit_code(allow_failures=1000) == 1, "not all that was asked for is done"
    assert pool.recorded == {}, "what was not begun did not fail"
    assert not pool.present

import pytest

from tests.execution.builders import identity, job, shard, spec, wanted
from vlmsel.cli.views.run_progress import Pace, duration
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Known, Plan, plan_cells
from vlmsel.measurements import Measurement, Prediction, Profile
from vlmsel.store.keys import CellId


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def plan(*others: Measurement, other_seconds: float = 0.0) -> Plan:
    """A slow model of 4 profiles of 9 s and a fast one of 4 of 1 s; `others` take one time."""
    measurements = (Profile(), *others)
    shards = [shard(name, n_images=1) for name in "abcd"]
    rest = {one.kind: other_seconds for one in others}
    return plan_cells(
        [(spec("slow"), identity("slow")), (spec("fast"), identity("fast"))],
        wanted(*shards, measurements=measurements),
        job(measurements),
        known=Known(),
        seconds_per_image={"slow/x": {"profile": 9.0, **rest}, "fast/x": {"profile": 1.0, **rest}},
    )


def cell(model: str, kind: str = "profile") -> CellId:
    return CellId(model, "x", "a", "key", "settings", kind)


def settle(pace: Pace, model: str, kind: str = "profile") -> None:
    pace.settle(CellOutcome(cell(model, kind), "measured", n_images=1))


def test_time_left_follows_the_work_and_not_the_cells():
    clock = Clock()
    pace = Pace(clock)
    pace.expect(plan())
    assert pace.left_s is None
    clock.now += 18.0
    settle(pace, "slow")
    # 9 of 40 units of work took 18 s, so 31 are left at 2 s each, although 7 of 8 cells are.
    assert pace.left_s == pytest.approx(62.0)
    clock.now += 2.0
    assert pace.left_s == pytest.approx(60.0), "it runs down between two cells"
    for model in ["slow"] * 3 + ["fast"] * 4:
        settle(pace, model)
    assert (pace.done, pace.cells, pace.share) == (8, 8, 1.0)
    assert pace.left_s == 0.0


def test_the_kinds_of_one_model_weigh_what_they_cost():
    clock = Clock()
    pace = Pace(clock)
    # 40 s of profiles and 8 s of predictions.
    pace.expect(plan(Prediction(), other_seconds=1.0))
    assert pace.cells == 16
    settle(pace, "slow", "prediction")
    assert pace.share == pytest.approx(1 / 48)
    settle(pace, "slow", "profile")
    assert pace.share == pytest.approx(10 / 48)


def test_a_second_plan_adds_to_what_is_left():
    clock = Clock()
    pace = Pace(clock)
    pace.expect(plan())
    clock.now += 40.0
    for model in ["slow"] * 4 + ["fast"] * 4:
        settle(pace, model)
    pace.expect(plan())
    assert (pace.done, pace.cells, pace.share) == (8, 16, 0.5)


def test_speed_and_busy_share_are_those_of_the_workers():
    clock = Clock()
    pace = Pace(clock)
    pace.expect(plan())
    assert (pace.images_per_s, pace.busy_share) == (None, None)
    for place, passed, seconds in [("a", 10.0, 4.0), ("b", 0.0, 2.0), ("a", 6.0, 3.0)]:
        clock.now += passed
        pace.settle(CellOutcome(cell("slow"), "measured", n_images=8, seconds=seconds, place=place))
    pace.settle(CellOutcome(cell("slow"), "failed", "no such file"))
    assert pace.images_per_s == pytest.approx(24 / 16)
    # a computes for 7 of its 10 seconds since its first cell began, b for 2 of 2.
    assert pace.busy_share == pytest.approx(9 / 12)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89.0, "89 s"), (90.0, "2 min"), (3600.0, "60 min"), (9000.0, "2.5 h")],
)
def test_durations_are_short(seconds, said):
    assert duration(seconds) == said

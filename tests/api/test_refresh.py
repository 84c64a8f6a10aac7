"""The nightly run where nothing is left to measure: what it remembers, refuses and tells."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.api.made_store import KINDS, MadeStore
from vlmsel.api.refresh import refresh
from vlmsel.errors import ExecutionError, TrackingError
from vlmsel.execution.lease import hold_lease
from vlmsel.execution.plan.work_plan import Plan


@pytest.fixture
def log_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    """Log by a function in place of MLflow, whose import takes seconds."""

    def use(function: Callable[..., str]) -> None:
        found = SimpleNamespace(log_run_summary=function)
        monkeypatch.setitem(sys.modules, "vlmsel.tracking", found)

    return use


def test_of_every_wanted_kind_all_is_unchanged_and_the_choices_are_remembered(
    own_made: MadeStore,
) -> None:
    plans: list[Plan] = []
    workspace = own_made.workspace()
    wants = {kind: replace(workspace.wants[kind], n_images=30) for kind in ("profile", "embedding")}
    changed = replace(workspace, wants=wants)
    found = refresh(changed, tracking_uri=None, on_plan=plans.append)
    assert (found.run, found.not_logged) == (None, None)
    assert (found.done.summary.measured, found.done.summary.skipped) == (0, 60)
    assert set(found.done.changes["kind"]) == {"profile", "embedding"}
    assert set(found.done.changes["change"]) == {"unchanged"}
    assert [plan.n_measured for plan in plans] == [60]
    assert found.done.exit_code() == 0
    assert own_made.workspace().wants == wants


def test_a_refused_one_does_not_choose_for_the_next(own_made: MadeStore) -> None:
    workspace = own_made.workspace()
    other = replace(workspace, wants={"profile": workspace.wants["profile"]})
    with (
        hold_lease(str(own_made.store), "refresh") as lease,
        pytest.raises(ExecutionError, match="another refresh works on") as caught,
    ):
        refresh(other, tracking_uri=None)
    assert lease.owner in str(caught.value)
    assert set(own_made.workspace().wants) == set(KINDS)


def test_the_run_is_logged_with_what_was_done(own_made: MadeStore, log_by: Callable) -> None:
    logged: dict = {}

    def log(kind: str, **more: object) -> str:
        logged.update(more, kind=kind)
        return "run-1"

    log_by(log)
    found = refresh(own_made.workspace(), tracking_uri="sqlite:///unused.db")
    assert (found.run, logged["kind"]) == ("run-1", "refresh")
    assert logged["params"]["kinds"] == ",".join(KINDS)
    assert logged["params"]["store"] == str(own_made.store)
    assert logged["metrics"] == {"measured": 0, "skipped": 90, "failures": 0, "seconds": 0.0}
    assert logged["tables"]["changes"].equals(found.done.changes)


def test_what_was_done_is_told_though_it_cannot_be_logged(
    own_made: MadeStore, log_by: Callable
) -> None:
    def fail(*args: object, **more: object) -> str:
        raise TrackingError("the server has gone")

    log_by(fail)
    found = refresh(own_made.workspace(), tracking_uri="sqlite:///unused.db")
    assert (found.run, found.not_logged) == (None, "the server has gone")
    assert found.done.summary.skipped == 90

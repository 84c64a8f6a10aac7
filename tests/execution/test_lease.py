import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from vlmsel.errors import ExecutionError
from vlmsel.execution.lease import Lease, hold_lease, read_lease
from vlmsel.store.filesystem import open_folder

# Processes that import torch, or threads that measure: a busy machine needs longer.
pytestmark = pytest.mark.timeout(180)
PATH = "leases/refresh.json"
# Alone there is nobody to wait for.
hold = partial(hold_lease, settle_s=0.0)


def write(store: Path, until: float) -> None:
    (store / "leases").mkdir(parents=True)
    (store / PATH).write_text(json.dumps({"owner": "night:1:abc", "since": 5.0, "until": until}))


def test_a_second_one_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        hold(str(tmp_path), "refresh") as lease,
        pytest.raises(ExecutionError, match=f"another refresh works on .*{lease.owner}"),
        hold(str(tmp_path), "refresh"),
    ):
        pass


def test_it_is_free_again_afterwards_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(str(tmp_path), "refresh"):
        _ = 1 / 0
    with hold(str(tmp_path), "refresh"):
        pass
    assert not (tmp_path / PATH).exists()


def test_leases_of_different_names_do_not_meet(tmp_path: Path) -> None:
    with hold(str(tmp_path), "refresh"), hold(str(tmp_path), "other"):
        assert (tmp_path / PATH).exists()


def test_a_lease_that_ran_out_is_taken_over(tmp_path: Path) -> None:
    write(tmp_path, until=time.time() - 1)
    with hold(str(tmp_path), "refresh") as lease:
        assert read_lease(open_folder(tmp_path), PATH) == lease
    assert not (tmp_path / PATH).exists()


def test_a_live_lease_of_another_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, until=time.time() + 60)
    before = (tmp_path / PATH).read_text()
    with (
        pytest.raises(ExecutionError, match="night:1:abc"),
        hold(str(tmp_path), "refresh"),
    ):
        pass
    assert (tmp_path / PATH).read_text() == before


DAMAGED = (
    "{",
    "[]",
    "[" * 100_000,
    '{"owner": "a", "since": 1, "until": "soon"}',
    '{"owner": 5, "since": 1, "until": 9e9}',
    '{"owner": "a", "since": null, "until": 9e9}',
    '{"owner": "a", "since": 1, "until": NaN}',
    '{"owner": "a", "since": 1, "until": Infinity}',
    # The year 5000, by a clock or a flipped bit.
    '{"owner": "a", "since": 1, "until": 95617584000}',
    '{"owner": "a", "since": 95617584000, "until": 95617584300}',
)


@pytest.mark.parametrize("number", range(len(DAMAGED)))
def test_a_damaged_lease_holds_nobody_up(tmp_path: Path, number: int) -> None:
    (tmp_path / "leases").mkdir()
    (tmp_path / PATH).write_text(DAMAGED[number])
    with hold(str(tmp_path), "refresh"):
        pass


def test_it_is_renewed_while_it_is_held(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    with hold(str(tmp_path), "refresh", lease_s=0.06) as first:
        now: Lease | None = first
        while now == first:
            time.sleep(0.01)
            now = read_lease(folder, PATH)
        assert now is not None
        assert (now.owner, now.since) == (first.owner, first.since)
        assert now.until > first.until


def test_a_lease_that_was_taken_over_is_not_removed_by_its_old_owner(tmp_path: Path) -> None:
    with hold(str(tmp_path), "refresh"):
        (tmp_path / PATH).write_text(
            json.dumps({"owner": "other", "since": 5.0, "until": time.time() + 60})
        )
    lease = read_lease(open_folder(tmp_path), PATH)
    assert lease is not None
    assert lease.owner == "other"


def test_the_lease_of_a_killed_owner_on_this_machine_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from vlmsel.execution.lease import hold_lease\n"
        "with hold_lease(sys.argv[1], 'refresh'): print(flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        with (
            pytest.raises(ExecutionError, match=f"another refresh works on .*:{owner.pid}:"),
            hold(str(tmp_path), "refresh"),
        ):
            pass
        owner.kill()
    with hold(str(tmp_path), "refresh") as lease:
        assert f":{owner.pid}:" not in lease.owner


def test_of_several_that_begin_in_the_same_moment_one_gets_it(tmp_path: Path) -> None:
    n = 4
    # Twenty times what four threads of a loaded machine need to look and to write.
    start, end = Barrier(n, timeout=60), Barrier(n, timeout=60)

    def contend(_: int) -> bool:
        start.wait()
        try:
            with hold_lease(str(tmp_path), "refresh", settle_s=3.0):
                end.wait()
                return True
        except ExecutionError:
            end.wait()
            return False

    with ThreadPoolExecutor(n) as pool:
        assert sum(pool.map(contend, range(n))) == 1


def test_an_owner_that_lost_its_lease_does_not_write_over_the_new_one(tmp_path: Path) -> None:
    other = {"owner": "other", "since": 5.0, "until": time.time() + 60}
    with hold(str(tmp_path), "refresh", lease_s=0.9):
        (tmp_path / PATH).write_text(json.dumps(other))
        time.sleep(0.7)  # the time of a renewal, and of another
        assert json.loads((tmp_path / PATH).read_text()) == other

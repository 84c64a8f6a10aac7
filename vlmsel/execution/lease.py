"""A lease on a store: one nightly run at a time, and a dead one's lease runs out.

The lease saves work, it does not guard data: cells are keyed by content and committed atomically,
so two runs at once end with the same store. That is why a lease file is enough, on object stores
too.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from pydantic import FiniteFloat, TypeAdapter

from vlmsel.errors import ExecutionError, StoreError
from vlmsel.store.filesystem import Folder, open_folder
from vlmsel.store.os_errors import MissingFileError
from vlmsel.store.owners import is_dead, this_process

log = logging.getLogger(__name__)

LEASES = "leases"
RUN_LEASES = f"{LEASES}/runs"
MAINTENANCE = "maintenance"
LEASE_S = 300.0
# No lease lasts so long: a day is more than any clock is wrong by, and than any test asks for.
MAX_LEASE_S = 24 * 3600.0
# Longer than it takes to see that there is no lease and to write one's own on a healthy disk;
# where it takes longer, two may work, and only work is lost.
SETTLE_S = 1.0


@dataclass(frozen=True)
class Lease:
    """The right of one process to work on a store until a time.

    Attributes:
        owner: host, process, a random part, and the process as `owners` names it.
        since: seconds since 1970.
        until: seconds since 1970; the owner renews it while it lives.
    """

    owner: str
    since: FiniteFloat
    until: FiniteFloat


LEASE = TypeAdapter(Lease)


@contextmanager
def hold_lease(
    store_uri: str, name: str, *, lease_s: float = LEASE_S, settle_s: float = SETTLE_S
) -> Iterator[Lease]:
    """Hold the lease `name` of a store for the time of the block; renewed every third of `lease_s`.

    Args:
        store_uri: the store.
        name: of the lease.
        lease_s: how long it lasts if its owner can no longer renew it.
        settle_s: how long to wait before looking whether somebody else wrote at the same time.

    Raises:
        ExecutionError: somebody else holds it; says who and until when.
        StoreError: the store cannot be written.
    """
    folder, path = open_folder(store_uri), f"{LEASES}/{name}.json"
    lease = _take(folder, path, name, lease_s, settle_s)
    done = threading.Event()
    args = (folder, path, lease, lease_s, done)
    renewer = threading.Thread(target=_renew, args=args, name=f"lease-{name}", daemon=True)
    renewer.start()
    try:
        yield lease
    finally:
        done.set()
        renewer.join()
        held = read_lease(folder, path)
        if held is not None and held.owner == lease.owner:
            folder.delete(path)


def read_lease(folder: Folder, path: str) -> Lease | None:
    """The lease in a file; None where there is none, or it is damaged and says nothing.

    Raises:
        StoreError: it cannot be read.
    """
    parent, _, name = path.rpartition("/")
    if name not in folder.names(parent):
        return None
    try:
        lease = LEASE.validate_json(folder.read(path))
    except (ValueError, MissingFileError):
        return None
    # Written by another clock, or damaged: whoever lives writes it anew, so it blocks nobody.
    if max(lease.until, lease.since) > time.time() + MAX_LEASE_S:
        log.warning("the lease in %s/%s ends in years: it is not believed", folder.address, path)
        return None
    return lease


def _take(folder: Folder, path: str, name: str, lease_s: float, settle_s: float) -> Lease:
    time_s = time.time()
    held = read_lease(folder, path)
    dead = held is not None and is_dead(held.owner.rpartition(":")[2])
    if held is not None and held.until > time_s and not dead:
        raise ExecutionError(_held_message(name, folder, path, held, time_s))
    if held is not None:
        why = "which is dead" if dead else "which ran out"
        log.warning("taking over the %s lease of %s, %s", name, held.owner, why)
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}:{this_process()}"
    lease = Lease(owner, time_s, time_s + lease_s)
    _write(folder, path, lease)
    # Two that begin in the same moment both write; the last one's file stays, and the other, once
    # both have surely written, steps back.
    time.sleep(settle_s)
    written = read_lease(folder, path)
    if written is not None and written.owner != owner:
        raise ExecutionError(_held_message(name, folder, path, written, time.time()))
    return lease


def _held_message(name: str, folder: Folder, path: str, held: Lease, time_s: float) -> str:
    return (
        f"another {name} works on {folder.address} since {time_s - held.since:.0f} s: {held.owner}"
        f". Wait for it; if it is dead, its lease ends in {held.until - time_s:.0f} s "
        f"(or delete {path} there)"
    )


def _renew(folder: Folder, path: str, lease: Lease, lease_s: float, done: threading.Event) -> None:
    while not done.wait(lease_s / 3):
        renewed = Lease(lease.owner, lease.since, time.time() + lease_s)
        try:
            held = read_lease(folder, path)
            if held is not None and held.owner != lease.owner:
                # It ran out while this machine slept, and was taken over.
                log.warning("the lease is now that of %s; cells cannot collide", held.owner)
                return
            _write(folder, path, renewed)
        except StoreError as error:
            # The run itself will meet the same trouble and report it.
            log.warning("the lease could not be renewed: %s", error)


def _write(folder: Folder, path: str, lease: Lease) -> None:
    folder.write_atomic(path, json.dumps(asdict(lease)).encode())


@contextmanager
def hold_run_lease(store_uri: str, *, lease_s: float = LEASE_S) -> Iterator[Lease]:
    """Say that a run writes into a store for the time of the block; any number may.

    The note is written before the look for maintenance, which looks for such notes after it has
    written its own: of two that begin at one time at least one sees the other.

    Raises:
        ExecutionError: maintenance (gc, compact, migrate) works on the store.
        StoreError: the store cannot be written.
    """
    folder = open_folder(store_uri)
    time_s = time.time()
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}:{this_process()}"
    lease, path = Lease(owner, time_s, time_s + lease_s), f"{RUN_LEASES}/{uuid.uuid4().hex}.json"
    _write(folder, path, lease)
    done = threading.Event()
    args = (folder, path, lease, lease_s, done)
    renewer = threading.Thread(target=_renew, args=args, name="lease-run", daemon=True)
    try:
        held = read_lease(folder, f"{LEASES}/{MAINTENANCE}.json")
        if held is not None and is_live(held):
            raise ExecutionError(
                _held_message(
                    MAINTENANCE, folder, f"{LEASES}/{MAINTENANCE}.json", held, time.time()
                )
            )
        renewer.start()
        yield lease
    finally:
        done.set()
        if renewer.is_alive():
            renewer.join()
        folder.delete(path)


@contextmanager
def hold_maintenance_lease(store_uri: str, *, settle_s: float = SETTLE_S) -> Iterator[Lease]:
    """Have a store to oneself for the time of the block: no run writes, no other maintenance works.

    Notes of runs that are dead are deleted.

    Raises:
        ExecutionError: a run writes into the store, or other maintenance works on it.
        StoreError: the store cannot be written.
    """
    with hold_lease(store_uri, MAINTENANCE, settle_s=settle_s) as lease:
        folder = open_folder(store_uri)
        for name in folder.names(RUN_LEASES):
            path = f"{RUN_LEASES}/{name}"
            held = read_lease(folder, path)
            if held is not None and is_live(held):
                raise ExecutionError(_held_message("run", folder, path, held, time.time()))
            folder.delete(path)
        yield lease


def is_live(lease: Lease) -> bool:
    """Tell whether the owner of a lease may still be at work."""
    return lease.until > time.time() and not is_dead(lease.owner.rpartition(":")[2])

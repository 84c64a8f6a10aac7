"""Owners of files that may be left over: processes, named so that others can tell one is dead.

A process id means something on one machine, since one boot, in one container only; of a process
elsewhere nothing is known, and it is taken for alive.
"""

import hashlib
import os
import re
import secrets
import socket
from functools import cache
from pathlib import Path

OWNER = re.compile(r"([0-9a-f]{12})-([0-9]+)-([0-9]+)")


def this_process() -> str:
    """``<place>-<process id>-<its start>``: letters, digits and dashes."""
    pid = os.getpid()
    return f"{_place()}-{pid}-{_start_time(pid) or 0}"


def is_dead(owner: str) -> bool:
    """Return whether the process of this name ended for sure; False where that cannot be known."""
    found = OWNER.fullmatch(owner)
    if found is None or found[1] != _place():
        return False
    pid, started = int(found[2]), int(found[3])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    # Another process may have the number by now.
    running = _start_time(pid)
    return bool(started) and running is not None and running != started


@cache
def _place() -> str:
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    try:
        parts = [socket.gethostname(), boot.read_text().strip(), os.readlink(space)]
    except OSError:
        # Hosts' names are not unique: of a process on such a system nothing is ever sure.
        parts = [secrets.token_hex(16)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _start_time(pid: int) -> int | None:
    """Return the start of a process, in the kernel's ticks since the boot; None if unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The program's name, in brackets, may hold anything; the start is the 20th field after it.
    return int(text.rpartition(")")[2].split()[19])

"""Notes of the models that this machine's processes work on, for the run after one that died.

A crash of the process takes its run along, and the next run would die at the same model. So a local
run says which model it loads, and a later one that finds the note of a dead process measures that
model in a process of its own. Notes are hints: what cannot be written or read is left out.
"""

import json
from contextlib import suppress
from pathlib import Path

from vlmsel.cache import cache_dir, write_atomically
from vlmsel.documents import read_json
from vlmsel.store.owners import is_dead, this_process

FOLDER = "in-flight"


class InFlight:
    """The note of this process, and what dead ones left."""

    def __init__(self) -> None:
        self.suspects = frozenset(name for path in _dead_notes() for name in _read(path))
        self._left = _dead_notes()

    def begin(self, model: str) -> None:
        """Note that this process works on a model."""
        with suppress(OSError, RuntimeError):
            write_atomically(_folder() / f"{this_process()}.json", json.dumps([model]).encode())

    def end(self) -> None:
        """Take the note back."""
        with suppress(OSError, RuntimeError):
            (_folder() / f"{this_process()}.json").unlink(missing_ok=True)

    def forget(self) -> None:
        """The run ended by itself: what earlier ones left is settled."""
        self.end()
        for path in self._left:
            with suppress(OSError):
                path.unlink()


def _folder() -> Path:
    return cache_dir() / FOLDER


def _dead_notes() -> list[Path]:
    try:
        return sorted(path for path in _folder().glob("*.json") if is_dead(path.stem))
    except (OSError, RuntimeError):
        return []


def _read(path: Path) -> list[str]:
    try:
        names = read_json(path)
    except (OSError, ValueError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

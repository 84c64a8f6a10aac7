"""Packs: the rows of many small cells in one larger Parquet file, and an index that names them.

    <model>@<pretrained>/pack.<digest>.parquet           rows of the cells, one after the other
    <model>@<pretrained>/pack.<digest>.<digest>.json     index: the files that they were, in order

The first digest is the pack's, the second the index's own. A pack without an index is not there,
and neither is an index without its pack, so that a kill between two writes loses nothing.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vlmsel.store.keys import content_digest

PACK_FILE = re.compile(r"pack\.[0-9a-f]{16}\.parquet")
INDEX_FILE = re.compile(r"pack\.([0-9a-f]{16})\.([0-9a-f]{16})\.json")


@dataclass(frozen=True, slots=True)
class Member:
    """One cell in a pack.

    Attributes:
        name: of the file that it was.
        start: its first row.
        n_rows: how many rows it has.
        modified: when the file was written, in seconds since 1970.
    """

    name: str
    start: int
    n_rows: int
    modified: float


@dataclass(frozen=True)
class PackIndex:
    """An index: which pack it is of, and the cells in it."""

    pack: str
    members: tuple[Member, ...]

    def without(self, names: Iterable[str]) -> "PackIndex":
        """The same without some cells; their rows stay in the pack until it is made anew."""
        removed = set(names)
        return PackIndex(self.pack, tuple(m for m in self.members if m.name not in removed))

    def to_file(self) -> tuple[str, bytes]:
        """Name and content of the index's file."""
        rows = [[m.name, m.start, m.n_rows, m.modified] for m in self.members]
        data = json.dumps({"pack": self.pack, "members": rows}).encode()
        return f"{self.pack.removesuffix('.parquet')}.{content_digest(data)}.json", data


def pack_name(data: bytes) -> str:
    """The name of a pack's file."""
    return f"pack.{content_digest(data)}.parquet"


def is_of_a_pack(name: str) -> bool:
    """True if a file is a pack or an index, and no cell."""
    return bool(PACK_FILE.fullmatch(name) or INDEX_FILE.fullmatch(name))


def pack_of(name: str) -> str | None:
    """The name of the pack that an index is of, by its own name; None for another file."""
    found = INDEX_FILE.fullmatch(name)
    return None if found is None else f"pack.{found[1]}.parquet"


def parse_index(name: str, data: bytes) -> PackIndex | None:
    """The index in a file; None where its bytes are not those that its name promises."""
    found = INDEX_FILE.fullmatch(name)
    if found is None or found[2] != content_digest(data):
        return None
    try:
        document = json.loads(data)
        members = tuple(
            Member(str(name), int(start), int(n_rows), float(modified))
            for name, start, n_rows, modified in document["members"]
        )
        return PackIndex(str(document["pack"]), members)
    except (ValueError, KeyError, TypeError):
        return None


def lay_end_to_end(cells: Sequence[tuple[str, int, float]]) -> tuple[Member, ...]:
    """Members from (name, number of rows, modified), in the order in which they follow."""
    members: list[Member] = []
    start = 0
    for name, n_rows, modified in cells:
        members.append(Member(name, start, n_rows, modified))
        start += n_rows
    return tuple(members)

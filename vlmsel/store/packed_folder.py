"""A store's folder in which the cells of packs look like the files that they were."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from vlmsel.store.filesystem import FileEntry, Folder
from vlmsel.store.os_errors import MissingFileError
from vlmsel.store.packs import INDEX_FILE, Member, PackIndex, is_of_a_pack, parse_index

log = logging.getLogger(__name__)

# Indexes that are remembered; one names up to some thousand cells.
REMEMBERED_INDEXES = 4096
# Listings of a folder in which an index goes before it is read.
TRIES = 3


@dataclass
class PackedFolder:
    """See `vlmsel.store.filesystem.Folder`; lists, dates and deletes cells of packs like files.

    Their bytes cannot be read: `packed` says where the rows are.

    Attributes:
        files_below: the folder as it is on the disk.
    """

    files_below: Folder
    _indexes: dict[str, PackIndex | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[type["PackedFolder"], tuple[Folder]]:
        """Copies for other processes begin with nothing remembered."""
        return PackedFolder, (self.files_below,)

    @property
    def address(self) -> str:
        """Address, to be shown to people."""
        return self.files_below.address

    def write_atomic(self, path: str, data: bytes) -> None:
        """Write the whole file or nothing."""
        self.files_below.write_atomic(path, data)

    def read(self, path: str) -> bytes:
        """The bytes of one file that is none of a pack's cells."""
        return self.files_below.read(path)

    def files(self, prefix: str) -> list[str]:
        """Paths of every file and every packed cell below `prefix`."""
        found = self.files_below.files(prefix)
        packing = {path.rpartition("/")[0] for path in found if _is_index(path)}
        if not packing:
            return [path for path in found if not is_of_a_pack(path.rpartition("/")[2])]
        by_parent: dict[str, list[str]] = {}
        for path in found:
            parent, _, name = path.rpartition("/")
            by_parent.setdefault(parent, []).append(name)
        return [
            f"{parent}/{name}"
            for parent, names in by_parent.items()
            for name in self._list_visible(parent, names)
        ]

    def names(self, path: str) -> list[str]:
        """Names of the files and packed cells directly in `path`."""
        return self._list_visible(path, self.files_below.names(path))

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly in `path`."""
        return self.files_below.folders(path)

    def entries(self, prefix: str) -> list[FileEntry]:
        """Every file on the disk below `prefix`, packs and indexes among them."""
        return self.files_below.entries(prefix)

    def modified(self, path: str) -> float:
        """Time at which the file, or the file that a packed cell was, was last written."""
        place = self.find_packed([path]).get(path)
        return place[1].modified if place else self.files_below.modified(path)

    def move(self, source: str, target: str) -> None:
        """Move one file that is none of a pack's cells."""
        self.files_below.move(source, target)

    def delete(self, path: str) -> None:
        """Delete one file, or take one cell out of its pack."""
        self.unpack([path])
        self.files_below.delete(path)

    def clean(self, folders: Sequence[str]) -> int:
        """Delete what killed writes left below `folders`, if that is sure."""
        return self.files_below.clean(folders)

    def find_packed(self, paths: Iterable[str]) -> dict[str, tuple[str, Member]]:
        """The pack and the place in it of those of `paths` that lie in one."""
        by_parent: dict[str, set[str]] = {}
        for path in paths:
            parent, _, name = path.rpartition("/")
            by_parent.setdefault(parent, set()).add(name)
        found: dict[str, tuple[str, Member]] = {}
        for parent, names in by_parent.items():
            for index in self.indexes(parent).values():
                for member in index.members:
                    if member.name in names:
                        found[f"{parent}/{member.name}"] = (f"{parent}/{index.pack}", member)
        return found

    def indexes(self, parent: str) -> dict[str, PackIndex]:
        """The indexes directly in a folder, by path, of packs that are there.

        Where a pack has several, each is given without what another lacks: two that take cells out
        of it at one time, or one that is killed, leave longer ones than they mean.
        """
        return self._list_settled(parent, self.files_below.names(parent))[1]

    def unpack(self, paths: Iterable[str]) -> None:
        """Take cells out of their packs, whose rows stay until they are made anew.

        The shorter index is written before the longer one goes: a kill between the two leaves both.
        """
        by_parent: dict[str, set[str]] = {}
        for path in paths:
            parent, _, name = path.rpartition("/")
            by_parent.setdefault(parent, set()).add(name)
        for parent, names in by_parent.items():
            for path, index in self.indexes(parent).items():
                rest = index.without(names)
                if len(rest.members) == len(index.members):
                    continue
                if rest.members:
                    name, data = rest.to_file()
                    self.files_below.write_atomic(f"{parent}/{name}", data)
                self.files_below.delete(path)
                if not rest.members:
                    self.files_below.delete(f"{parent}/{index.pack}")

    def _list_visible(self, parent: str, names: Sequence[str]) -> list[str]:
        loose = [name for name in names if not is_of_a_pack(name)]
        if len(loose) == len(names):
            return loose
        names, indexes = self._list_settled(parent, names)
        loose = [name for name in names if not is_of_a_pack(name)]
        members = {member.name for index in indexes.values() for member in index.members}
        return [*loose, *sorted(members.difference(loose))]

    def _list_settled(
        self, parent: str, names: Sequence[str]
    ) -> tuple[Sequence[str], dict[str, PackIndex]]:
        """Names in a folder and the indexes among them, listed anew if one goes meanwhile."""
        for _ in range(TRIES - 1):
            with suppress(MissingFileError):
                return names, self._indexes_among(parent, names)
            # Its cells are in a pack, or an index, that came after the listing.
            names = self.files_below.names(parent)
        return names, self._indexes_among(parent, names, lenient=True)

    def _indexes_among(
        self, parent: str, names: Sequence[str], *, lenient: bool = False
    ) -> dict[str, PackIndex]:
        present = set(names)
        found: dict[str, PackIndex] = {}
        for name in sorted(name for name in names if INDEX_FILE.fullmatch(name)):
            with suppress(*([MissingFileError] if lenient else [])):
                index = self._index(f"{parent}/{name}")
                if index is not None and index.pack in present:
                    found[f"{parent}/{name}"] = index
        return _narrow(found)

    def _index(self, path: str) -> PackIndex | None:
        # Named by content, so what was read once stays true.
        with self._lock:
            if path in self._indexes:
                return self._indexes[path]
            index = parse_index(path.rpartition("/")[2], self.files_below.read(path))
            if index is None:
                log.warning(
                    "%s/%s is damaged: its cells count as missing", self.files_below.address, path
                )
            if len(self._indexes) >= REMEMBERED_INDEXES:
                self._indexes.clear()
            self._indexes[path] = index
            return index


def _narrow(indexes: dict[str, PackIndex]) -> dict[str, PackIndex]:
    """Indexes with only the cells that all indexes of their pack name."""
    if len({index.pack for index in indexes.values()}) == len(indexes):
        return indexes
    kept: dict[str, set[str]] = {}
    for index in indexes.values():
        names = {member.name for member in index.members}
        kept[index.pack] = kept.get(index.pack, names) & names
    return {
        path: replace(index, members=tuple(m for m in index.members if m.name in kept[index.pack]))
        for path, index in indexes.items()
    }


def _is_index(path: str) -> bool:
    return INDEX_FILE.fullmatch(path.rpartition("/")[2]) is not None


def group_by_pack(places: Mapping[str, tuple[str, Member]]) -> dict[str, list[Member]]:
    """Members that are wanted, by the path of their pack, in the order of its rows."""
    found: dict[str, list[Member]] = {}
    for pack, member in places.values():
        found.setdefault(pack, []).append(member)
    return {pack: sorted(found[pack], key=lambda m: m.start) for pack in sorted(found)}

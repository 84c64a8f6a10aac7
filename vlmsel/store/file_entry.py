"""A file in a listing of a store."""

from typing import NamedTuple


class FileEntry(NamedTuple):
    """A file in a listing.

    Attributes:
        path: relative to the root that was listed.
        size: in bytes.
        modified: when it was last written, in seconds since 1970.
    """

    path: str
    size: int
    modified: float

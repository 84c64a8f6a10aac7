"""One image as a source file gives it, before the task gives it an id."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class FoundImage:
    """One image in a source file.

    Attributes:
        key: tar key or row number; empty where the file is the image.
        member: tar member or row number; None where the file is the image.
        sha256: of the image's bytes.
        label: as the source says it, if it does.
        offset: where its bytes begin in a plain tar; None where they cannot be sought.
        size: how many bytes; None where `offset` is.
    """

    key: str
    member: str | None
    sha256: str
    label: int | None
    offset: int | None = None
    size: int | None = None

    @property
    def is_image(self) -> bool:
        """False for a count of what is not read; see `unread_members`."""
        return bool(self.sha256)


def unread_members(suffix: str, number: int) -> FoundImage:
    """So many members of a shard in a format that is not read, kept beside its images."""
    return FoundImage("", suffix, "", None, size=number)


def unread_digest(size: int) -> str:
    """In place of a checksum of content that is too large to be an image, and is not read."""
    return hashlib.sha256(f"{size} bytes, not read".encode()).hexdigest()

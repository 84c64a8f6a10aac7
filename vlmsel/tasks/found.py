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


def unread_digest(size: int) -> str:
    """In place of a checksum of content that is too large to be an image, and is not read."""
    return hashlib.sha256(f"{size} bytes, not read".encode()).hexdigest()

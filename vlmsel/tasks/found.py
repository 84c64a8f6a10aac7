"""One image as a source file gives it, before the task gives it an id."""

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

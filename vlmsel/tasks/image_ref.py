"""Reference to one image of a task: small and picklable."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageRef:
    """Reference to one image: its place, checksum and label; small and picklable.

    Attributes:
        image_id: unique within the task: path in the folder, tar key, or row number (after the
            file's name where the task's images are given by a pattern).
        sha256: of the image's bytes.
        source: file that holds it, as `open_source` takes it.
        member: tar member or row number; None where the file is the image.
        label: index into the class names, if known.
        offset: where its bytes begin in a plain tar, so that no other member need be passed.
        size: how many bytes there.
    """

    image_id: str
    sha256: str
    source: str
    member: str | None
    label: int | None
    offset: int | None = None
    size: int | None = None

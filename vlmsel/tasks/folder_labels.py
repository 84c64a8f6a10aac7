"""Labels that folder names give: `<folder>/<class name>/x.png`."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from vlmsel.errors import TaskError
from vlmsel.suggest import nearest

MAX_LABEL = 2**31 - 1


def folder_labels(task: str, names: Sequence[str], classnames: Sequence[str]) -> list[int | None]:
    """The label of each image by the first part of its path, if that is how the folder is laid out.

    Names agree up to case and underscores. Where no folder is a class, the images have no labels.

    Raises:
        TaskError: some folders are classes and one is not (nearest class), or two classes are
            alike.
    """
    label_of: dict[str, int] = {}
    for label, classname in enumerate(classnames):
        label_of.setdefault(plain_name(classname), label)
    folders = {name: name.partition("/")[0] if "/" in name else None for name in names}
    known = {f: label_of.get(plain_name(f)) for f in folders.values() if f is not None}
    if all(label is None for label in known.values()):
        return [None] * len(names)
    if len(label_of) < len(classnames):
        raise TaskError(f"task '{task}': two class names are alike, so folders cannot be labels")
    for name, folder in folders.items():
        if folder is None or known[folder] is None:
            hint = nearest(folder or "", classnames, n=1)
            msg = f"task '{task}': {name} is in no folder named after a class{hint}"
            raise TaskError(msg)
    return [known[folder] if folder else None for folder in folders.values()]


def check_labels(task: str, labels: Sequence[int | None], classnames: Sequence[str]) -> None:
    """Refuse a label that no class name belongs to.

    Raises:
        TaskError: names the label and the range.
    """
    for label in labels:
        if label is not None and not 0 <= label < len(classnames):
            last = len(classnames) - 1
            raise TaskError(f"task '{task}': label {label} has no class name (0 to {last})")


def stored_label(label: int | None, where: str) -> int | None:
    """A label as a file gives it, if it is a number that a class may have.

    Raises:
        TaskError: it is larger than any list of classes; names where it stands.
    """
    if label is not None and abs(label) > MAX_LABEL:
        shown = str(label) if label.bit_length() < 100 else "a number of many digits"
        raise TaskError(f"{where}: label {shown} is no class: classes are counted from 0")
    return label


def find_twins(names: Sequence[str]) -> list[str]:
    """Names that are the same as another one up to `plain_name`, in their order."""
    counts = Counter(plain_name(name) for name in names)
    return [name for name in names if counts[plain_name(name)] > 1]


def plain_name(name: str) -> str:
    """A class name up to case, underscores and Unicode form."""
    # One letter may be one character or two: a Mac's disk and a list of names differ there.
    return unicodedata.normalize("NFC", name).replace("_", " ").strip().casefold()

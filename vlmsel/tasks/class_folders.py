"""Folders of classes: a target that is laid out as `<class name>/<image>` names its classes."""

from collections.abc import Sequence
from pathlib import Path

from vlmsel.addresses import is_address

FEWEST = 2


def find_class_folders(images: str, image_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the class names that folders give, in the order of their names.

    Args:
        images: place of the images; only a local folder can have class folders.
        image_ids: of its images, paths below the folder.

    Returns:
        One name per folder, underscores as spaces; empty unless every image lies in a folder and
        there are two folders or more.
    """
    if is_address(images) or not Path(images).is_dir():
        return ()
    folders = {image.partition("/")[0] if "/" in image else "" for image in image_ids}
    if "" in folders or len(folders) < FEWEST:
        return ()
    return tuple(name.replace("_", " ") for name in sorted(folders))

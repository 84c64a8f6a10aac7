"""Lays the demo tasks out on disk: a WebDataset tar per task, a catalog, and loose samples.

The files are the same byte for byte every time and each appears all at once, so they can be written
by several processes and read while they are written.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from vlmsel.demo.families import DemoTask, demo_tasks, draw

DRAWING_VERSION = 1
"""To be raised by everyone who changes how a picture looks, so that old files are replaced."""

TEST_SEED = 0
SAMPLE_SEED = 1001
"""Not the seed of the training pictures, so that samples are new to the models."""

_STAMP = "demo-tasks.json"
_CATALOG = "tasks.yaml"


def write_demo_tasks(folder: Path, *, n_images: int = 200) -> Path:
    """Writes the test pictures of every demo task and the catalog that lists them.

    Each task becomes `<task>.tar` with members `000000.png` and `000000.cls`, the label in
    decimal digits.
    Nothing is written when the folder already holds just these files.

    Args:
        folder: is created if missing.
        n_images: pictures per task; the classes are balanced.

    Returns:
        The path of the catalog, `tasks.yaml`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_up_to_date(folder, n_images):
        for task in demo_tasks():
            replace_file(folder / f"{task.name}.tar", _tar(task, n_images))
        replace_file(folder / _CATALOG, yaml.safe_dump(_catalog(), sort_keys=False).encode())
        stamp = {"made_by": _describe_making(n_images), "sha256": _hashes(folder)}
        replace_file(folder / _STAMP, json.dumps(stamp, indent=1).encode())
    return folder / _CATALOG


def write_sample_folder(folder: Path, task: DemoTask, n: int = 25) -> Path:
    """Writes n pictures of a task as loose PNG files without labels, new to every demo model.

    Returns:
        The folder, which is created if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, _ = draw(task, split="train", n=n, seed=SAMPLE_SEED)
    for i, image in enumerate(images):
        replace_file(folder / f"{i:03d}.png", png_bytes(image))
    return folder


def sample_truth(task: DemoTask, n: int) -> dict[str, str]:
    """Class name by file of the pictures that `write_sample_folder` writes."""
    _, labels = draw(task, split="train", n=n, seed=SAMPLE_SEED)
    return {f"{i:03d}.png": task.classnames[label] for i, label in enumerate(labels)}


def _catalog() -> dict[str, Any]:
    return {
        "tasks": [
            {
                "name": task.name,
                "images": f"{task.name}.tar",
                "classnames": list(task.classnames),
                "templates": list(task.templates),
            }
            for task in demo_tasks()
        ]
    }


def _tar(task: DemoTask, n_images: int) -> bytes:
    """Returns the task's tar; owner and time of every member are left at zero."""
    images, labels = draw(task, split="test", n=n_images, seed=TEST_SEED)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            for suffix, data in (("png", png_bytes(image)), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{i:06d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def png_bytes(image: Image.Image) -> bytes:
    """Returns a picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _describe_making(n_images: int) -> dict[str, Any]:
    """Returns all that decides the bytes of the files."""
    packages = ("numpy", "pillow", "scikit-learn")
    return {
        "drawing_version": DRAWING_VERSION,
        "n_images": n_images,
        **{package: importlib.metadata.version(package) for package in packages},
    }


def _hashes(folder: Path) -> dict[str, str]:
    """Returns the hash of every file of the demo tasks; a missing file has the hash of nothing."""
    names = [f"{task.name}.tar" for task in demo_tasks()] + [_CATALOG]
    return {
        name: hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()
        for name in names
        for path in [folder / name]
    }


def _is_up_to_date(folder: Path, n_images: int) -> bool:
    try:
        stamp = json.loads((folder / _STAMP).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return stamp == {"made_by": _describe_making(n_images), "sha256": _hashes(folder)}


def replace_file(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    os.replace(file.name, path)

"""Names of cells and files. A file's name says what it holds and how its bytes must hash."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from vlmsel.settings import SCHEMA_VERSION

IMPORT_NAME = re.compile(r"[0-9A-Za-z_-]+")
FILE_NAME = re.compile(r"(.+)\.([0-9a-f]{16})\.parquet")


@dataclass(frozen=True, slots=True)
class CellId:
    """The unit of storage and resume: one measurement of a model on a shard of a task's images.

    Attributes:
        model: open_clip architecture or own name.
        pretrained: open_clip tag or own label.
        task: task name.
        key: fingerprint of all that can change the values, from `cell_key`.
        settings: digest of the measurement's settings.
        kind: of the measurement.
    """

    model: str
    pretrained: str
    task: str
    key: str
    settings: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.model}/{self.pretrained} on {self.task} ({self.key})"


def cell_key(
    identity_digest: str, settings_digest: str, images_digest: str, *, schema: int | None = None
) -> str:
    """32 hex digits over model identity, settings, images and schema version.

    Args:
        identity_digest: of the model.
        settings_digest: of the measurement, and of what it reads of the task (class prompts).
        images_digest: of `images_digest`.
        schema: version; this one's by default.
    """
    version = SCHEMA_VERSION if schema is None else schema
    lines = (f"schema {version}", identity_digest, settings_digest, images_digest)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def images_digest(images: Iterable[tuple[str, str]]) -> str:
    """64 hex digits over the (image_id, sha256) of a shard's images, in order.

    The ids are in it, since rows name their image by it and labels are joined on it.
    """
    lines = (f"{sha256} {image_id}" for image_id, sha256 in images)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def content_digest(data: bytes) -> str:
    """The 16 hex digits that a file carries in its name."""
    return hashlib.sha256(data).hexdigest()[:16]


def encode_name(name: str) -> str:
    """A name as one part of a path: percent-encoded, never hidden, never ``.`` or ``..``."""
    text = quote(name, safe="")
    return "%2E" + text[1:] if text.startswith(".") else text


def model_folder(model: str, pretrained: str) -> str:
    """``<model>@<pretrained>``, both encoded."""
    return f"{encode_name(model)}@{encode_name(pretrained)}"


def decode_model_folder(folder: str) -> tuple[str, str] | None:
    """The (model, pretrained) of a folder's name, or None for a folder of another kind."""
    model, at, pretrained = folder.partition("@")
    return (unquote(model), unquote(pretrained)) if at else None


def stem(task: str, key: str) -> str:
    """``<task>@<key>``, the task encoded: how the file of a key begins in its model's folder."""
    return f"{encode_name(task)}@{key}"


def decode_stem(text: str) -> tuple[str, str] | None:
    """The (task, key) of a stem, or None for a name of another kind."""
    task, at, key = text.partition("@")
    return (unquote(task), key) if at else None


def file_name(stem: str, data: bytes) -> str:
    """``<stem>.<sha256[:16] of the bytes>.parquet``."""
    return f"{stem}.{content_digest(data)}.parquet"


def parse_file_name(name: str) -> tuple[str, str] | None:
    """The (stem, content digest) of a file's name, or None for a file of another kind."""
    found = FILE_NAME.fullmatch(name)
    return (found.group(1), found.group(2)) if found else None

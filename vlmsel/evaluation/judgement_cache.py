"""Judgements of earlier leave-one-outs, kept in the user's cache by what they came from.

An entry is one selector's rankings of all targets, as arrays. Its name is a digest of the tables
(so of cells, labels and imported tables), of which tasks are held out, of the selector with its
options, and of the code and libraries that computed it: where any of these changes, the name does,
and nothing stale is found. Nothing is kept of selectors from elsewhere, whose code is not known. A
store holds measurements alone, no entry lies there.
"""

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import BaseModel

from vlmsel.cache import cache_dir, write_atomically
from vlmsel.evaluation.judgement import Judgement, Names
from vlmsel.selection.selector import Selector
from vlmsel.selection.zoo_answers import ZooAnswers

log = logging.getLogger(__name__)

FOLDER = "leave-one-out"
SHIPPED = "vlmsel.selection.selectors."
# Whose results the arrays are.
LIBRARIES = ("numpy", "scipy", "polars")
ROOT = Path(__file__).parents[1]
PACKAGES = ("selection", "evaluation")
ENTRY_BYTES, KEPT_BYTES = 64 << 20, 512 << 20
HASH_SEEDS = (0, 1)
# What counts of a table of accuracies or of profiles.
CONTENT: dict[str, pl.DataType] = {
    **dict.fromkeys(("model", "pretrained", "task", "image_id", "block_name"), pl.String()),
    "block": pl.Int64(),
    **dict.fromkeys(("acc1", "conductance"), pl.Float64()),
    "profile": pl.List(pl.Float64()),
}


@dataclass(frozen=True)
class JudgementCache:
    """Entries about one set of tables.

    Attributes:
        content: digest of the tables and of how they are judged.
        entry_bytes: largest entry that is kept.
        kept_bytes: all entries, of any tables; beyond, the oldest are deleted.
    """

    content: str
    entry_bytes: int = ENTRY_BYTES
    kept_bytes: int = KEPT_BYTES

    def narrow(self, **more: object) -> "JudgementCache":
        """Return the entries that have more in common, such as a number of labels."""
        return replace(self, content=_digest([self.content, more]))

    def load(self, selector: Selector, names: Names) -> Judgement | None:
        """Read an entry; None where there is none, and a broken one is deleted."""
        path = self._path(selector, names)
        if path is None:
            return None
        try:
            return _decode(path.read_bytes(), names)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.info("dropped a broken entry of the cache, %s: %s", path, error)
            _delete(path)
            return None

    def save(self, selector: Selector, names: Names, judgement: Judgement) -> None:
        """Write an entry where it can be written; a cache that cannot costs time, nothing else."""
        path = self._path(selector, names)
        if path is None:
            return
        data = _encode(judgement)
        if len(data) > self.entry_bytes:
            return
        try:
            write_atomically(path, data)
            _trim(path.parent, self.kept_bytes)
        except OSError as error:
            log.info("no entry of the cache is kept: %s", error)

    def _path(self, selector: Selector, names: Names) -> Path | None:
        kind = type(selector)
        if not (kind.__module__.startswith(SHIPPED) and isinstance(selector, BaseModel)):
            return None
        of_selector = [kind.__module__, kind.__qualname__, selector.model_dump(mode="json")]
        axes = [names.models, names.tasks, names.targets]
        key = _digest([self.content, of_selector, axes, code_version()])
        return cache_dir() / FOLDER / f"{key}.npz"


def cache_of(
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame | None,
    answers: Mapping[str, ZooAnswers] | None = None,
    **how: object,
) -> JudgementCache:
    """Return the entries about some tables; the order of rows and of columns is no matter.

    Args:
        accuracies: model, pretrained, task, acc1.
        profiles: long, or of tasks.
        answers: by task.
        how: what else decides which tasks are held out, of JSON's types.
    """
    shapes = None if profiles is None else profiles.lazy().collect()
    answered = {task: found.digest for task, found in (answers or {}).items()}
    return JudgementCache(_digest([_content(accuracies), _content(shapes), answered, how]))


@cache
def code_version(root: Path = ROOT) -> str:
    """Digest of the code and the libraries that a judgement depends on.

    Args:
        root: folder of the package.
    """
    files = sorted(path for name in PACKAGES for path in (root / name).rglob("*.py"))
    files.append(root / "columns.py")
    digest = hashlib.sha256()
    for name in ("vlmsel", *LIBRARIES):
        digest.update(f"{name} {version(name)}\n".encode())
    for path in files:
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _content(table: pl.DataFrame | None) -> object:
    """Identify the rows of a table, whatever their order."""
    if table is None:
        return None
    rows = table.select(
        pl.col(name).cast(kind) for name, kind in CONTENT.items() if name in table.columns
    )
    hashes = [rows.hash_rows(seed).to_numpy() for seed in HASH_SEEDS]
    sums = [int(np.add.reduce(row_hashes)) for row_hashes in hashes]
    return [
        rows.columns,
        rows.height,
        sums,
        [int(np.bitwise_xor.reduce(row_hashes)) for row_hashes in hashes],
    ]


def _digest(parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _encode(judgement: Judgement) -> bytes:
    arrays = {
        "places": judgement.places,
        "scores": judgement.scores,
        "refused": np.array(judgement.refused, dtype=np.str_),
    }
    if judgement.weights is not None:
        arrays["weights"] = judgement.weights
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _decode(data: bytes, names: Names) -> Judgement:
    """Read an entry.

    Raises:
        ValueError, KeyError, BadZipFile: it is not what was written.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        places, scores, refused = (arrays[name] for name in ("places", "scores", "refused"))
        weights = arrays.get("weights")
    shape = (len(names.targets), len(names.models))
    whole = [(places, shape, "i"), (scores, shape, "f"), (refused, shape[:1], "U")]
    if weights is not None:
        whole.append((weights, (*shape, len(names.tasks)), "f"))
    if any(array.shape != size or array.dtype.kind != kind for array, size, kind in whole):
        raise ValueError("its arrays have other shapes")
    if ((places > 0) != np.isfinite(scores)).any() or places.max(initial=0) > shape[1]:
        raise ValueError("its places are none of its scores")
    return Judgement(places, scores, weights, tuple(refused.tolist()))


def _trim(folder: Path, kept_bytes: int) -> None:
    """Delete the oldest entries of a folder that has grown too large."""
    found = [(path, path.stat()) for path in folder.glob("*.npz")]
    size = sum(stat.st_size for _, stat in found)
    for path, stat in sorted(found, key=lambda item: item[1].st_mtime):
        if size <= kept_bytes:
            return
        _delete(path)
        size -= stat.st_size


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.info("an entry of the cache cannot be deleted: %s", error)

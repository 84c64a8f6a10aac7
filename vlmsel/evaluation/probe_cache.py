"""Results of probes in the user's cache: one small file per model, task and number of shots.

They depend on labels, so they are no cells of a store. A file's name is the digest of all that can
change its values: cells, labels, options, code. What cannot be read is computed again.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vlmsel.cache import cache_dir, write_atomically
from vlmsel.evaluation.probe_work import ProbeOptions, ProbeResult
from vlmsel.evaluation.shots import LabelledImages

log = logging.getLogger(__name__)

# To be raised by everyone who changes a value of `probe_work`, or of a score that it computes.
CODE_VERSION = 1
FOLDER = "probes"


@dataclass(frozen=True)
class ProbeKey:
    """A unit of work and the digest of what its values depend on."""

    model: str
    pretrained: str
    task: str
    shots: int | None
    digest: str


def labels_digest(images: LabelledImages) -> str:
    """Digest of the labelled images: ids, classes, copies."""
    found = hashlib.sha256()
    for image, code, copy in zip(
        images.image_ids, images.codes.tolist(), images.copies.tolist(), strict=True
    ):
        found.update(f"{image}\0{code}\0{copy}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def probe_key(
    model: tuple[str, str],
    images: LabelledImages,
    files: Iterable[str],
    shots: int | None,
    options: ProbeOptions,
) -> ProbeKey:
    """Name a unit of work.

    Args:
        model: model and pretrained.
        images: the labelled images of the task.
        files: names of the cells' files, which hold the digests of their bytes.
        shots: images per class; None for all.
        options: draws and scores.
    """
    import sklearn

    parts = {
        "code": CODE_VERSION,
        "sklearn": sklearn.__version__,
        "cells": sorted(files),
        "labels": labels_digest(images),
        "shots": shots,
        "seed": options.seed,
    }
    if shots is not None:
        parts |= {"draws": options.draws, "estimators": list(options.estimators)}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
    return ProbeKey(*model, images.task, shots, digest)


class ProbeCache:
    """Results on disk, in a folder of the user's cache.

    Args:
        folder: another folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_dir() / FOLDER
        self._is_told = False

    def read(self, key: ProbeKey) -> ProbeResult | None:
        """Return a kept result; None where there is none that can be read."""
        try:
            found = json.loads(self._path(key).read_bytes())
            return ProbeResult.from_json(found["result"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, key: ProbeKey, result: ProbeResult) -> None:
        """Keep a result; a cache that cannot be written costs time, which is logged once."""
        entry = {
            "model": key.model,
            "pretrained": key.pretrained,
            "task": key.task,
            "shots": key.shots,
            "result": result.as_json(),
        }
        try:
            write_atomically(self._path(key), json.dumps(entry).encode())
        except OSError as error:
            if not self._is_told:
                log.warning("results of probes are not kept: %s", error)
            self._is_told = True

    def _path(self, key: ProbeKey) -> Path:
        return self._folder / key.digest[:2] / f"{key.digest}.json"

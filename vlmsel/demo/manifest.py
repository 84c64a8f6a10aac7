"""The record of how the demo models were made, as it lies beside them in `manifest.json`."""

import importlib.metadata
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_PACKAGES = ("torch", "open_clip_torch", "timm", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True)
class ModelRecord:
    """Record of one model: its making and its abilities.

    Attributes:
        model: its name.
        sha256: hash of its weights file.
        size_bytes: size of its weights file.
        parameters: how many weights it has.
        seed: the seed that led to it.
        attempts: how many seeds were tried; all but the last did not learn.
        steps: optimiser steps of one attempt.
        training_s: seconds of training of the last attempt, on one thread.
        versions: packages it was made with.
        machine: the kind of processor it was made on.
        accuracy: zero-shot accuracy per task, over the test pictures that the demo writes.
    """

    model: str
    sha256: str
    size_bytes: int
    parameters: int
    seed: int
    attempts: int
    steps: int
    training_s: float
    versions: dict[str, str]
    machine: str
    accuracy: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """All records, in the order of the zoo, and the hash of the vocabulary they share."""

    bpe_sha256: str
    test_pictures: int
    test_seed: int
    models: tuple[ModelRecord, ...]

    def record(self, model: str) -> ModelRecord | None:
        """Returns the record of a model, None if there is none."""
        return next((record for record in self.models if record.model == model), None)

    def with_records(self, records: list[ModelRecord], order: list[str]) -> "Manifest":
        """Returns the manifest with these records in place of older ones of the same models."""
        known = {record.model: record for record in (*self.models, *records)}
        return replace(self, models=tuple(known[name] for name in order if name in known))


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Returns the versions of everything that could change a trained weight or a picture."""
    return {package: importlib.metadata.version(package) for package in packages}


def machine() -> str:
    """Returns the kind of processor: system, architecture and the vector units that torch uses."""
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.system()} {platform.machine()} {capability}"


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest; raises FileNotFoundError if there is none."""
    raw = json.loads(path.read_text())
    return Manifest(**{**raw, "models": tuple(ModelRecord(**model) for model in raw["models"])})


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest, ordered so that two of them compare line by line."""
    path.write_text(json.dumps(asdict(manifest), indent=1) + "\n")

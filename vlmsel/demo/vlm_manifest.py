"""The record of how the embedded generative models were made: `vlm_manifest.json`."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vlmsel.demo.manifest import ModelRecord

VLM_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True)
class VlmManifest:
    """All records, in the order of the zoo.

    Attributes:
        test_pictures: pictures per task behind the accuracies.
        test_seed: of these pictures.
        models: one record each; `accuracy` is the share of pictures whose most probable option is
            right, per task of `vlmsel.demo.demo_questions`.
    """

    test_pictures: int
    test_seed: int
    models: tuple[ModelRecord, ...]

    def record(self, model: str) -> ModelRecord | None:
        """Return the record of a model, None if there is none."""
        return next((record for record in self.models if record.model == model), None)

    def with_records(self, records: list[ModelRecord], order: list[str]) -> "VlmManifest":
        """Return the manifest with these records in place of older ones of the same models."""
        known = {record.model: record for record in (*self.models, *records)}
        return replace(self, models=tuple(known[name] for name in order if name in known))


def read_vlm_manifest(path: Path) -> VlmManifest:
    """Read a manifest; raises FileNotFoundError if there is none."""
    raw = json.loads(path.read_text())
    return VlmManifest(**{**raw, "models": tuple(ModelRecord(**model) for model in raw["models"])})


def write_vlm_manifest(path: Path, manifest: VlmManifest) -> None:
    """Write a manifest, ordered so that two of them compare line by line."""
    path.write_text(json.dumps(asdict(manifest), indent=1) + "\n")

"""Parameters of a model's visual tower, without loading it."""

import json
import math
from pathlib import Path

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec

VISUAL = "visual."
LONGEST_HEADER = 100 * 2**20


def count_parameters(spec: ModelSpec) -> int | None:
    """Parameters of the visual tower; None where they cannot be known without loading the model.

    A local checkpoint says them in its safetensors header; an architecture of open_clip by its
    name.
    """
    spec = spec.base
    if spec.encoder is not None:
        return None
    if spec.weights is not None:
        return _count_in_checkpoint(Path(spec.weights))
    # Imported here: it imports torch.
    from vlmsel.zoo.architecture_facts import describe_model

    try:
        return describe_model(spec.model).parameters
    except ModelError:
        return None


def _count_in_checkpoint(path: Path) -> int | None:
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if len(files) != 1 or files[0].suffix != ".safetensors":
        return None
    try:
        with files[0].open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= LONGEST_HEADER else {}
        tensors = [found for name, found in header.items() if name.startswith(VISUAL)]
        return sum(math.prod(found["shape"]) for found in tensors) or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None

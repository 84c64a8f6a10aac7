"""Models of transformers, loaded whole: every weight of a folder, and none that is not there."""

from pathlib import Path
from typing import Any

import torch

from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.checkpoint import CHECKPOINT_ERRORS
from vlmsel.zoo.folder_rules import SAFE_OPTIONS

BUILD_ERRORS = (*CHECKPOINT_ERRORS, ImportError, NotImplementedError)


def load_whole(auto_class: Any, spec: ModelSpec, folder: Path, longest: int | None = None) -> Any:
    """Build a model of a folder in float32, from safetensors; no code of the folder is run.

    Args:
        auto_class: of transformers, as `AutoModel`.
        spec: the model, for messages.
        folder: as transformers saved it.
        longest: characters of what transformers says, at most.

    Raises:
        ModelError: it cannot be loaded, or its weights are not those of its architecture.
    """
    options: dict[str, Any] = {**SAFE_OPTIONS, "use_safetensors": True, "dtype": torch.float32}
    try:
        model, found = auto_class.from_pretrained(folder, output_loading_info=True, **options)
    except BUILD_ERRORS as error:
        reason = first_line(error, longest)
        raise ModelError(f"{spec.name}: {folder} cannot be loaded: {reason}") from error
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        names = sorted(str(key) for key in found.get(what) or ())
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(
                f"{spec.name}: its weights do not fit its {type(model).__name__}: "
                f"{what.replace('_', ' ')} {names[0]}{more}"
            )
    return model

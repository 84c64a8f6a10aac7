"""Does a checkpoint fit its architecture? Checked without running code from the file."""

import pickle
import re
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec

CHECKPOINT_ERRORS = (
    RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError, EOFError,
    AssertionError, pickle.UnpicklingError, SafetensorError,
)  # fmt: skip
SHOWN_KEYS = 3
QUOTED = re.compile(r'"([^"]+)"')
SIZES = re.compile(r"size mismatch for ([^:]+): .*?\[([\d, ]*)\].*?\[([\d, ]*)\]")
Shapes = dict[str, tuple[int, ...]]


def read_shapes(name: str, path: Path) -> Shapes:
    """Names and shapes of the tensors in a checkpoint, without reading their values.

    Raises:
        ModelError: corrupt, not a checkpoint, or one that would need code to be run.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        # Only zip archives (torch >= 1.6) can be mapped instead of read.
        mapped = zipfile.is_zipfile(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except CHECKPOINT_ERRORS as error:
        raise ModelError(f"{name}: {path} is not a readable checkpoint: {_reason(error)}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{name}: {path} holds no state dict (names and tensors)")
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)}
    return {key.removeprefix("module."): tuple(value.shape) for key, value in tensors.items()}


def check_position_grid(name: str, path: Path, shapes: Shapes, model: nn.Module) -> None:
    """Refuse a checkpoint of another image size: open_clip would resize its positions in silence.

    Raises:
        ModelError: names the key and both shapes.
    """
    key = "visual.positional_embedding"
    wanted = dict(model.named_parameters()).get(key)
    if wanted is not None and key in shapes and shapes[key] != tuple(wanted.shape):
        msg = (
            f"{name}: {path} does not fit its architecture: {key} is {list(shapes[key])} in the "
            f"checkpoint, {list(wanted.shape)} in the model (another image or patch size)"
        )
        raise ModelError(msg)


def misfit(spec: ModelSpec, path: Path, error: BaseException) -> str:
    """One line from torch's many: the first missing, unexpected and differently shaped keys."""
    text = str(error)
    parts = []
    for label in ("Missing", "Unexpected"):
        if match := re.search(rf"{label} key\(s\) in state_dict: (.*)", text):
            parts.append(f"{label.lower()} {_first(QUOTED.findall(match[1]))}")
    if sizes := SIZES.findall(text):
        shown = [f"{key} is [{found}] in the checkpoint, [{own}] here" for key, found, own in sizes]
        parts.append(_first(shown))
    reason = "; ".join(parts) or _reason(error)
    return f"{spec.name}: {path} does not fit architecture '{spec.model}': {reason}"


def _first(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN_KEYS} more" if len(items) > SHOWN_KEYS else ""
    return ", ".join(items[:SHOWN_KEYS]) + more


def _reason(error: BaseException) -> str:
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript archive, which is code; save its state_dict as safetensors"
    if isinstance(error, pickle.UnpicklingError):
        return "it is not a plain state dict (loading it could run code); save it as safetensors"
    return (text.splitlines() or [type(error).__name__])[0]

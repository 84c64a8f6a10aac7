"""Check that a checkpoint fits its architecture, without running code from the file."""

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
LFS_POINTER = b"version https://git-lfs.github.com/"
QUOTED = re.compile(r'"([^"]+)"')
SIZES = re.compile(r"size mismatch for ([^:]+): .*?\[([\d, ]*)\].*?\[([\d, ]*)\]")
BIAS = "logit_bias"
# Keys that open_clip would resize, and what another shape means. All others are loaded strictly.
RESIZED = {
    "visual.positional_embedding": "another image or patch size",
    "positional_embedding": "another length of texts",
}
Shapes = dict[str, tuple[int, ...]]


def read_shapes(name: str, path: Path) -> Shapes:
    """Names and shapes of the tensors in a checkpoint, without reading their values.

    Raises:
        ModelError: corrupt, not a checkpoint, or one that would need code to be run.
    """
    if (foreign := _foreign_format(path)) is not None:
        raise ModelError(f"{name}: {path} is {foreign}")
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


def _foreign_format(path: Path) -> str | None:
    """Say what a file is that no reader of checkpoints knows, and what to do."""
    if path.suffix in (".npz", ".npy"):
        return "a NumPy archive; save its tensors as safetensors under open_clip's names"
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
    except OSError:
        return None
    if head == LFS_POINTER:
        return "a pointer of Git LFS, not the file: run `git lfs pull` where it was cloned"
    return None if head else "empty; copy it again"


def check_shapes(name: str, path: Path, shapes: Shapes, model: nn.Module) -> None:
    """Refuse what open_clip would mend in silence, or stumble over without a name.

    It resizes positions of images and of texts, takes 0 for a `logit_bias` that is not there, and
    has no place for one that the architecture lacks.

    Raises:
        ModelError: names the key and both shapes.
    """
    problem = f"{name}: {path} does not fit its architecture:"
    wanted = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    for key, reason in RESIZED.items():
        # Text towers of their own have a prefix, which old checkpoints lack.
        expected = wanted.get(key, wanted.get(f"text.{key}", ()))
        found = shapes.get(key, shapes.get(f"text.{key}", expected))
        if expected and found != expected:
            raise ModelError(
                f"{problem} {key} is {list(found)} in the checkpoint, {list(expected)} in the "
                f"model ({reason})"
            )
    if BIAS in wanted and BIAS not in shapes:
        raise ModelError(
            f"{problem} it holds no {BIAS}, which the model has; it was trained with another loss"
        )
    if BIAS in shapes and BIAS not in wanted:
        raise ModelError(
            f"{problem} it holds a {BIAS}, which the model has not (trained with the sigmoid "
            "loss?): add `init_logit_bias` to model_cfg in its open_clip_config.json"
        )


def misfit(spec: ModelSpec, path: Path, error: BaseException) -> str:
    """One line from torch's many: the first missing, unexpected and differently shaped keys."""
    text = str(error)
    parts = []
    for label in ("Missing", "Unexpected"):
        if match := re.search(rf"{label} key\(s\) in state_dict: (.*)", text):
            parts.append(f"{label.lower()} {_list_first(QUOTED.findall(match[1]))}")
    if sizes := SIZES.findall(text):
        shown = [
            f"{key} is [{found}] in the checkpoint, [{expected}] here"
            for key, found, expected in sizes
        ]
        parts.append(_list_first(shown))
    reason = "; ".join(parts) or _reason(error)
    return f"{spec.name}: {path} does not fit architecture '{spec.model}': {reason}"


def _list_first(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN_KEYS} more" if len(items) > SHOWN_KEYS else ""
    return ", ".join(items[:SHOWN_KEYS]) + more


def _reason(error: BaseException) -> str:
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript archive, which is code; save its state_dict as safetensors"
    if isinstance(error, pickle.UnpicklingError):
        return "it is not a plain state dict (loading it could run code); save it as safetensors"
    return (text.splitlines() or [type(error).__name__])[0]

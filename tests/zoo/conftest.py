"""A tiny CLIP in a local directory, made by open_clip itself."""

import copy
import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def tiny_state() -> dict[str, torch.Tensor]:
    """The weights of the tiny CLIP."""
    torch.manual_seed(0)
    return open_clip.CLIP(**copy.deepcopy(TINY)).state_dict()


@pytest.fixture
def tiny_dir(tmp_path: Path, tiny_state: dict[str, torch.Tensor]) -> Path:
    """A local directory as open_clip reads it: configuration and fp16 weights."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    document = {"model_cfg": TINY, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    halves = {key: value.half().contiguous() for key, value in tiny_state.items()}
    save_file(halves, folder / "open_clip_model.safetensors")
    return folder

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vlmsel.zoo import footprints
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.footprints import Footprint, footprint


def test_local_weights_count_in_fp32_whatever_they_are_stored_in(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(3, 4, dtype=torch.float16), "b": torch.zeros(5)}, path)
    for weights in (path, tmp_path):
        spec = ModelSpec(model="m", pretrained="x", weights=str(weights))
        assert footprint(spec) == Footprint(0, 4 * 17)


def test_what_the_hub_says_and_what_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        size = 1234

    spec = ModelSpec(model="RN50-quickgelu", pretrained="openai")
    monkeypatch.setattr(footprints.huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(footprints.huggingface_hub, "get_hf_file_metadata", lambda _: Answer())
    assert footprint(spec) == Footprint(1234, 1234)

    def away(_: str) -> None:
        raise OSError("away")

    monkeypatch.setattr(footprints.huggingface_hub, "get_hf_file_metadata", away)
    assert footprint(spec) == Footprint(None, None)
    assert footprint(ModelSpec(model="m", pretrained="x", encoder="a:b")) == Footprint(0, None)

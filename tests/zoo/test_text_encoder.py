import gzip
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.loader import load_model
from vlmsel.zoo.text_encoder import TextEncoder


def spec_of(folder: Path, **more: str) -> ModelSpec:
    return ModelSpec(model="tiny", pretrained="own", weights=str(folder), **more)


def test_text_embeddings_are_normalised_and_equal_open_clips(tiny_dir: Path) -> None:
    encode = load_model(spec_of(tiny_dir)).encode_text
    assert encode is not None
    texts = ["a cat", "a dog", "a photo of a house", "", "x"]
    found = encode(texts)
    name = f"local-dir:{tiny_dir}"
    reference = open_clip.create_model(name).eval()
    with torch.no_grad():
        expected = reference.encode_text(open_clip.get_tokenizer(name)(texts), normalize=True)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(5))
    assert not found.requires_grad
    in_batches = TextEncoder(spec_of(tiny_dir), reference, torch.device("cpu"), text_batch=2)
    torch.testing.assert_close(in_batches(texts), expected)


def test_own_merges_are_used(tmp_path: Path, tiny_dir: Path) -> None:
    merges = tmp_path / "merges.txt.gz"
    with gzip.open(merges, "wt") as file:
        file.write("#version\nc a\nca t</w>\n")
    encode = load_model(spec_of(tiny_dir, bpe_path=str(merges))).encode_text
    usual = load_model(spec_of(tiny_dir)).encode_text
    assert encode is not None
    assert usual is not None
    assert not torch.allclose(encode(["cat"]), usual(["cat"]))


def test_a_tokenizer_that_is_too_large_for_the_model_is_refused(tiny_dir: Path) -> None:
    config = tiny_dir / "open_clip_config.json"
    config.write_text(config.read_text().replace("49408", "300"))
    state_file = tiny_dir / "open_clip_model.safetensors"
    state = load_file(state_file)
    state["token_embedding.weight"] = state["token_embedding.weight"][:300].contiguous()
    save_file(state, state_file)
    encode = load_model(spec_of(tiny_dir)).encode_text
    assert encode is not None
    with pytest.raises(
        ModelError, match=r"gives token 49407, but the model knows 300; set `bpe_path`"
    ):
        encode(["a cat"])


def test_a_tokenizer_that_cannot_be_had_is_one_line(
    tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = load_model(spec_of(tiny_dir)).encode_text
    assert encode is not None

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no tokenizer files\nmore")

    monkeypatch.setattr(open_clip, "get_tokenizer", refuse)
    with pytest.raises(ModelError, match=r"cannot be loaded: no tokenizer files$"):
        encode(["a cat"])

"""Dual encoders of transformers: tiny ones, made from a configuration and saved to disk."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.zoo.providers.builders import (
    KINDS,
    SIZE,
    processor,
    save_dual_encoder,
    save_naflex,
    tokenizer,
)
from vlmsel.attribution import attribute, layer_conductance
from vlmsel.attribution.pair import open_prompts
from vlmsel.errors import ModelError
from vlmsel.extras import LIBRARIES
from vlmsel.settings import AttributionSettings
from vlmsel.zoo import functional_blocks, identify, load_model
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec, load_zoo
from vlmsel.zoo.providers.folders import provider_name

TEXTS = ["a photo of a cat", "a dog .", "red"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder per kind, with the model that was saved there."""
    root = tmp_path_factory.mktemp("saved")
    return {kind: (root / kind, save_dual_encoder(kind, root / kind)) for kind in KINDS}


def spec(folder: Path) -> ModelSpec:
    return ModelSpec(model=folder.name, pretrained="mine", weights=str(folder))


@pytest.fixture
def clip(saved, tmp_path) -> Path:
    """A copy of one folder, to be changed."""
    return Path(shutil.copytree(saved["clip"][0], tmp_path / "clip"))


def pictures():
    rng = np.random.default_rng(0)
    shapes = ((20, 30, 3), (40, 24, 3), (16, 16, 3))
    return [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_models_own_forward(saved, kind):
    folder, model = saved[kind]
    loaded = load_model(spec(folder))
    assert loaded.encode_text is not None
    assert loaded.image_size == (SIZE, SIZE)
    images = torch.stack([loaded.transform(image) for image in pictures()])
    inputs = processor(kind)(images=pictures(), return_tensors="pt")
    assert torch.equal(images, inputs["pixel_values"])
    words = tokenizer(kind)(TEXTS, padding="max_length", max_length=12, return_tensors="pt")
    assert ("attention_mask" in words) == (kind != "siglip_2")
    names = [name for name in ("input_ids", "attention_mask") if name in words]
    with torch.no_grad():
        output = model(pixel_values=inputs["pixel_values"], **{name: words[name] for name in names})
        vectors = loaded.encode_image(images)
        cosine = torch.nn.functional.normalize(vectors, dim=-1) @ loaded.encode_text(TEXTS).T
    logits = loaded.logit_scale * cosine + loaded.logit_bias
    torch.testing.assert_close(logits, output.logits_per_image, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_capabilities_and_blocks(saved, kind):
    loaded = load_model(spec(saved[kind][0]))
    assert loaded.capabilities == {
        Capability.image_embedding,
        Capability.text_embedding,
        Capability.blocks,
    }
    blocks = functional_blocks(loaded.visual)
    assert len(blocks) >= 2
    assert not [name for name, _ in blocks if "text" in name]
    images = torch.stack([loaded.transform(image) for image in pictures()])
    found = layer_conductance(
        lambda x: loaded.encode_image(x).norm(dim=-1), images, blocks, n_steps=4, rule="trapezoid"
    )
    assert found.scores.shape == (3, len(blocks))
    assert np.isfinite(np.asarray(found.scores)).all()
    assert (np.asarray(found.scores) > 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_of_image_and_text_flows_through_both_towers(saved, kind):
    loaded = load_model(spec(saved[kind][0]))
    texts = [("a photo of a cat", "cat"), ("a dog .", "dog")]
    # Not from zeros, which the small ALIGN embeds as zero, where a cosine jumps.
    chosen = AttributionSettings(
        objective="score-class", tower="both", rule="trapezoid", n_steps=65, baseline="blur"
    )
    images = torch.stack([loaded.transform(image) for image in pictures()])
    assert loaded.encode_text is not None
    classes = torch.stack([loaded.encode_text(some).mean(0) for some in texts])
    prompts = open_prompts(loaded, chosen, texts)
    found = attribute(loaded, images, chosen, text=classes, prompts=prompts)
    assert found.failures == {}
    assert sum(name.startswith("text.") for name in found.names) >= 1
    assert sum(not name.startswith("text.") for name in found.names) >= 1
    assert all(found.cuts)
    assert found.completeness_error.max() < 0.05


def test_identity_is_by_weights_tokenizer_and_processor(saved, clip, tmp_path):
    first = identify(spec(clip))
    assert identify(spec(saved["clip"][0])).digest == first.digest
    changed = {}
    for name in ("tokenizer.json", "preprocessor_config.json", "config.json"):
        folder = Path(shutil.copytree(clip, tmp_path / name))
        document = json.loads((folder / name).read_text())
        if name == "tokenizer.json":
            document["model"]["vocab"]["cat"], document["model"]["vocab"]["dog"] = 8, 7
        else:
            key = "rescale_factor" if "processor" in name else "initializer_factor"
            document[key] = 0.5
        (folder / name).write_text(json.dumps(document))
        changed[name] = identify(spec(folder))
    folder = Path(shutil.copytree(clip, tmp_path / "weights"))
    tensors = load_file(folder / "model.safetensors")
    tensors["logit_scale"] = tensors["logit_scale"] + 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    changed["weights"] = identify(spec(folder))
    digests = {first.digest, *(identity.digest for identity in changed.values())}
    assert len(digests) == 5
    assert changed["tokenizer.json"].preprocessing == first.preprocessing
    assert changed["preprocessor_config.json"].architecture == first.architecture


def test_notes_of_whoever_saved_it_are_no_part_of_it(clip):
    first = identify(spec(clip))
    document = json.loads((clip / "config.json").read_text())
    document |= {"transformers_version": "4.0", "_name_or_path": "/home/me/x"}
    (clip / "config.json").write_text(json.dumps(document))
    assert identify(spec(clip)).digest == first.digest


def test_a_folder_is_recognised(clip, tmp_path):
    assert provider_name(spec(clip)) == "transformers"
    assert provider_name(ModelSpec(model="RN50", pretrained="openai")) == "open_clip"
    (tmp_path / "zoo.yaml").write_text("models: [{model: a, pretrained: b, weights: clip}]")
    assert load_model(load_zoo(tmp_path / "zoo.yaml").models[0]).encode_text is not None


def write(folder: Path, name: str, **values: object) -> None:
    document = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(document | values))


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "only safetensors are read"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "no image processor in"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer in"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "cannot be loaded"),
        (lambda f: write(f, "config.json", auto_map={"AutoModel": "a.B"}), "auto_map"),
        (lambda f: write(f, "config.json", model_type="bert"), "do not fit|no dual encoder"),
        (lambda f: write(f, "config.json", model_type="nothing-known"), "cannot be loaded"),
        (lambda f: write(f, "config.json", projection_dim=9), "do not fit|cannot be loaded"),
        (lambda f: write(f, "preprocessor_config.json", do_center_crop=False), "one size"),
        (lambda f: (f / "config.json").write_text("[]"), "must be a mapping"),
        (lambda f: write(f, "config.json", transformers_weights="x.safetensors"), "call the file"),
    ],
)
def test_a_damaged_folder_is_one_line(clip, break_it, reason):
    break_it(clip)
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(spec(clip))
    assert "\n" not in str(caught.value)


def test_missing_weights_are_named(clip):
    tensors = load_file(clip / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing keys visual_projection\.weight"):
        load_model(spec(clip))


def test_a_model_of_variable_resolution_is_refused(tmp_path):
    save_naflex(tmp_path / "naflex")
    with pytest.raises(ModelError, match="SigLIP 2 naflex, is not supported"):
        load_model(spec(tmp_path / "naflex"))


def test_without_the_package_the_install_line_is_said(clip, monkeypatch):
    monkeypatch.setitem(LIBRARIES, "transformers", ("no_such_package",))
    for look in (identify, load_model):
        with pytest.raises(ModelError, match=r"pip install 'vlmsel\[transformers\]'"):
            look(spec(clip))


def test_a_repository_that_is_not_here_is_one_line():
    hub = ModelSpec(model="nobody/nothing", pretrained="main", provider="transformers")
    with pytest.raises(ModelError, match="no download from the hub"):
        identify(hub)


def test_sharded_weights_are_one_model(clip, saved, tmp_path):
    _, model = saved["clip"]
    folder = Path(shutil.copytree(clip, tmp_path / "sharded"))
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="8KB")
    assert (folder / "model.safetensors.index.json").is_file()
    loaded, whole = load_model(spec(folder)), load_model(spec(clip))
    assert loaded.encode_text is not None
    assert whole.encode_text is not None
    assert torch.equal(loaded.encode_text(TEXTS), whole.encode_text(TEXTS))
    write(folder, "model.safetensors.index.json", weight_map={"a": "../x.safetensors"})
    with pytest.raises(ModelError, match="names the file"):
        identify(spec(folder))


def test_weights_in_one_file_and_in_shards_are_refused(clip, saved, tmp_path):
    # transformers takes the one file, whatever the index of shards names.
    saved["clip"][1].save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    for path in (tmp_path / "shards").glob("model*"):
        shutil.copy(path, clip)
    for look in (identify, load_model):
        with pytest.raises(ModelError, match="remove the one that is not meant"):
            look(spec(clip))

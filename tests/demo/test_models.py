"""The embedded models: what lies in the package is what the manifest says, and it works."""

import hashlib
import json
import socket

import open_clip
import pytest
import torch
import yaml

from vlmsel.demo import MANIFEST, ZOO, demo_checkpoint
from vlmsel.demo.families import demo_task, demo_tasks, draw
from vlmsel.demo.manifest import read_manifest
from vlmsel.demo.recipes import RECIPES, recipe
from vlmsel.demo.vocabulary import BPE_FILE, write_vocabulary
from vlmsel.demo.zeroshot import accuracy, normalise, stack

MODELS = ZOO.parent / "models"
RECORDS = read_manifest(MANIFEST).models
NAMES = [record.model for record in RECORDS]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_, **__):
        raise AssertionError("the demo models need no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer():
    return demo_checkpoint.load_tokenizer(MODELS / BPE_FILE)


def test_recipes_manifest_catalog_and_folders_name_the_same_models():
    catalog = yaml.safe_load(ZOO.read_text())["models"]
    assert [known.name for known in RECIPES] == NAMES
    assert [entry["model"] for entry in catalog] == NAMES
    assert sorted(NAMES) == sorted(path.name for path in MODELS.iterdir() if path.is_dir())
    for entry in catalog:
        assert (ZOO.parent / entry["weights"] / demo_checkpoint.WEIGHTS_FILE).is_file()
        assert (ZOO.parent / entry["bpe_path"]).is_file()


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
def test_weights_are_the_recorded_ones(record):
    saved = demo_checkpoint.inspect(MODELS / record.model)
    assert (saved.sha256, saved.size) == (record.sha256, record.size_bytes)


def test_the_zoo_is_small():
    size = sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file())
    assert size < 8_000_000


@pytest.mark.parametrize("name", NAMES)
def test_configuration_is_the_recipes(name: str):
    config = json.loads((MODELS / name / demo_checkpoint.CONFIG_FILE).read_text())
    assert config["model_cfg"] == recipe(name).model_cfg


@pytest.mark.parametrize("name", NAMES)
def test_model_loads_and_embeds_without_network(name: str):
    folder = MODELS / name
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pictures, _ = draw(demo_task("land-a"), split="test", n=2, seed=3)
    inputs = torch.stack([transform(picture) for picture in pictures])
    torch.testing.assert_close(inputs, normalise(stack(pictures)))
    with torch.inference_mode():
        vectors = model.eval().encode_image(inputs)
    assert vectors.shape == (2, 48)
    assert torch.isfinite(vectors).all()
    assert vectors.std() > 0


@pytest.mark.parametrize("name", ["demo-vit-faces", "demo-convnext-textures"])
@pytest.mark.parametrize("task_name", ["faces-b", "textures-a", "letters-a"])
def test_recorded_accuracy_is_what_is_measured(name: str, task_name: str, tokenizer):
    manifest = read_manifest(MANIFEST)
    measured = accuracy(
        demo_checkpoint.load(MODELS / name),
        tokenizer,
        demo_task(task_name),
        split="test",
        n=manifest.test_pictures,
        seed=manifest.test_seed,
    )
    recorded = manifest.record(name).accuracy[task_name]
    # Two pictures of two hundred may flip with another version of torch or Pillow.
    assert measured == pytest.approx(recorded, abs=0.0101)


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
def test_model_is_good_at_what_it_was_made_for(record):
    made = recipe(record.model)
    accuracies = [
        record.accuracy[task.name] for task in demo_tasks() if task.family in made.required
    ]
    assert sum(accuracies) / len(accuracies) >= made.learned - 0.05


def test_vocabulary_is_made_the_same_again(tmp_path, tokenizer):
    again = write_vocabulary(tmp_path / BPE_FILE).read_bytes()
    assert again == (MODELS / BPE_FILE).read_bytes()
    assert hashlib.sha256(again).hexdigest() == read_manifest(MANIFEST).bpe_sha256
    assert tokenizer.vocab_size == 924


def test_no_caption_is_cut(tokenizer):
    captions = [
        template.format(classname)
        for task in demo_tasks()
        for template in task.templates
        for classname in task.classnames
    ]
    assert max(len(tokenizer.encode(caption)) + 2 for caption in captions) <= 32

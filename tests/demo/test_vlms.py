"""The embedded generative models: what lies in the package is what the manifest says."""

import socket

import pytest
import torch
import yaml

from vlmsel.demo import VLM_MANIFEST, VLM_ZOO
from vlmsel.demo.demo_checkpoint import hash_weights
from vlmsel.demo.demo_questions import demo_question, demo_questions, draw_items
from vlmsel.demo.vlm_folder import VLM_WEIGHTS, load_vlm
from vlmsel.demo.vlm_lessons import question_accuracy
from vlmsel.demo.vlm_manifest import read_vlm_manifest
from vlmsel.demo.vlm_recipes import VLM_RECIPES, vlm_recipe

MODELS = VLM_ZOO.parent / "vlms"
RECORDS = read_vlm_manifest(VLM_MANIFEST).models
NAMES = [record.model for record in RECORDS]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_, **__):
        raise AssertionError("the demo models need no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_recipes_manifest_catalog_and_folders_name_the_same_models():
    catalog = yaml.safe_load(VLM_ZOO.read_text())["models"]
    assert [known.name for known in VLM_RECIPES] == NAMES
    assert [entry["model"] for entry in catalog] == NAMES
    assert sorted(NAMES) == sorted(path.name for path in MODELS.iterdir())
    for entry in catalog:
        assert (VLM_ZOO.parent / entry["weights"] / VLM_WEIGHTS).is_file()
    for record in RECORDS:
        assert set(record.accuracy) == {question.name for question in demo_questions()}


def test_weights_are_the_recorded_ones_and_small():
    for record in RECORDS:
        saved = hash_weights(MODELS / record.model / VLM_WEIGHTS)
        assert (saved.sha256, saved.size) == (record.sha256, record.size_bytes)
    size = sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file())
    assert size < 3_200_000


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
def test_a_model_loads_offline_and_is_as_good_as_recorded(record):
    model, processor = load_vlm(MODELS / record.model)
    manifest = read_vlm_manifest(VLM_MANIFEST)
    made = vlm_recipe(record.model)
    for name in made.required[:2]:
        measured = question_accuracy(
            model, demo_question(name), n=manifest.test_pictures, seed=manifest.test_seed
        )
        # Two pictures of two hundred may flip with another version of torch or Pillow.
        assert measured == pytest.approx(record.accuracy[name], abs=0.0101)
    accuracies = [record.accuracy[name] for name in made.required]
    assert sum(accuracies) / len(accuracies) >= made.learned - 0.05
    assert _generates_options(model, processor, made.required[0]) >= 0.9


def _generates_options(model, processor, name: str) -> float:
    """Share of 20 pictures for which free generation says just one option, and ends."""
    question = demo_question(name)
    images, _ = draw_items(question, split="test", n=20, seed=0)
    inputs = processor(
        text=[f"<image> {question.text}"] * 20,
        images=[[image] for image in images],
        return_tensors="pt",
    )
    with torch.inference_mode():
        told = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    new = told[:, inputs["input_ids"].shape[1] :]
    answers = processor.tokenizer.batch_decode(new, skip_special_tokens=True)
    return sum(answer.strip() in question.options for answer in answers) / 20

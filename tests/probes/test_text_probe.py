"""Text probes: what is encoded, and models that tell texts not apart or encode none."""

from dataclasses import replace

import pytest
import torch

from vlmsel.errors import ModelError
from vlmsel.measurements import Text
from vlmsel.probes.batch import Batch, TextBatch
from vlmsel.probes.text_probe import TextProbe
from vlmsel.zoo.catalog import load_zoo
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_model

WORDS = ("a cat", "a dog")


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(load_zoo("demo").find("demo-vit-digits"))


def probe(model: LoadedModel, words: tuple[str, ...] = WORDS):
    return TextProbe(Text()).measure(TextBatch(model, words, ["0"] * len(words)))


def test_every_text_has_its_vector(model):
    found = probe(model)
    assert list(found.images) == [0, 1]
    assert found.columns["text"].to_pylist() == list(WORDS)
    expected = model.encode_text(list(WORDS)).detach()
    torch.testing.assert_close(torch.tensor(found.columns["vector"].to_pylist()), expected)


def test_a_model_without_a_text_tower_is_refused(model):
    with pytest.raises(ModelError, match="encodes no text"):
        probe(replace(model, encode_text=None))
    with pytest.raises(ModelError, match="this batch holds images"):
        TextProbe(Text()).measure(Batch(model, None, ["0"]))


def test_one_vector_for_all_texts_is_refused_and_others_fail_alone(model):
    same = replace(model, encode_text=lambda texts: torch.ones(len(texts), 4))
    with pytest.raises(ModelError, match="all 2 texts have the same embedding"):
        probe(same)
    rows = torch.tensor([[1.0, 0.0], [float("nan"), 1.0], [0.0, 0.0]])
    bad = replace(model, encode_text=lambda texts: rows[: len(texts)])
    found = probe(bad, ("a", "b", "c"))
    assert list(found.images) == [0]
    assert set(found.failures) == {1, 2}

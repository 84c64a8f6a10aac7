"""Names of layers: what is read, what is refused."""

import pytest

from vlmsel.errors import CatalogError, SettingsError
from vlmsel.zoo.catalog import ModelSpec, load_zoo
from vlmsel.zoo.layer_name import LayerName, split_variant


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vision.0", LayerName("vision", 0)),
        ("text.17", LayerName("text", 17)),
        ("vision.3.attention", LayerName("vision", 3, "attention")),
        ("text.2.uniform-weights", LayerName("text", 2, "uniform-weights")),
    ],
)
def test_a_name_is_read_and_written_alike(text, name):
    assert LayerName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text", ["vision", "vision.", "vison.1", "vision.01", "vision.-1", "vision.1.head", "1", ""]
)
def test_what_names_no_layer_says_how_to_name_it(text):
    with pytest.raises(SettingsError, match=r"names no layer: write TOWER\.NUMBER.*vision\.0"):
        LayerName.parse(text)


def test_a_variant_is_a_model_and_a_layer_and_an_own_name_is_not():
    assert split_variant("ViT-B-32@vision.0") == ("ViT-B-32", "vision.0")
    assert split_variant("a@b@text.1.mlp") == ("a@b", "text.1.mlp")
    assert split_variant("mine@home") == ("mine@home", "")
    spec = ModelSpec(model="ViT-B-32@vision.0", pretrained="openai")
    assert spec.silenced == LayerName("vision", 0)
    assert spec.base == ModelSpec(model="ViT-B-32", pretrained="openai")
    assert spec.name == "ViT-B-32@vision.0/openai"
    named = ModelSpec(model="mine@home", pretrained="x")
    assert named.silenced is None
    assert named.base is named


def test_a_catalog_with_an_unknown_layer_is_refused_in_one_line(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text("models:\n  - model: ViT-B-32@visoin.0\n    pretrained: openai\n")
    with pytest.raises(CatalogError, match=r"visoin\.0' names no layer: write TOWER") as caught:
        load_zoo(path)
    assert "\n" not in str(caught.value)

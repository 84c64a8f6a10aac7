from pathlib import Path

import open_clip
import pytest

from vlmsel.errors import CatalogError, ModelError
from vlmsel.zoo.catalog import ModelSpec, Zoo, load_zoo
from vlmsel.zoo.identity import identify
from vlmsel.zoo.open_clip_tables import tag_config


def test_paths_are_made_absolute_against_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "zoo.yaml").write_text(
        "models:\n"
        "  - {model: a, pretrained: x, weights: models/a, bpe_path: /merges.txt, memory_gb: 2}\n"
        "  - {model: b, pretrained: x}\n"
    )
    first, second = load_zoo(tmp_path / "zoo.yaml").models
    assert first.weights == str(tmp_path.resolve() / "models" / "a")
    assert first.bpe_path == "/merges.txt"
    assert first.memory_gb == 2.0
    assert second == ModelSpec(model="b", pretrained="x")
    assert second.name == "b/x"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{model: a, pretrain: x}", "key 'pretrained': Field required|did you mean pretrained"),
        ("{model: a, pretrained: x, weight: w}", "unknown key 'weight'; did you mean weights?"),
        ("{model: a, pretrained: 1}", "key 'pretrained': Input should be a valid string"),
        ("{model: '', pretrained: x}", "key 'model'"),
        ("{model: a, pretrained: x, memory_gb: 0}", "key 'memory_gb'.* greater than 0"),
        ("{model: a, pretrained: x, encoder: os.system}", "key 'encoder'"),
        ("{model: " + "é" * 43 + ", pretrained: x}", "too long: .* 260 bytes there, of 255"),
        ("{model: a, pretrained: x}, {model: a, pretrained: x}", "two models of one name: a/x"),
    ],
)
def test_impossible_entries_are_refused(tmp_path: Path, entry: str, reason: str) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text(f"models: [{entry}]")
    with pytest.raises(CatalogError, match=reason) as caught:
        load_zoo(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_shipped_names_list_the_shipped_ones() -> None:
    with pytest.raises(CatalogError, match=r"no zoo 'papers'.*demo, demo-vlm, paper.*mean paper"):
        load_zoo("papers")
    with pytest.raises(CatalogError, match=r"none\.yaml does not exist"):
        load_zoo("none.yaml")


def test_find_takes_names_and_suggests_the_nearest() -> None:
    a, b, c = (
        ModelSpec(model=m, pretrained=p) for m, p in (("RN50", "x"), ("ViT", "x"), ("ViT", "y"))
    )
    zoo = Zoo(models=(a, b, c))
    assert zoo.find("ViT", "y") is c
    assert zoo.find("ViT/y") is c
    assert zoo.find("RN50") is a
    with pytest.raises(ModelError, match="several tags in this zoo: x, y"):
        zoo.find("ViT")
    with pytest.raises(ModelError, match="'RN51/x' is not in this zoo; did you mean RN50/x"):
        zoo.find("RN51", "x")


def test_the_paper_zoo_can_be_run_as_it_is() -> None:
    zoo = load_zoo("paper")
    assert len(zoo.models) == 48
    # tag_config refuses unknown names and tags and wrong activations.
    where = [tag_config(spec.model, spec.pretrained)["hf_hub"] for spec in zoo.models]
    assert len(set(where)) == 48, "two names of one checkpoint"
    assert {spec.model for spec in zoo.models} <= set(open_clip.list_models())


def test_the_paper_zoo_has_one_of_each_published_pair() -> None:
    names = {spec.name for spec in load_zoo("paper").models}
    assert "RN101-quickgelu/openai" in names
    assert "RN101/openai" not in names
    assert "ViT-B-16-quickgelu/dfn2b" in names
    assert "ViT-B-16/dfn2b" not in names


def test_weights_go_by_the_name_they_were_given(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0f3a").write_bytes(b"")
    (tmp_path / "model.safetensors").symlink_to("blobs/0f3a")
    (tmp_path / "z.yaml").write_text(
        "models: [{model: m, pretrained: p, weights: model.safetensors}]"
    )
    assert load_zoo(tmp_path / "z.yaml").models[0].weights == str(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("s3://bucket/x.pt", "m/p: weights s3://bucket/x.pt is an address, and a local file"),
        ("s3:/bucket/x.pt", "m/p: weights s3:/bucket/x.pt: write s3:// with two slashes"),
        ("''", "m/p: weights: the name is empty"),
        ("https://host/x.pt", "https:// is unknown"),
    ],
)
def test_weights_are_local_and_fail_their_model_alone(
    tmp_path: Path, weights: str, message: str
) -> None:
    (tmp_path / "z.yaml").write_text(f"models: [{{model: m, pretrained: p, weights: {weights}}}]")
    (spec,) = load_zoo(tmp_path / "z.yaml").models
    with pytest.raises(ModelError, match=message):
        identify(spec)


def test_a_name_of_a_hub_is_answered_with_the_way_that_exists() -> None:
    with pytest.raises(ModelError, match=r"hf download org/x --local-dir FOLDER.*weights: FOLDER"):
        tag_config("hf-hub:org/x", "y")


def test_a_saved_model_is_a_zoo(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="is a folder without open_clip_config"):
        load_zoo(tmp_path)
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (only,) = load_zoo(folder).models
    assert only == ModelSpec(model="my model", pretrained="local", weights=str(folder))

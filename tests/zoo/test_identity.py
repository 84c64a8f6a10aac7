import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
from open_clip.transform import PreprocessCfg

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import PREPROCESS_DEFAULTS, ModelIdentity, configuration, identify
from vlmsel.zoo.weights import hub_sha256


def local(folder: Path, **more: Any) -> ModelSpec:
    return ModelSpec(model="tiny", pretrained="own", weights=str(folder), **more)


def edit_config(folder: Path, section: str, **values: Any) -> None:
    path = folder / "open_clip_config.json"
    document = json.loads(path.read_text())
    document[section] |= values
    path.write_text(json.dumps(document))


def test_a_directory_is_identified_by_its_content_not_its_place(
    tmp_path: Path, tiny_dir: Path
) -> None:
    first = identify(local(tiny_dir))
    moved = tmp_path / "elsewhere"
    tiny_dir.rename(moved)
    assert identify(local(moved)) == first
    assert first.activation == "gelu"
    assert len(first.weights_sha256) == 64
    assert len(first.digest) == 16


@pytest.mark.parametrize(
    ("section", "change", "part"),
    [
        ("model_cfg", {"quick_gelu": True}, "activation"),
        ("model_cfg", {"embed_dim": 8}, "architecture"),
        ("preprocess_cfg", {"interpolation": "bicubic"}, "preprocessing"),
    ],
)
def test_every_part_of_the_configuration_counts(
    tiny_dir: Path, section: str, change: dict[str, Any], part: str
) -> None:
    before = identify(local(tiny_dir))
    edit_config(tiny_dir, section, **change)
    after = identify(local(tiny_dir))
    assert getattr(after, part) != getattr(before, part)
    assert after.digest != before.digest


def test_weights_and_merges_count(tmp_path: Path, tiny_dir: Path) -> None:
    before = identify(local(tiny_dir))
    weights = tiny_dir / "open_clip_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    after = identify(local(tiny_dir))
    assert after.weights_sha256 != before.weights_sha256
    assert after.architecture == before.architecture
    merges = tmp_path / "merges.txt"
    merges.write_text("a b")
    assert identify(local(tiny_dir, bpe_path=str(merges))).architecture != after.architecture


def test_an_explicit_default_is_the_same_preprocessing(
    tiny_dir: Path,
) -> None:
    before = identify(local(tiny_dir)).preprocessing
    edit_config(tiny_dir, "preprocess_cfg", resize_mode="shortest", mode="RGB")
    assert identify(local(tiny_dir)).preprocessing == before


def test_our_preprocessing_defaults_are_open_clips() -> None:
    theirs = {k: v for k, v in vars(PreprocessCfg()).items() if k != "size"}
    assert theirs == PREPROCESS_DEFAULTS


def test_a_file_under_a_tags_name_is_that_tag(tmp_path: Path) -> None:
    file = tmp_path / "openai.pt"
    file.write_bytes(b"weights")
    spec = ModelSpec(model="ViT-B-32-quickgelu", pretrained="openai", weights=str(file))
    assert identify(spec).activation == "quick_gelu"
    wrong = spec.model_copy(update={"model": "ViT-B-32"})
    with pytest.raises(ModelError, match="use model 'ViT-B-32-quickgelu'"):
        identify(wrong)
    siglip = ModelSpec(model="ViT-B-16-SigLIP", pretrained="webli", weights=str(file))
    tuned = siglip.model_copy(update={"pretrained": "own"})
    assert configuration(siglip)[1]["mean"] == (0.5, 0.5, 0.5)
    assert configuration(tuned)[1] == configuration(siglip)[1]


@pytest.mark.parametrize(
    "model", ["ViT-B-16-SigLIP", "MobileCLIP-S1", "ViT-L-14-CLIPA", "coca_ViT-B-32"]
)
def test_a_file_of_ones_own_has_the_preprocessing_that_all_tags_share(
    tmp_path: Path, model: str
) -> None:
    (tmp_path / "epoch.pt").write_bytes(b"x")
    tags = open_clip.list_pretrained_tags_by_model(model)
    tuned = ModelSpec(model=model, pretrained="tuned", weights=str(tmp_path / "epoch.pt"))
    preprocess = configuration(tuned)[1]
    for tag in tags:
        assert preprocess == configuration(ModelSpec(model=model, pretrained=tag))[1]


def test_a_file_of_an_architecture_whose_tags_differ_must_say_its_preprocessing(
    tmp_path: Path,
) -> None:
    (tmp_path / "epoch.pt").write_bytes(b"x")
    tuned = ModelSpec(model="ViT-L-14", pretrained="tuned", weights=str(tmp_path / "epoch.pt"))
    with pytest.raises(ModelError, match=r"differ in their preprocessing \(mean, std\).*epoch\.pt"):
        configuration(tuned)
    # As the message says.
    named = tuned.model_copy(update={"pretrained": "laion2b_s32b_b82k"})
    assert configuration(named)[1]["mean"] == (0.5, 0.5, 0.5)


def test_a_tag_is_identified_by_the_hubs_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(spec: ModelSpec, tag: dict[str, Any]) -> str:
        return f"sha of {tag['hf_hub']}"

    monkeypatch.setattr("vlmsel.zoo.identity.hub_sha256", known)
    assert hub_sha256 is not known
    found = identify(ModelSpec(model="ViT-B-32", pretrained="laion2b_e16"))
    assert found.weights_sha256 == "sha of timm/vit_base_patch32_clip_224.laion2b_e16/"


@pytest.mark.parametrize("text", ["{", "[]", '{"model_cfg": {"embed_dim": 1}}'])
def test_a_broken_configuration_is_named(tiny_dir: Path, text: str) -> None:
    (tiny_dir / "open_clip_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"open_clip_config\.json (cannot be read|needs)"):
        identify(local(tiny_dir))


def test_a_missing_configuration_is_named(tiny_dir: Path) -> None:
    (tiny_dir / "open_clip_config.json").unlink()
    with pytest.raises(ModelError, match=r"tiny/own: no open_clip_config\.json in"):
        identify(local(tiny_dir))


def test_digests_differ_where_any_part_does() -> None:
    parts = {"architecture": "a", "activation": "g", "preprocessing": "p", "weights_sha256": "w"}
    digests = {ModelIdentity(**{**parts, key: "other"}).digest for key in parts}
    assert len(digests | {ModelIdentity(**parts).digest}) == 5

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.folder_rules import (
    CODE_KEYS,
    check_open_clip,
    check_preprocessing,
    check_transformers,
    tokenizer_files,
)
from vlmsel.zoo.identity import configuration, identify
from vlmsel.zoo.loader import load_model
from vlmsel.zoo.providers import open_clip as provider

DOCUMENT: dict[str, Any] = {
    "model_cfg": {"embed_dim": 16, "vision_cfg": {"layers": 2}, "text_cfg": {"layers": 1}},
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5]},
}
WORDS = {"the": 1, "cat": 2, "dog": 3, "[UNK]": 0, "[PAD]": 4, "[CLS]": 5, "[SEP]": 6}


def local(folder: Path) -> ModelSpec:
    return ModelSpec(model="tiny", pretrained="own", weights=str(folder))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "open_clip_config.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def in_text(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["model_cfg"]["text_cfg"].update(values)


@pytest.fixture
def with_tokenizer(tiny_dir: Path) -> Path:
    """The tiny CLIP with a tokenizer of transformers in its folder."""
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tiny_dir / "tokenizer.json"))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (tiny_dir / "tokenizer_config.json").write_text(json.dumps(about))
    edit(tiny_dir, in_text(hf_tokenizer_name="org/words", tokenizer_kwargs={"clean": "lower"}))
    return tiny_dir


# --- the allow-list of open_clip_config.json -----------------------------------------------------


def test_every_architecture_of_open_clip_may_lie_in_a_folder_unless_it_needs_a_hub() -> None:
    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    hub = {name for name, config in configs.items() if config["text_cfg"].get("hf_model_name")}
    assert 0 < len(hub) < len(configs) / 10
    for name, config in configs.items():
        document = {"model_cfg": config}
        if name in hub:
            with pytest.raises(ModelError, match="hf_model_name"):
                check_open_clip(name, Path("c.json"), document)
        else:
            assert check_open_clip(name, Path("c.json"), document) == config


def test_every_tag_of_open_clip_has_an_allowed_preprocessing() -> None:
    for model, tag in open_clip.list_pretrained():
        values = open_clip.get_pretrained_cfg(model, tag)
        keys = ("mean", "std", "interpolation", "resize_mode")
        chosen = {key: values[key] for key in keys if values.get(key) is not None}
        check_preprocessing(f"{model}/{tag}", {"mean": (0.5,) * 3, "std": (0.5,) * 3} | chosen)


@pytest.mark.parametrize(
    ("place", "values", "reason"),
    [
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "trust_remote_code"),
        ("text_cfg", {"tokenizer_kwargs": {"auto_map": {"AutoTokenizer": ["x.Y", None]}}}, "auto"),
        ("text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "unknown key .*bpe_path"),
        ("text_cfg", {"tokenizer_kwargs": {"reduction_mask": "syntax"}}, "reduction_mask"),
        ("text_cfg", {"tokenizer_kwargs": {"clean": "exec"}}, "clean' is exec"),
        ("text_cfg", {"tokenizer_kwargs": ["trust_remote_code"]}, "tokenizer_kwargs"),
        ("text_cfg", {"tokenizer_mode": "own"}, "tokenizer_mode"),
        ("text_cfg", {"hf_model_name": "org/x"}, "hf_model_name.*asks a model hub"),
        ("text_cfg", {"contxt_length": 7}, "contxt_length'; did you mean context_length"),
        ("text_cfg", {"act_kwargs": {"hook": "x"}}, r"act_kwargs\.hook"),
        ("vision_cfg", {"timm_model_name": "hf-hub:org/x"}, "timm_model_name.*asks a model hub"),
        ("vision_cfg", {"timm_model_name": "hf_hub:org/x"}, "timm_model_name.*asks a model hub"),
        ("vision_cfg", {"timm_model_name": "local-dir:/x"}, "timm_model_name"),
        ("vision_cfg", {"timm_model_name": "org/x"}, "timm_model_name"),
        ("vision_cfg", {"width": "32"}, "vision_cfg.width' is 32"),
        ("vision_cfg", {"width": 10**9}, "vision_cfg.width"),
        ("vision_cfg", {"layers": [1, 2]}, "layers"),
        ("vision_cfg", {"pool_type": "../x"}, "pool_type"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_refused(
    tiny_dir: Path, place: str, values: dict[str, Any], reason: str
) -> None:
    edit(tiny_dir, lambda document: document["model_cfg"][place].update(values))
    with pytest.raises(ModelError, match=reason) as caught:
        identify(local(tiny_dir))
    assert "\n" not in str(caught.value)
    assert str(tiny_dir / "open_clip_config.json") in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"model_cfg": {"embed_dim": 4, "vision_cfg": "x", "text_cfg": {}}}',
        '{"model_cfg": {"embed_dim": 4, "vision_cfg": [], "text_cfg": {}}}',
        '{"model_cfg": {"embed_dim": 4, "vision_cfg": {}, "text_cfg": 3}}',
        '{"model_cfg": {"embed_dim": true, "vision_cfg": {}, "text_cfg": {}}}',
        '{"model_cfg": {"embed_dim": 4, "vision_cfg": {}, "text_cfg": {}}, "preprocess_cfg": "x"}',
        "[" * 100_000,
        '{"model_cfg": ' * 50_000,
        "\ufeff",
        "9" * 5000,
    ],
)
def test_a_configuration_of_another_shape_is_one_line(tiny_dir: Path, text: str) -> None:
    (tiny_dir / "open_clip_config.json").write_text(text)
    with pytest.raises(ModelError) as caught:
        identify(local(tiny_dir))
    assert len(str(caught.value)) < 500


@given(
    path=st.lists(st.sampled_from(["a", "b", 0]), max_size=6),
    key=st.sampled_from(sorted(CODE_KEYS)),
    value=st.one_of(st.just(True), st.text(min_size=1), st.lists(st.integers(), min_size=1)),
)
def test_a_switch_for_code_is_found_at_any_depth(
    path: list[str | int], key: str, value: object
) -> None:
    document: Any = {key: value}
    for part in path:
        document = [document] if part == 0 else {part: document}
    with pytest.raises(ModelError, match=key):
        check_open_clip("m", Path("c.json"), {**DOCUMENT, "more": document})


def test_a_switch_that_is_off_is_no_switch() -> None:
    check_open_clip("m", Path("c.json"), {**DOCUMENT, "trust_remote_code": False, "auto_map": None})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mode": "L"}, "mode' is L"),
        ({"interpolation": "lanczos"}, "lanczos"),
        ({"interpolation": "random"}, "random"),
        ({"resize_mode": "crop"}, "crop"),
        ({"mean": [0.1] * 4}, "mean"),
        ({"std": [0.0, 1.0, 1.0]}, "std"),
        ({"std": [float("inf"), 1.0, 1.0]}, "std"),
        ({"fill_color": "red"}, "fill_color"),
    ],
)
def test_a_preprocessing_that_open_clip_cannot_do_names_key_and_value(
    tiny_dir: Path, change: dict[str, Any], reason: str
) -> None:
    edit(tiny_dir, lambda document: document["preprocess_cfg"].update(change))
    with pytest.raises(ModelError, match=reason):
        load_model(local(tiny_dir))


def test_a_folder_never_asks_for_pretrained_towers(
    tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def create(name: str, **options: Any) -> None:
        asked.update(options)
        raise RuntimeError("seen")

    monkeypatch.setattr(provider, "create_model", create)
    with pytest.raises(ModelError, match="seen"):
        load_model(local(tiny_dir))
    assert asked == {"load_weights": False, "pretrained_text": False, "pretrained_image": False}


# --- tokenizers that lie in the folder -----------------------------------------------------------


def test_a_tokenizer_in_the_folder_is_used_without_a_hub(with_tokenizer: Path) -> None:
    encode = load_model(local(with_tokenizer)).encode_text
    assert encode is not None
    cat, same, dog = encode(["the cat", "THE  CAT", "the dog"])
    torch.testing.assert_close(cat, same)  # tokenizer_kwargs: clean
    assert not torch.allclose(cat, dog)


def test_a_tokenizer_that_is_not_in_the_folder_is_never_fetched(with_tokenizer: Path) -> None:
    (with_tokenizer / "tokenizer.json").unlink()
    encode = load_model(local(with_tokenizer)).encode_text
    assert encode is not None
    with pytest.raises(ModelError, match=r"its tokenizer org/words is not in .*hf download"):
        encode(["the cat"])


def test_tokenizer_files_belong_to_the_identity(with_tokenizer: Path) -> None:
    before = identify(local(with_tokenizer))
    (with_tokenizer / "README.md").write_text("about")
    (with_tokenizer / "LICENSE.txt").write_text("about")
    assert identify(local(with_tokenizer)) == before
    table = with_tokenizer / "tokenizer.json"
    table.write_text(
        table.read_text().replace('"cat": 2', '"cat": 3').replace('"dog": 3', '"dog": 2')
    )
    other = identify(local(with_tokenizer))
    assert other.architecture != before.architecture
    assert other.weights_sha256 == before.weights_sha256
    (with_tokenizer / "added_tokens.json").write_text("{}")
    assert identify(local(with_tokenizer)).digest != other.digest


def test_files_that_no_tokenizer_reads_do_not_count(tiny_dir: Path) -> None:
    before = identify(local(tiny_dir))
    (tiny_dir / "tokenizer.json").write_text("{}")
    assert identify(local(tiny_dir)) == before  # no hf_tokenizer_name: open_clip's own tokenizer


def test_weights_and_prose_are_no_tokenizer(tmp_path: Path) -> None:
    names = ("tokenizer.json", "vocab.txt", "spiece.model", "config.json")
    others = ("model.safetensors", "README.md", "model.safetensors.index.json", "own.py")
    for name in (*names, *others, "open_clip_config.json", "License.txt"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in tokenizer_files(tmp_path)] == sorted(names)


# The code of a folder, which must never run: it leaves a file behind.
OWN = "open({place!r}, 'w').write('ran')\nfrom transformers import BertTokenizer as Own\n"


@pytest.mark.parametrize("where", ["tokenizer_config.json", "config.json", "processor_config.json"])
def test_code_of_the_folder_never_runs(with_tokenizer: Path, tmp_path: Path, where: str) -> None:
    ran = tmp_path / "ran"
    (with_tokenizer / "own.py").write_text(OWN.format(place=str(ran)))
    path = with_tokenizer / where
    document = json.loads(path.read_text()) if path.exists() else {}
    document["auto_map"] = {"AutoTokenizer": ["own.Own", "own.Own"], "AutoConfig": "own.Own"}
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=rf"{where} has the key 'auto_map'.*run code"):
        identify(local(with_tokenizer))
    with pytest.raises(ModelError, match="auto_map"):
        load_model(local(with_tokenizer))
    assert not ran.exists()


# --- folders of transformers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", {"auto_map": {"AutoModel": "own.Model"}}, "auto_map.*run code"),
        ("config.json", {"text_config": {"auto_map": {"A": "x--own.B"}}}, r"text_config\.auto_map"),
        ("config.json", {"vision_config": [{"trust_remote_code": True}]}, "trust_remote_code"),
        ("config.json", {"attn_implementation": "org/kernel"}, "attn_implementation.*model hub"),
        ("config.json", {"attn_implementation": {"": "org/kernel"}}, "attn_implementation"),
        ("config.json", {"_attn_implementation": "kernels-community/x"}, "model hub"),
        ("config.json", {"use_pretrained_backbone": True}, "use_pretrained_backbone.*model hub"),
        ("config.json", {"tokenizer_class": "RagTokenizer"}, "RagTokenizer"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["a.B", None]}}, "auto_map"),
        ("tokenizer_config.json", {"tokenizer_class": "OwnTok"}, "tokenizer_class OwnTok"),
        ("tokenizer_config.json", {"tokenizer_class": ["CLIPTokenizer"]}, "tokenizer_class"),
        ("tokenizer_config.json", [], "must be a mapping"),
        ("preprocessor_config.json", {"auto_map": {"AutoProcessor": "p.P"}}, "auto_map"),
        ("generation_config.json", {"custom_pipelines": {"x": {}}}, "custom_pipelines"),
        ("adapter_config.json", {"base_model_name_or_path": "org/x"}, "adapter"),
    ],
)
def test_a_folder_of_transformers_that_asks_for_code_or_a_hub_is_refused(
    tmp_path: Path, file: str, content: object, reason: str
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(ModelError, match=reason):
        check_transformers("m", tmp_path)
    with pytest.raises(ModelError, match=reason):
        identify(local(tmp_path))


def test_a_plain_folder_of_transformers_passes_and_is_none_of_open_clips(tmp_path: Path) -> None:
    config = {
        "model_type": "clip",
        "_name_or_path": "openai/clip-vit-base-patch32",
        "architectures": ["CLIPModel"],
        "attn_implementation": "sdpa",
        "text_config": {"hidden_size": 8, "use_pretrained_backbone": False},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizerFast"}')
    check_transformers("m", tmp_path)
    with pytest.raises(ModelError, match=r"no open_clip_config\.json in"):
        configuration(local(tmp_path))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\x00", '{"a": 1}\ud800'])
def test_a_configuration_that_is_no_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        check_transformers("m", tmp_path)


def test_the_document_is_not_changed_by_the_check() -> None:
    document = copy.deepcopy(DOCUMENT)
    assert check_open_clip("m", Path("c.json"), document) is document["model_cfg"]
    assert document == DOCUMENT

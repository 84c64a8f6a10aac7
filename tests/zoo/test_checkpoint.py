import json
import pickle
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.checkpoint import read_shapes
from vlmsel.zoo.loader import load_model

State = dict[str, torch.Tensor]


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "module"])
@pytest.mark.parametrize("zipped", [True, False])
def test_shapes_are_read_from_every_usual_layout(tmp_path: Path, wrap: str, zipped: bool) -> None:
    state: object = {"a.weight": torch.zeros(2, 3), "b": torch.zeros(())}
    if wrap == "state_dict":
        state = {"state_dict": state, "epoch": 3}
    if wrap == "module":
        state = {"module.a.weight": torch.zeros(2, 3), "module.b": torch.zeros(())}
    path = tmp_path / "w.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert read_shapes("m/p", path) == {"a.weight": (2, 3), "b": ()}


def test_safetensors_shapes(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(4, 5)}, tmp_path / "w.safetensors")
    assert read_shapes("m/p", tmp_path / "w.safetensors") == {"a": (4, 5)}


class Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("pwned"),))


def test_no_code_of_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Attack()}, tmp_path / "zip.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps({"a": Attack()}, protocol=2))
    for name in ("zip.pt", "raw.pt"):
        with pytest.raises(ModelError, match="not a readable checkpoint"):
            read_shapes("m/p", tmp_path / name)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.bin"])
def test_garbage_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not weights at all" * 20)
    with pytest.raises(ModelError, match=rf"m/p: .*{name} is not a readable checkpoint") as caught:
        read_shapes("m/p", tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_list_is_no_state_dict(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds no state dict"):
        read_shapes("m/p", tmp_path / "w.pt")


def load_changed(folder: Path, state: State) -> None:
    save_file(state, folder / "open_clip_model.safetensors")
    load_model(ModelSpec(model="tiny", pretrained="own", weights=str(folder)))


def test_keys_that_do_not_fit_are_named(tiny_dir: Path, tiny_state: State) -> None:
    state = dict(tiny_state)
    state["visual.other"] = state.pop("visual.proj")
    with pytest.raises(ModelError, match=r"missing visual\.proj; unexpected visual\.other$"):
        load_changed(tiny_dir, state)


def test_shapes_that_do_not_fit_are_named(tiny_dir: Path, tiny_state: State) -> None:
    state = {**tiny_state, "visual.proj": torch.zeros(32, 8)}
    with pytest.raises(
        ModelError,
        match=r"tiny/own: .* does not fit architecture 'tiny': visual\.proj is \[32, 8\] in the "
        r"checkpoint, \[32, 16\] here$",
    ):
        load_changed(tiny_dir, state)


def test_another_image_size_is_not_resized_in_silence(tiny_dir: Path, tiny_state: State) -> None:
    state = {**tiny_state, "visual.positional_embedding": torch.zeros(65, 32)}
    with pytest.raises(ModelError, match=r"visual\.positional_embedding is \[65, 32\] in the"):
        load_changed(tiny_dir, state)


def test_another_length_of_texts_is_not_resized_in_silence(
    tiny_dir: Path, tiny_state: State
) -> None:
    state = {**tiny_state, "positional_embedding": torch.zeros(77, 16)}
    with pytest.raises(ModelError, match=r"positional_embedding is \[77, 16\] .* \[12, 16\]"):
        load_changed(tiny_dir, state)


def change_towers(folder: Path, **values: object) -> None:
    path = folder / "open_clip_config.json"
    document = json.loads(path.read_text())
    document["model_cfg"] |= values
    path.write_text(json.dumps(document))


def test_a_bias_that_the_model_lacks_is_named(tiny_dir: Path, tiny_state: State) -> None:
    bias = {"logit_bias": torch.tensor(-9.0)}
    with pytest.raises(ModelError, match="holds a logit_bias, which the model has not"):
        load_changed(tiny_dir, {**tiny_state, **bias})
    # As the message says.
    change_towers(tiny_dir, init_logit_bias=-10.0)
    load_changed(tiny_dir, {**tiny_state, **bias})


def test_a_bias_that_the_checkpoint_lacks_is_not_taken_for_zero(
    tiny_dir: Path, tiny_state: State
) -> None:
    change_towers(tiny_dir, init_logit_bias=-10.0)
    with pytest.raises(ModelError, match="holds no logit_bias, which the model has"):
        load_changed(tiny_dir, tiny_state)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("w.npz", b"PK\x03\x04", "a NumPy archive; save"),
        ("w.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of Git LFS"),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        ("w.bin", b"", "empty; copy it again"),
    ],
)
def test_files_of_other_kinds_are_told_apart(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=rf"m/p: .*{name} is .*{reason}"):
        read_shapes("m/p", tmp_path / name)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path, tiny_state: State) -> None:
    save_file(tiny_state, tmp_path / "w.safetensors")
    spec = ModelSpec(
        model="ViT-S-32-alt", pretrained="own", weights=str(tmp_path / "w.safetensors")
    )
    with pytest.raises(ModelError, match="does not fit") as caught:
        load_model(spec)
    assert "\n" not in str(caught.value)
    assert "ViT-S-32-alt" in open_clip.list_models()

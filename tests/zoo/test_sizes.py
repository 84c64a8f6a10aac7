from pathlib import Path

from safetensors import safe_open

from vlmsel.zoo.catalog import ModelSpec, load_zoo
from vlmsel.zoo.sizes import count_parameters


def test_a_checkpoint_says_its_parameters_as_its_library_counts_them():
    spec = load_zoo("demo").find("demo-vit-digits")
    assert spec.weights is not None
    variant = spec.model_copy(update={"model": f"{spec.model}@vision.0"})
    assert count_parameters(variant) == count_parameters(spec)
    (file,) = Path(spec.weights).glob("*.safetensors")
    with safe_open(file, "np") as opened:
        names = [name for name in opened.keys() if name.startswith("visual.")]  # noqa: SIM118
        expected = sum(opened.get_tensor(name).size for name in names)
    assert count_parameters(spec) == expected > 10_000


def test_what_cannot_be_known_is_none(tmp_path):
    damaged = tmp_path / "model.safetensors"
    damaged.write_bytes(b"\x05\x00\x00\x00\x00\x00\x00\x00{abc")
    empty = tmp_path / "folder"
    empty.mkdir()
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00[]")
    absent = tmp_path / "absent.safetensors"
    for weights in (damaged, foreign, empty, absent, tmp_path / "model.pt"):
        spec = ModelSpec(model="m", pretrained="x", weights=str(weights))
        assert count_parameters(spec) is None
    assert count_parameters(ModelSpec(model="m", pretrained="x", encoder="a:b")) is None

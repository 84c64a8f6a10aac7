"""The name table: every data set of the three published tables has one canonical name."""

from pathlib import Path

import pytest

from vlmsel.errors import StoreError
from vlmsel.published.names import fold, load_names

# ../shared/data/README.md: task of the profiles = column of open_clip's table.
SAME = {
    "car": "Stanford Cars",
    "cifar": "CIFAR-100",
    "clevr": "CLEVR Counts",
    "country": "Country211",
    "dtd": "Describable Textures",
    "eurosat": "EuroSAT",
    "gtsrb": "GTSRB",
    "kitti": "KITTI Vehicle Distance",
    "mnist": "MNIST",
    "oxford_flowers": "Oxford Flowers-102",
    "oxford_pet": "Oxford-IIIT Pet",
    "patch_camelyon": "PatchCamelyon",
    "renderedsst2": "Rendered SST2",
    "resisc45": "RESISC45",
    "stl10": "STL-10",
    "sun397": "SUN397",
    "svhn": "SVHN",
    "voc_pose": "Pascal VOC 2007",
}
LOVM = tuple(
    line
    for text in (
        "cars cifar100 clevr_closest_object_distance clevr_count_all country211",
        "diabetic_retinopathy dmlab dtd eurosat fer2013 flowers gtsrb imagenet1k",
        "kitti_closest_vehicle_distance mnist pcam pets renderedsst2 resisc45 stl10 sun397",
        "svhn voc2007",
    )
    for line in text.split()
)


@pytest.mark.parametrize(("profile", "column"), SAME.items())
def test_profile_tasks_and_openclip_columns_meet(profile: str, column: str) -> None:
    spellings = load_names().spellings()
    assert spellings[fold(profile)] == spellings[fold(column)]
    assert spellings[fold(profile)] in LOVM


@pytest.mark.parametrize("name", [*LOVM, "vtab/cifar100", "imagenet-a", "FER2013"])
def test_clip_benchmark_names_are_canonical(name: str) -> None:
    assert load_names().spellings()[fold(name)] == name.removeprefix("vtab/").lower()


def test_models_in_openclips_words() -> None:
    names = load_names()
    assert names.model("ViT-B/32", "openai", quickgelu=False) == ("ViT-B-32", "openai")
    assert names.model("ViT-B/32", "openai", quickgelu=True) == ("ViT-B-32-quickgelu", "openai")
    assert names.model("ViT-B-32", "laion2b_e16", quickgelu=True) == ("ViT-B-32", "laion2b_e16")
    # Published with the wrong activation in the accuracies too, so no other name for the right one.
    assert names.model("ViT-B-32", "laion400m_e31", quickgelu=True)[0] == "ViT-B-32"
    assert names.model("hf-hub:timm/x", "y", quickgelu=True) == ("hf-hub:timm/x", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: {a: {alos: [b]}}", "tasks.a.alos"),
        ("tasks: {a: {also: [b]}, c: {also: [B]}}", "stands for both a and c"),
        ("tasks: [", "is no YAML"),
        ("[1]", "name table"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(text)
    with pytest.raises(StoreError, match=message):
        load_names(path)


def test_absent_table() -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        load_names(Path("/nowhere/names.yaml"))

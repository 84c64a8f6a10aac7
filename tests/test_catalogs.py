from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from vlmsel.catalogs import read_entries
from vlmsel.errors import CatalogError
from vlmsel.suggest import nearest


class Pet(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    legs: int = 4


def read(tmp_path: Path, text: str) -> tuple[Pet, ...]:
    path = tmp_path / "pets.yaml"
    path.write_text(text)
    return read_entries(path, "pets", Pet, "name")


def test_entries_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, "pets: [{name: Rex}, {name: Polly, legs: 2}]") == (
        Pet(name="Rex"),
        Pet(name="Polly", legs=2),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "pets: [{name: Rex, leg: 3}]",
            r"pets\[0\] \(Rex\): unknown key 'leg'; did you mean legs\?",
        ),
        ("pets: [{name: Rex, colour: 3}]", "unknown key 'colour'; known keys: name, legs"),
        ("pets: [{nmae: Rex}]", r"unknown key 'nmae'; did you mean name\?"),
        ("pets: [{name: Rex}, {legs: 3}]", r"pets\[1\]: key 'name': Field required"),
        ("pets: [{name: Rex, legs: many}]", "key 'legs': Input should be a valid integer"),
        ("pet: [{name: Rex}]", "unknown key 'pet'; did you mean pets?"),
        ("pets: [{name: Rex}]\nowners: []", "unknown key 'owners'; known keys: pets"),
        ("pets: []", "'pets' must be a list with at least one entry"),
        ("pets:", "'pets' must be a list with at least one entry, not nothing"),
        ("pets: [Rex]", r"pets\[0\] must be a mapping, not a str"),
        ("[1]", "a catalog is a mapping with the key 'pets', not a list"),
        ("", "not nothing"),
        ("pets: [{name: Rex", "not valid YAML: line 1: "),
        ("pets: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_every_mistake_is_one_line_with_the_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert "pets.yaml" in message
    assert "\n" not in message


def test_missing_or_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.yaml does not exist"):
        read_entries(tmp_path / "none.yaml", "pets", Pet, "name")
    with pytest.raises(CatalogError, match="cannot be read"):
        read_entries(tmp_path, "pets", Pet, "name")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CatalogError, match="cannot be read"):
        read_entries(tmp_path / "binary.yaml", "pets", Pet, "name")


def test_nearest_ignores_case_and_is_silent_without_a_neighbour() -> None:
    assert nearest("vit-b-23", ["ViT-B-32", "RN50"], n=1) == "; did you mean ViT-B-32?"
    assert nearest("zebra", ["ViT-B-32", "RN50"]) == ""

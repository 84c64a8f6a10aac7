"""Settings are noted once and their differences told in words."""

from pathlib import Path

import pytest

from vlmsel.errors import StoreError
from vlmsel.settings import AttributionSettings
from vlmsel.store import known_settings
from vlmsel.store.filesystem import open_folder

OURS = AttributionSettings(n_steps=16, rule="trapezoid", path="uniform")
PAPER = AttributionSettings.preset("paper")


def test_only_differences_are_told() -> None:
    other = OURS.model_copy(update={"n_steps": 50, "rule": "captum"})
    assert known_settings.differences(other, OURS) == (
        "n_steps 50 (store) vs 16 (asked), rule captum (store) vs trapezoid (asked)"
    )
    assert known_settings.differences(OURS, OURS) == ""


def test_every_present_one_is_explained() -> None:
    text = known_settings.explain({"a": OURS, "b": PAPER}, OURS.model_copy(update={"n_steps": 8}))
    assert text.startswith("n_steps 16 (store) vs 8 (asked); or n_steps 50 (store) vs 8 (asked)")


def test_write_is_idempotent_and_read_finds_all(store_uri: str) -> None:
    folder = open_folder(store_uri)
    assert known_settings.read(folder) == {}
    for settings in (OURS, PAPER, OURS):
        known_settings.write(folder, settings)
    assert known_settings.read(folder) == {OURS.digest: OURS, PAPER.digest: PAPER}


@pytest.mark.parametrize("text", ["", "{", '{"n_steps": 0}', '{"steps": 16}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    folder = open_folder(tmp_path)
    folder.write_atomic("profiles/abc/settings.json", text.encode())
    with pytest.raises(StoreError, match=r"profiles/abc/settings\.json is damaged"):
        known_settings.read(folder)

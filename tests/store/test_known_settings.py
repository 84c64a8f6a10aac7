"""Settings are noted once and their differences told in words."""

from pathlib import Path

import pytest

from vlmsel.errors import StoreError
from vlmsel.measurements import Embedding, Prediction, Profile
from vlmsel.settings import AttributionSettings
from vlmsel.store import known_settings
from vlmsel.store.filesystem import open_folder

OURS = Profile(settings=AttributionSettings(n_steps=16, rule="trapezoid", path="uniform"))
PAPER = Profile(settings=AttributionSettings.preset("paper"))


def changed(**fields: object) -> Profile:
    return Profile(settings=OURS.settings.model_copy(update=fields))


def test_only_differences_are_told() -> None:
    other = changed(n_steps=50, rule="captum")
    assert known_settings.differences(other, OURS) == (
        "n_steps 50 (store) vs 16 (asked), rule captum (store) vs trapezoid (asked)"
    )
    assert known_settings.differences(OURS, OURS) == ""
    assert known_settings.differences(Prediction(), Prediction(logits=5)) == (
        "logits full (store) vs 5 (asked)"
    )


def test_every_present_one_is_explained() -> None:
    text = known_settings.explain({"a": OURS, "b": PAPER}, changed(n_steps=8))
    assert text.startswith("n_steps 16 (store) vs 8 (asked); or n_steps 50 (store) vs 8 (asked)")
    assert known_settings.explain({}, Embedding()) == "it holds no embedding at all"


def test_write_is_idempotent_and_read_finds_all_of_a_kind(store_uri: str) -> None:
    folder = open_folder(store_uri)
    assert known_settings.read(folder, "profile") == {}
    top = Prediction(logits=3)
    for measurement in (OURS, PAPER, OURS, top):
        known_settings.write(folder, measurement)
    assert known_settings.read(folder, "profile") == {OURS.digest: OURS, PAPER.digest: PAPER}
    assert known_settings.read(folder, "prediction") == {top.digest: top}
    assert known_settings.read(folder, "embedding") == {}


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"settings": {"n_steps": 0}}', '{"steps": 16}'),
        OURS.model_dump_json(),
        pytest.param(DEEP, id="deep"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    folder = open_folder(tmp_path)
    folder.write_atomic("profile/abc/settings.json", text.encode())
    with pytest.raises(StoreError, match=r"profile/abc/settings\.json is damaged"):
        known_settings.read(folder, "profile")

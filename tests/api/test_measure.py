"""Measuring as from Python, where the store holds all already or nothing can be measured."""

from pathlib import Path

import pytest

from tests.api.made_store import KINDS, MadeStore
from vlmsel import measure
from vlmsel.api.workspace import open_workspace
from vlmsel.errors import SettingsError, StoreError, TaskError
from vlmsel.measurements import Prediction


def test_what_the_store_holds_is_not_measured_again(own_made: MadeStore) -> None:
    before = sorted(own_made.store.rglob("*.parquet"))
    for kinds, n_cells in (("profile", 30), (["profile", "prediction", "profile"], 60)):
        summary = measure(kinds, store=own_made.store)
        assert (summary.measured, summary.skipped, summary.n_failures) == (0, n_cells, 0)
    assert sorted(own_made.store.rglob("*.parquet")) == before


def test_the_store_remembers_what_was_asked(own_made: MadeStore) -> None:
    measure("profile", store=own_made.store, n_images={"profile": 30})
    again = open_workspace(own_made.store)
    assert set(again.wants) == set(KINDS)
    assert again.wants["profile"].n_images == 30


def test_what_cannot_be_measured_is_found_before_anything_is_written(
    made: MadeStore, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with pytest.raises(SettingsError, match="no measurement 'profil'; did you mean profile"):
        measure("profil", store=store, zoo=made.zoo, tasks=made.tasks)
    with pytest.raises(StoreError, match="holds no run yet: give --zoo and --tasks"):
        measure("profile", store=store)
    (tmp_path / "tasks.yaml").write_text("tasks: [{name: none, images: none}]")
    with pytest.raises(TaskError, match="none"):
        measure("profile", store=store, zoo=made.zoo, tasks=tmp_path / "tasks.yaml")
    assert not store.exists()


def test_settings_of_a_kind_make_other_cells(made: MadeStore) -> None:
    workspace = made.workspace(measurements={"prediction": Prediction(logits=2)})
    plan = workspace.plan(["prediction"])
    assert (plan.n_missing, plan.n_measured) == (30, 0)

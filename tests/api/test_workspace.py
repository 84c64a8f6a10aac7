import json
from pathlib import Path

import pytest

from vlmsel.api.workspace import DEFAULT_IMAGES, load_task_catalog, open_workspace, remembers
from vlmsel.errors import CatalogError, StoreError
from vlmsel.settings import AttributionSettings


@pytest.fixture
def catalogs(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "zoo.yaml").write_text("models: [{model: RN50, pretrained: openai}]")
    (tmp_path / "tasks.yaml").write_text("tasks: [{name: cars, images: cars}]")
    return {"zoo": str(tmp_path / "zoo.yaml"), "tasks": str(tmp_path / "tasks.yaml")}


def test_what_is_remembered_need_not_be_said_again(tmp_path, catalogs):
    store = tmp_path / "store"
    settings = AttributionSettings(n_steps=7)
    open_workspace(store, **catalogs, settings=settings, n_images=3).remember()
    again = open_workspace(store)
    assert (again.settings, again.n_images) == (settings, 3)
    assert [again.zoo_source, again.tasks_source] == list(catalogs.values())
    assert [task.name for task in again.tasks.tasks] == ["cars"]


def test_what_is_said_wins_over_what_is_remembered(tmp_path, catalogs):
    store = tmp_path / "store"
    open_workspace(store, **catalogs, n_images=3).remember()
    said = open_workspace(store, zoo="paper", settings=AttributionSettings(n_steps=9), n_images=4)
    assert (said.zoo_source, said.settings.n_steps, said.n_images) == ("paper", 9, 4)
    assert said.tasks_source == catalogs["tasks"]


def test_a_folder_called_like_a_shipped_zoo_does_not_hide_it(tmp_path, catalogs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    found = open_workspace("store", zoo="demo", tasks=catalogs["tasks"])
    assert found.zoo_source == "demo"
    assert len(found.zoo.models) >= 8


def test_a_new_store_needs_both_catalogs(tmp_path, catalogs):
    store = tmp_path / "store"
    with pytest.raises(StoreError, match="holds no run yet: give --zoo and --tasks"):
        open_workspace(store)
    with pytest.raises(StoreError, match="give --tasks"):
        open_workspace(store, zoo=catalogs["zoo"])
    fresh = open_workspace(store, **catalogs)
    assert (fresh.settings, fresh.n_images) == (AttributionSettings(), DEFAULT_IMAGES)
    assert not remembers(store)
    assert not store.exists()


def test_relative_paths_are_remembered_as_absolute_ones(tmp_path, catalogs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_workspace("store", zoo="zoo.yaml", tasks="tasks.yaml").remember()
    monkeypatch.chdir("/")
    assert open_workspace(tmp_path / "store").zoo_source == catalogs["zoo"]


def test_the_memory_is_plain_json_and_a_damaged_one_is_mended_by_saying_all(tmp_path, catalogs):
    store = tmp_path / "store"
    whole = {**catalogs, "settings": AttributionSettings(), "n_images": 2}
    open_workspace(store, **whole).remember()
    memory = store / "workspace.json"
    assert json.loads(memory.read_text())["n_images"] == 2
    memory.write_text("{}")
    with pytest.raises(StoreError, match=r"workspace\.json, which .* is damaged"):
        open_workspace(store, **catalogs)
    open_workspace(store, **whole).remember()
    assert open_workspace(store).n_images == 2


def test_an_address_with_credentials_is_refused_and_not_repeated(catalogs):
    with pytest.raises(StoreError, match="no credentials in s3:// addresses") as caught:
        open_workspace("s3://user:hunter2@bucket/store", **catalogs)
    assert "hunter2" not in str(caught.value)


def test_a_catalog_that_is_gone_names_the_option(tmp_path, catalogs):
    open_workspace(tmp_path / "store", **catalogs).remember()
    Path(catalogs["zoo"]).unlink()
    with pytest.raises(CatalogError, match=r"zoo catalog .*zoo\.yaml, which does not exist.*--zoo"):
        open_workspace(tmp_path / "store")


def test_task_catalogs_that_are_not_there(tmp_path):
    with pytest.raises(CatalogError, match="does not exist"):
        load_task_catalog(tmp_path / "none.yaml")

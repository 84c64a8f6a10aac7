import json
from pathlib import Path

import pytest

from vlmsel.api.workspace import load_task_catalog, open_workspace, remembers
from vlmsel.errors import CatalogError, SettingsError, StoreError
from vlmsel.measurements import Embedding, Prediction, Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store import Store


def steps(number: int) -> Profile:
    return Profile(settings=AttributionSettings(n_steps=number))


@pytest.fixture
def catalogs(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "zoo.yaml").write_text("models: [{model: RN50, pretrained: openai}]")
    (tmp_path / "tasks.yaml").write_text("tasks: [{name: cars, images: cars}]")
    return {"zoo": str(tmp_path / "zoo.yaml"), "tasks": str(tmp_path / "tasks.yaml")}


def test_what_is_remembered_need_not_be_said_again(tmp_path, catalogs):
    store = tmp_path / "store"
    said = {"profile": steps(7), "prediction": Prediction(logits=3)}
    open_workspace(
        store, **catalogs, measurements=said, n_images={"profile": 3, "prediction": None}
    ).remember()
    again = open_workspace(store)
    assert again.wants == {
        "profile": Want(steps(7), 3),
        "prediction": Want(Prediction(logits=3), None),
    }
    assert again.settings == AttributionSettings(n_steps=7)
    assert [again.zoo_source, again.tasks_source] == list(catalogs.values())
    assert [task.name for task in again.tasks.tasks] == ["cars"]


def test_what_is_said_wins_over_what_is_remembered(tmp_path, catalogs):
    store = tmp_path / "store"
    open_workspace(store, **catalogs, n_images={"profile": 3, "prediction": 8}).remember()
    said = open_workspace(
        store, zoo="paper", measurements={"profile": steps(9)}, n_images={"profile": 4}
    )
    assert said.zoo_source == "paper"
    assert said.wants == {"profile": Want(steps(9), 4), "prediction": Want(Prediction(), 8)}
    assert said.tasks_source == catalogs["tasks"]


def test_kinds_are_added_to_those_remembered(tmp_path, catalogs):
    store = tmp_path / "store"
    open_workspace(store, **catalogs, kinds=["prediction"], n_images={"prediction": 5}).remember()
    more = open_workspace(store, kinds=["embedding", "prediction"])
    assert more.wants == {
        "prediction": Want(Prediction(), 5),
        "embedding": Want(Embedding(), None),
    }
    assert more.settings == AttributionSettings(), "no profile is wanted, so the defaults"
    assert set(more.with_defaults().wants) == {"profile", "prediction", "embedding"}
    assert more.with_defaults().wants["prediction"].n_images == 5
    assert set(open_workspace(store).wants) == {"prediction"}, "unless it is remembered"
    with pytest.raises(SettingsError, match="no measurement 'embeding'; did you mean embedding"):
        open_workspace(store, kinds=["embeding"])


def test_an_open_store_is_used_as_it_is(tmp_path, catalogs):
    store = Store(tmp_path / "store")
    assert open_workspace(store, **catalogs).store is store


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
    assert fresh.wants == {"profile": Want(Profile(), 25), "prediction": Want(Prediction(), None)}
    assert fresh.settings == AttributionSettings()
    assert not remembers(store)
    assert not store.exists()


def test_relative_paths_are_remembered_as_absolute_ones(tmp_path, catalogs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_workspace("store", zoo="zoo.yaml", tasks="tasks.yaml").remember()
    monkeypatch.chdir("/")
    assert open_workspace(tmp_path / "store").zoo_source == catalogs["zoo"]


def test_the_memory_is_plain_json_and_a_damaged_one_is_mended_by_saying_all(tmp_path, catalogs):
    store = tmp_path / "store"
    whole = {**catalogs, "measurements": {"profile": Profile()}, "n_images": {"profile": 2}}
    open_workspace(store, **whole).remember()
    memory = store / "workspace.json"
    plain = json.loads(memory.read_text())
    assert plain["version"] == 2
    assert plain["wants"]["profile"]["n_images"] == 2
    assert plain["wants"]["profile"]["settings"]["settings"]["n_steps"] == 9
    for text in ("{}", "", "[]", json.dumps({**plain, "version": 1})):
        memory.write_text(text)
        with pytest.raises(StoreError, match=r"workspace\.json, which .* is damaged"):
            open_workspace(store, **catalogs)
    open_workspace(store, **whole).remember()
    assert open_workspace(store).wants["profile"].n_images == 2


@pytest.mark.parametrize(
    "wants",
    [
        {"profile": {"settings": {"settings": {"n_steps": 0}}, "n_images": 2}},
        {"profile": {"settings": {"stepz": 3}, "n_images": 2}},
        {"profile": {"settings": {}, "n_images": 0}},
        {"profile": {"settings": {}}},
        {"sonnet": {"settings": {}, "n_images": 2}},
    ],
)
def test_wants_of_a_damaged_memory_or_another_version_are_found_at_once(tmp_path, catalogs, wants):
    store = tmp_path / "store"
    open_workspace(store, **catalogs).remember()
    memory = store / "workspace.json"
    memory.write_text(json.dumps({**json.loads(memory.read_text()), "wants": wants}))
    with pytest.raises((StoreError, SettingsError), match=r"workspace\.json.* is damaged|'sonnet'"):
        open_workspace(store)


def test_a_store_of_an_earlier_version_is_told_and_begins_anew(tmp_path, catalogs, caplog):
    store = tmp_path / "store"
    (store / "profiles").mkdir(parents=True)
    first = {**catalogs, "settings": {"n_steps": 9}, "n_images": 25}
    (store / "workspace.json").write_text(json.dumps(first))
    with pytest.raises(StoreError, match="holds no run yet"):
        open_workspace(store)
    assert "was written by an earlier version of vlmsel" in caplog.text
    open_workspace(store, **catalogs).remember()
    assert open_workspace(store).wants["profile"].n_images == 25


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


def test_a_command_said_in_full_forgets_no_other_kind(tmp_path, catalogs):
    store = tmp_path / "store"
    open_workspace(store, **catalogs, kinds=["profile", "embedding"]).remember()
    said = {"measurements": {"profile": steps(3)}, "n_images": {"profile": 5}}
    full = open_workspace(store, **catalogs, **said)
    assert full.wants["profile"] == Want(steps(3), 5)
    assert set(full.wants) == {"profile", "embedding"}


def test_files_of_labels_are_remembered_for_the_same_catalog(tmp_path, catalogs):
    Path(catalogs["tasks"]).write_text(
        "tasks: [{name: cars, images: cars, classnames: [a, b]}]", encoding="utf-8"
    )
    store = tmp_path / "store"
    open_workspace(store, **catalogs).with_labels({"cars": "/labels.csv"}).remember()
    again = open_workspace(store)
    assert again.labels == {"cars": "/labels.csv"}
    assert again.tasks.find("cars").labels == "/labels.csv"

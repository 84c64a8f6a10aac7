"""Garbage, compaction and migration of a store with catalogs; its cells are made, not measured."""

import base64
import json
import os
import shutil
import time
from functools import partial

import pyarrow as pa
import pytest
import yaml
from PIL import Image

from tests.store.cases import make_predictions
from vlmsel.api import upkeep
from vlmsel.api.prompt_study import with_templates
from vlmsel.api.workspace import open_workspace
from vlmsel.cli.app import run
from vlmsel.errors import ExecutionError, StoreError
from vlmsel.evidence.wanted_cells import wanted_cells, wanted_shards
from vlmsel.execution.lease import hold_run_lease
from vlmsel.measurements import Prediction, Text, Want, measurement, profile
from vlmsel.settings import SCHEMA_VERSION
from vlmsel.store import known_settings, migration
from vlmsel.store.keys import CellId
from vlmsel.zoo.catalog import load_zoo

collect = partial(upkeep.collect_garbage, settle_s=0.0)
compact = partial(upkeep.compact_store, settle_s=0.0)
migrate = partial(upkeep.migrate_store, settle_s=0.0)
MODELS = ("demo-vit-digits", "demo-vit-general")
TASKS = ("cats", "dogs")


@pytest.fixture
def lab(tmp_path):
    """Two models, two tasks of 30 images, and every prediction that is wanted of them."""
    for number, task in enumerate(TASKS):
        (tmp_path / task / "a").mkdir(parents=True)
        (tmp_path / task / "b").mkdir()
        for image in range(30):
            color = (number * 100, image * 8, 0)
            place = tmp_path / task / "ab"[image % 2] / f"{image}.png"
            Image.new("RGB", (8, 8), color).save(place)
    write_catalogs(tmp_path)
    workspace = opened(tmp_path)
    workspace.remember()
    fill(workspace)
    return tmp_path


def write_catalogs(folder, models=MODELS, tasks=TASKS):
    specs = [load_zoo("demo").find(name).model_dump(exclude_none=True) for name in models]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": specs}))
    named = [{"name": task, "images": task, "classnames": ["a", "b"]} for task in tasks]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": named}))


def opened(folder):
    return open_workspace(
        folder / "store",
        zoo=folder / "zoo.yaml",
        tasks=folder / "tasks.yaml",
        kinds=["prediction"],
    )


def wanted(workspace, number=None, schema=None):
    shards = wanted_shards(workspace.catalogued, [Want(Prediction(), number)], schema=schema)
    return list(wanted_cells(workspace.catalogued.models, shards))


def fill(workspace):
    for cell, shard in wanted(workspace):
        write(workspace.store, cell, shard)


def write(store, cell, shard):
    images = [ref.image_id for ref in shard.images]
    store.write(cell, Prediction(), make_predictions(cell, images))


def cells(workspace):
    return set(workspace.store.cells("prediction", Prediction().digest))


def test_what_is_wanted_stays(lab):
    workspace = opened(lab)
    before = cells(workspace)
    assert len(before) == 2 * 2 * 2
    assert collect(workspace, older_than_days=0.0, dry_run=False) == []
    assert cells(workspace) == before


@pytest.mark.parametrize("packed", [False, True])
def test_what_no_catalog_names_goes_but_not_what_is_young(lab, packed):
    if packed:
        compact(opened(lab).store)
    write_catalogs(lab, models=MODELS[:1], tasks=TASKS[:1])
    workspace = opened(lab)
    before = cells(workspace)
    assert collect(workspace, older_than_days=1.0, dry_run=False) == []
    found = collect(workspace, older_than_days=0.0, dry_run=True)
    assert len(found) == 6
    assert cells(workspace) == before, "a dry run changes nothing"
    assert collect(workspace, older_than_days=0.0, dry_run=False) == found
    assert cells(workspace) == {cell for cell, _ in wanted(workspace)}
    assert len(cells(workspace)) == 2
    scan = workspace.store.scan(workspace.store.cells("prediction", Prediction().digest))
    assert scan.corrupt == ()
    assert scan.rows.height == 30


def test_catalogs_of_others_keep_their_cells(lab):
    shutil.copy(lab / "zoo.yaml", lab / "other-zoo.yaml")
    shutil.copy(lab / "tasks.yaml", lab / "other-tasks.yaml")
    write_catalogs(lab, models=MODELS[:1], tasks=TASKS[:1])
    also = {"zoos": [str(lab / "other-zoo.yaml")], "tasks": [str(lab / "other-tasks.yaml")]}
    assert collect(opened(lab), older_than_days=0.0, dry_run=True, **also) == []


def test_changed_images_are_other_cells(lab):
    Image.new("RGB", (8, 8), "white").save(lab / "cats" / "a" / "0.png")
    found = collect(opened(lab), older_than_days=0.0, dry_run=True)
    assert {one.what for one in found} == {"cells"}
    assert all("/cats@" in one.path for one in found)
    assert {one.model for one in found} == {f"{name}/demo" for name in MODELS}


def test_a_task_that_cannot_be_read_now_loses_nothing(lab):
    os.rename(lab / "cats", lab / "away")
    workspace = opened(lab)
    assert collect(workspace, older_than_days=0.0, dry_run=False) == []
    assert len(cells(workspace)) == 8


def test_other_numbers_of_images_and_settings_stay(lab):
    workspace = opened(lab)
    few = Prediction(logits=1)
    shards = wanted_shards(workspace.catalogued, [Want(few)])
    cell, shard = next(iter(wanted_cells(workspace.catalogued.models, shards)))
    rows = make_predictions(cell, [ref.image_id for ref in shard.images])
    index = rows.column_names.index("logits")
    rows = rows.set_column(index, "logits", [[list(row[:2]) for row in rows["logits"].to_pylist()]])
    workspace.store.write(cell, few, rows)
    assert collect(opened(lab), older_than_days=0.0, dry_run=True) == []


@pytest.mark.parametrize("packed", [False, True])
def test_cells_of_a_number_that_nobody_remembers_stay(lab, packed):
    workspace = opened(lab)
    there = cells(workspace)
    for cell, shard in wanted(workspace, 27):
        rows = make_predictions(cell, [ref.image_id for ref in shard.images])
        sums = [[ref.sha256 for ref in shard.images]]
        rows = rows.set_column(
            rows.column_names.index("image_sha256"), rows.schema.field("image_sha256"), sums
        )
        workspace.store.write(cell, Prediction(), rows)
    few = cells(workspace) - there
    assert len(few) == 4
    cat = next(shard for cell, shard in wanted(workspace, 27) if cell in few).images[0]
    if packed:
        compact(workspace.store)
    assert collect(opened(lab), older_than_days=0.0, dry_run=True) == []
    Image.new("RGB", (8, 8), "red").save(cat.source)
    collect(opened(lab), older_than_days=0.0, dry_run=False)
    assert {cell.task for cell in few & cells(workspace)} == {"dogs"}


def test_cells_of_a_comparison_of_prompts_stay(lab):
    text = (lab / "tasks.yaml").read_text()
    (lab / "tasks.yaml").write_text(
        text.replace("  name: cats\n", "  name: cats\n  template_sets: {art: ['art of a {}']}\n")
    )
    workspace = opened(lab)
    there = cells(workspace)
    for catalog in with_templates(workspace.tasks).values():
        fill(workspace.of_target(catalog, ["prediction"]))
    # The bare name on two tasks and one more set on one, of two models and two shards each.
    compared = cells(workspace) - there
    assert len(compared) == 3 * 2 * 2
    assert collect(opened(lab), older_than_days=0.0, dry_run=True) == []
    (lab / "tasks.yaml").write_text(text)
    assert len(collect(opened(lab), older_than_days=0.0, dry_run=True)) == 1 * 2 * 2


def ask_questions(folder):
    """A further task, of two questions, in the catalog."""
    picture = base64.b64encode((folder / "cats" / "a" / "0.png").read_bytes()).decode()
    rows = [{"id": f"q{i}", "question": "?", "options": ["x", "y"], "image": picture} for i in "01"]
    (folder / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    catalog = yaml.safe_load((folder / "tasks.yaml").read_text())
    catalog["tasks"].append({"name": "asked", "questions": "q.jsonl"})
    (folder / "tasks.yaml").write_text(yaml.safe_dump(catalog))


def test_a_catalog_with_questions_is_collected(lab):
    ask_questions(lab)
    workspace = opened(lab)
    fill(workspace)
    assert {cell.task for cell in cells(workspace)} == {*TASKS, "asked"}
    assert collect(workspace, older_than_days=0.0, dry_run=True) == []


def test_texts_whose_file_cannot_be_read_now_stay(lab):
    captions = lab / "captions.yaml"
    captions.write_text("a: [an ant]\nb: [a bee]\n")
    catalog = yaml.safe_load((lab / "tasks.yaml").read_text())
    catalog["tasks"][0]["captions"] = "captions.yaml"
    (lab / "tasks.yaml").write_text(yaml.safe_dump(catalog))
    workspace = opened(lab)
    shards = wanted_shards(workspace.catalogued, [Want(Text())])
    for cell, shard in wanted_cells(workspace.catalogued.models, shards):
        columns = {
            "model": cell.model,
            "pretrained": cell.pretrained,
            "task": cell.task,
            "image_id": [ref.image_id for ref in shard.images],
            "image_sha256": [ref.sha256 for ref in shard.images],
            "text": "x",
            "vector": [0.6, 0.8],
        }
        n = len(shard.images)
        rows = [
            {k: v[i] if k.startswith("image") else v for k, v in columns.items()} for i in range(n)
        ]
        workspace.store.write(cell, Text(), pa.Table.from_pylist(rows, Text().row_schema()))
    captions.rename(lab / "away.yaml")
    assert collect(opened(lab), older_than_days=0.0, dry_run=True) == []
    catalog["tasks"][0]["captions"] = "away.yaml"
    (lab / "tasks.yaml").write_text(yaml.safe_dump(catalog))
    assert collect(opened(lab), older_than_days=0.0, dry_run=True) == []
    (lab / "away.yaml").write_text("a: [an ape]\nb: [a bee]\n")
    found = collect(opened(lab), older_than_days=0.0, dry_run=True)
    assert [one.what for one in found] == ["cells"] * 2


def test_cells_of_a_newer_version_are_left_alone(lab):
    newer = Prediction().digest_under(SCHEMA_VERSION + 1)
    old = lab / "store" / "prediction" / Prediction().digest
    shutil.copytree(old, old.parent / newer)
    shutil.copytree(old, old.parent / ("0" * 16))
    (old.parent / ("0" * 16) / "settings.json").unlink()
    write_catalogs(lab, tasks=TASKS[:1])
    found = collect(opened(lab), older_than_days=0.0, dry_run=True)
    assert {one.path.split("/")[1] for one in found} == {Prediction().digest}


def test_a_pack_whose_index_is_damaged_is_no_leftover(lab):
    compact(opened(lab).store)
    folder = lab / "store" / "prediction" / Prediction().digest / f"{MODELS[0]}@demo"
    (index,) = folder.glob("pack.*.json")
    whole = index.read_bytes()
    index.write_text("{}")
    assert collect(opened(lab), older_than_days=0.0, dry_run=False) == []
    index.write_bytes(whole)
    assert len(cells(opened(lab))) == 8
    index.unlink()
    (gone,) = collect(opened(lab), older_than_days=0.0, dry_run=True)
    assert gone.what == "packs"


def test_quarantine_and_failures_go_by_age(lab):
    store = opened(lab).store
    cell, _ = wanted(opened(lab))[0]
    lost = CellId(cell.model, cell.pretrained, "gone", "0" * 32, cell.settings, cell.kind)
    store.fail(lost, Prediction(), "no memory")
    store.folder.write_atomic("quarantine/prediction/x.parquet.abc", b"bad")
    assert collect(opened(lab), older_than_days=1.0, dry_run=False) == []
    found = collect(opened(lab), older_than_days=0.0, dry_run=False)
    assert sorted(one.what for one in found) == ["failures", "quarantine"]
    assert store.failed("prediction", Prediction().digest).is_empty()


def test_while_a_run_writes_nothing_is_touched(lab):
    write_catalogs(lab, models=MODELS[:1])
    workspace = opened(lab)
    before = cells(workspace)
    with hold_run_lease(str(lab / "store")):
        for work in (
            lambda: collect(workspace, older_than_days=0.0, dry_run=False),
            lambda: compact(workspace.store),
            lambda: migrate(workspace),
        ):
            with pytest.raises(ExecutionError, match="another run works on"):
                work()
        assert collect(workspace, older_than_days=0.0, dry_run=True)
    assert cells(workspace) == before
    assert collect(workspace, older_than_days=0.0, dry_run=False)


def test_a_run_waits_for_no_maintenance(lab):
    from vlmsel.execution.lease import hold_maintenance_lease

    uri = str(lab / "store")
    with hold_maintenance_lease(uri, settle_s=0.0):
        with (
            pytest.raises(ExecutionError, match="another maintenance works on"),
            hold_run_lease(uri),
        ):
            pass
        assert not list((lab / "store" / "leases" / "runs").iterdir())


def test_a_dead_run_is_no_obstacle(lab):
    leases = lab / "store" / "leases" / "runs"
    leases.mkdir(parents=True)
    note = {"owner": "host:1:x:y", "since": 1.0, "until": time.time() - 1}
    (leases / "a.json").write_text(json.dumps(note))
    assert compact(opened(lab).store).n_cells == 8
    assert list(leases.iterdir()) == []


def test_only_finished_tasks_are_compacted(lab):
    workspace = opened(lab)
    (cell,) = [c for c, _ in wanted(workspace) if c.task == "cats" and c.model == MODELS[0]][:1]
    path = workspace.store.cells("prediction", Prediction().digest)[cell]
    (lab / "store" / path).unlink()
    before = cells(workspace)
    assert compact(workspace.store).n_cells == 6
    assert cells(workspace) == before
    (left,) = [p for p in (lab / "store").rglob("cats@*.parquet")]
    assert MODELS[0] in left.parent.name


@pytest.fixture
def next_schema(monkeypatch):
    """The version after this one, in every module that names it."""
    from vlmsel import settings
    from vlmsel.store import keys, row_bytes

    version = settings.SCHEMA_VERSION
    for module in (settings, keys, row_bytes, measurement, known_settings, upkeep):
        monkeypatch.setattr(module, "SCHEMA_VERSION", version + 1)
    assert profile.Profile().digest != profile.Profile().digest_under(version)
    return version


@pytest.mark.parametrize("packed", [False, True])
def test_a_new_schema_is_migrated_and_nothing_measured(lab, monkeypatch, request, packed):
    before = opened(lab).store.scan(opened(lab).evidence.files("prediction")).rows
    if packed:
        compact(opened(lab).store)
    version = request.getfixturevalue("next_schema")
    workspace = opened(lab)
    assert workspace.plan(["prediction"]).n_missing == 8
    with pytest.raises(StoreError, match=f"prediction of schema {version} cannot be brought"):
        migrate(workspace)
    monkeypatch.setitem(migration.CONVERSIONS, ("prediction", version), lambda rows: rows)
    done = migrate(workspace)
    assert done[f"prediction of schema {version}"].n_cells == 8
    again = opened(lab)
    assert again.plan(["prediction"]).n_missing == 0
    after = again.store.scan(again.evidence.files("prediction")).rows
    key = ["model", "task", "image_id"]
    assert after.sort(key).equals(before.sort(key))
    assert migrate(again)[f"prediction of schema {version}"].n_cells == 0
    # A damaged cell that stays behind is no success.
    if not packed:
        lost = next(iter(again.store.cells("prediction", Prediction().digest).values()))
        (lab / "store" / lost).unlink()
        for path in (lab / "store" / "prediction").glob("*/*/*.parquet"):
            if Prediction().digest not in str(path):
                path.write_bytes(path.read_bytes() + b"x")
        assert run(["store", "migrate", "--store", str(lab / "store")]) == 1
    # The cells of the earlier version are garbage now.
    found = collect(opened(lab), older_than_days=0.0, dry_run=False)
    assert len(found) == 8
    assert opened(lab).plan(["prediction"]).n_missing == (0 if packed else 1)

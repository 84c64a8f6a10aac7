"""Evidence: every file is read once, what is corrupt or partial is named and not counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.store.cases import PAPER, PROFILE, make_predictions, make_rows
from vlmsel.columns import MEASURED
from vlmsel.evidence.accuracies import join_imported
from vlmsel.evidence.catalog_contents import Candidate, Catalogued
from vlmsel.evidence.evidence import Evidence
from vlmsel.evidence.wanted_cells import wanted_cells, wanted_shards
from vlmsel.measurements import Embedding, Prediction, Want
from vlmsel.published import stored_tables
from vlmsel.store import CellId, Store
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.shards import Shard
from vlmsel.tasks.task_catalog import TaskSpec
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

N_IMAGES = 30  # two shards: the strata of 25 and of the rest
MODELS = ("RN50", "ViT-B-32")
PREDICTION = Prediction()
WANTS = {"profile": Want(PROFILE), "prediction": Want(PREDICTION)}


def make_model(name: str, weights: str = "w") -> Candidate:
    identity = ModelIdentity(
        architecture=name, activation="gelu", preprocessing="p", weights_sha256=weights
    )
    return ModelSpec(model=name, pretrained="openai"), identity


def make_images(task: str, n_images: int = N_IMAGES, *, labelled: bool = True) -> TaskIndex:
    """Images of two classes in turn."""
    return TaskIndex(
        task,
        tuple(
            ImageRef(f"{i:02}.png", f"{task} {i}", f"/{task}", None, i % 2 if labelled else None)
            for i in range(n_images)
        ),
    )


def make_catalogued(
    indexes: Iterable[TaskIndex], models: Iterable[str] = MODELS, **fields: object
) -> Catalogued:
    specs = {
        index.task: TaskSpec(name=index.task, images="/x", classnames=("cat", "dog"), **fields)
        for index in indexes
    }
    return Catalogued(
        models=tuple(make_model(name) for name in models),
        specs=specs,
        indexes={index.task: index for index in indexes},
        prompts={name: class_prompts(spec) for name, spec in specs.items()},
    )


@pytest.fixture
def catalogued() -> Catalogued:
    return make_catalogued([make_images("cars"), make_images("pets")])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def wanted(catalogued: Catalogued, wants: Iterable[Want]) -> list[tuple[CellId, Shard]]:
    return list(wanted_cells(catalogued.models, wanted_shards(catalogued, list(wants))))


def measure(
    store: Store,
    catalogued: Catalogued,
    wants: Iterable[Want] = tuple(WANTS.values()),
    failed: tuple[str, ...] = (),
) -> None:
    """Every wanted cell; a model answers class 0 on all images, ViT-B-32 class 1."""
    by_kind = {want.kind: want.measurement for want in wants}
    for cell, shard in wanted(catalogued, wants):
        names = [ref.image_id for ref in shard.images]
        some = {
            "images": [name for name in names if name not in failed],
            "failed": [name for name in names if name in failed],
        }
        if cell.kind == "profile":
            rows = make_rows(cell, **some)
        else:
            rows = make_predictions(cell, answer=int(cell.model == "ViT-B-32"), **some)
        store.write(cell, by_kind[cell.kind], rows)


def drop(store: Store, path: str) -> None:
    store.folder.delete(path)


def spoil(store: Store, path: str) -> None:
    store.folder.write_atomic(path, store.folder.read(path)[:-1])


def places(frame: pl.DataFrame) -> list[tuple[str, str]]:
    return frame.select("model", "task").rows()


EVERY_PLACE = [(model, task) for model in MODELS for task in ("cars", "pets")]


def test_what_is_measured_is_known(store: Store, catalogued: Catalogued) -> None:
    measure(store, catalogued)
    evidence = Evidence(store, catalogued, WANTS)
    assert places(evidence.accuracies) == EVERY_PLACE
    assert set(evidence.accuracies["acc1"]) == {0.5}
    assert set(evidence.accuracies["n_images"]) == {N_IMAGES}
    assert evidence.profiles.height == len(EVERY_PLACE) * N_IMAGES * 3
    assert evidence.predictions.height == len(EVERY_PLACE) * N_IMAGES
    assert "logits" not in evidence.predictions.columns
    for frame, key in ((evidence.profiles, ["image_id", "block"]), (evidence.predictions, [])):
        order = ["model", "pretrained", "task", *(key or ["image_id"])]
        assert frame.equals(frame.sort(order))
    assert evidence.failed_images.is_empty()
    assert evidence.label_faults == ()


def test_of_an_empty_store_nothing_is_known(store: Store, catalogued: Catalogued) -> None:
    evidence = Evidence(store, catalogued, WANTS)
    assert evidence.files("profile") == {}
    for frame in (evidence.profiles, evidence.predictions, evidence.accuracies):
        assert frame.is_empty()
    assert evidence.failed_images.is_empty()
    imported = stored_tables.read_accuracies(store.folder)
    assert join_imported(evidence.accuracies, imported).is_empty()
    assert not Path(store.uri).exists()


def test_a_kind_that_is_not_wanted_is_not_read(store: Store, catalogued: Catalogued) -> None:
    measure(store, catalogued)
    evidence = Evidence(store, catalogued, {"profile": WANTS["profile"]})
    assert evidence.wanted("prediction") == frozenset()
    assert evidence.predictions.is_empty()
    assert evidence.accuracies.is_empty()
    assert evidence.profiles.height


def test_every_file_is_opened_once(
    store: Store, catalogued: Catalogued, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(store, catalogued, failed=("03.png",))
    opened: Counter[str] = Counter()
    kind = type(store.folder)
    real = kind.read

    def read(self: object, path: str) -> bytes:
        opened[path] += 1
        return real(self, path)

    monkeypatch.setattr(kind, "read", read)
    evidence = Evidence(store, catalogued, WANTS)
    for _ in range(2):
        for frame in (evidence.profiles, evidence.failed_images):
            assert frame.height
        for frame in (evidence.predictions, evidence.labels, evidence.accuracies):
            assert frame.height
    cells = [*evidence.files("profile").values(), *evidence.files("prediction").values()]
    assert opened == Counter(cells)


def test_files_are_listed_once(
    store: Store, catalogued: Catalogued, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(store, catalogued)
    evidence = Evidence(store, catalogued, WANTS)
    first = evidence.files("prediction")
    monkeypatch.setattr(Store, "cells", None)
    assert evidence.files("prediction") is first
    assert len(first) == 2 * 2 * 2


@pytest.mark.parametrize("kind", ["profile", "prediction"])
def test_a_corrupt_file_is_named_left_and_passed_over(
    store: Store, catalogued: Catalogued, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    measure(store, catalogued)
    files = Evidence(store, catalogued, WANTS).files(kind)
    cell, path = next((c, p) for c, p in files.items() if (c.model, c.task) == EVERY_PLACE[1])
    spoil(store, path)
    evidence = Evidence(store, catalogued, WANTS)
    frame = evidence.profiles if kind == "profile" else evidence.predictions
    images = frame.select("model", "task", "image_id").unique()
    assert 3 * N_IMAGES <= images.height < 4 * N_IMAGES
    assert f"passed over a corrupt file: {cell}" in caplog.text
    assert path in store.folder.files(kind), "it is left where it is"
    assert store.folder.files("quarantine") == []
    lost = [EVERY_PLACE[1]] if kind == "prediction" else []
    assert places(evidence.accuracies) == [place for place in EVERY_PLACE if place not in lost]


def test_a_task_with_a_missing_cell_is_not_counted(store: Store, catalogued: Catalogued) -> None:
    measure(store, catalogued)
    files = Evidence(store, catalogued, WANTS).files("prediction")
    drop(store, next(p for c, p in files.items() if (c.model, c.task) == EVERY_PLACE[2]))
    evidence = Evidence(store, catalogued, WANTS)
    assert places(evidence.accuracies) == [EVERY_PLACE[i] for i in (0, 1, 3)]
    assert 3 * N_IMAGES < evidence.predictions.height < 4 * N_IMAGES
    assert evidence.profiles.height == 4 * N_IMAGES * 3


def test_what_is_measured_of_fewer_images_counts_when_fewer_are_wanted(
    store: Store, catalogued: Catalogued
) -> None:
    few = {"prediction": Want(PREDICTION, 25)}
    measure(store, catalogued, few.values())
    assert Evidence(store, catalogued, WANTS).accuracies.is_empty()
    assert Evidence(store, catalogued, WANTS).predictions.height == 4 * 25
    found = Evidence(store, catalogued, few).accuracies
    assert places(found) == EVERY_PLACE
    assert set(found["n_images"]) == {25}


def test_failed_images_are_left_out_and_named(store: Store, catalogued: Catalogued) -> None:
    measure(store, catalogued, failed=("01.png", "04.png"))
    evidence = Evidence(store, catalogued, WANTS)
    assert evidence.failed_images.rows() == [
        (model, "openai", task, image, "truncated")
        for model, task in EVERY_PLACE
        for image in ("01.png", "04.png")
    ]
    assert not set(evidence.profiles["image_id"]) & {"01.png", "04.png"}
    assert places(evidence.accuracies) == EVERY_PLACE
    assert set(evidence.accuracies["n_images"]) == {N_IMAGES - 2}


def test_what_the_catalogs_no_longer_name_is_not_read(store: Store, catalogued: Catalogued) -> None:
    measure(store, catalogued)
    measure(store, make_catalogued([make_images("dtd", 3)], ["RN101"]))
    fewer = replace(catalogued.only(["pets"]), models=catalogued.models[:1])
    evidence = Evidence(store, fewer, WANTS)
    for frame in (evidence.profiles, evidence.predictions, evidence.accuracies):
        assert set(places(frame)) == {("RN50", "pets")}
    other = replace(catalogued, models=(make_model("RN50", "other weights"),))
    assert Evidence(store, other, WANTS).accuracies.is_empty()
    settings = {"profile": Want(PAPER), "prediction": Want(Prediction(logits=1))}
    assert Evidence(store, catalogued, settings).profiles.is_empty()
    assert Evidence(store, catalogued, settings).predictions.is_empty()


def test_mended_labels_change_accuracies_and_measure_nothing(
    tmp_path: Path, store: Store, catalogued: Catalogued
) -> None:
    measure(store, catalogued)
    before = Evidence(store, catalogued, WANTS)
    path = tmp_path / "labels.csv"
    path.write_text("image,label\n" + "".join(f"{i:02}.png,cat\n" for i in range(N_IMAGES)))
    mended = make_catalogued(catalogued.indexes.values(), labels=str(path))
    after = Evidence(store, mended, WANTS)
    for kind in WANTS:
        assert after.wanted(kind) == before.wanted(kind)
        assert len(after.files(kind)) == len(after.wanted(kind)), "nothing is to be measured"
    assert set(before.accuracies["acc1"]) == {0.5}
    assert after.accuracies["acc1"].to_list() == [1.0, 1.0, 0.0, 0.0]
    # Labels of the images themselves enter no key either.
    bare = [make_images(task, labelled=False) for task in ("cars", "pets")]
    assert Evidence(store, make_catalogued(bare), WANTS).wanted("prediction") == after.wanted(
        "prediction"
    )


def test_a_label_that_is_added_later_is_enough(tmp_path: Path, store: Store) -> None:
    bare = make_catalogued([make_images("cars", 4, labelled=False)])
    measure(store, bare)
    none = Evidence(store, bare, WANTS)
    assert none.accuracies.is_empty()
    assert none.predictions.height == 2 * 4
    (fault,) = none.label_faults
    assert (fault.model, fault.task) == ("", "cars")
    assert "task 'cars' has no labels" in fault.reason
    path = tmp_path / "labels.csv"
    path.write_text("image,label\n00.png,cat\n02.png,dog\n03.png,dog\n")
    mended = make_catalogued(bare.indexes.values(), labels=str(path))
    found = Evidence(store, mended, WANTS).accuracies
    assert found.select("acc1", "n_images").rows() == [
        (pytest.approx(1 / 3), 3),
        (pytest.approx(2 / 3), 3),
    ]


def test_a_wrong_labels_file_is_a_fault_of_its_task_alone(
    tmp_path: Path, store: Store, catalogued: Catalogued
) -> None:
    measure(store, catalogued)
    specs = dict(catalogued.specs)
    specs["cars"] = specs["cars"].model_copy(update={"labels": str(tmp_path / "none.csv")})
    evidence = Evidence(store, replace(catalogued, specs=specs), WANTS)
    assert places(evidence.accuracies) == [place for place in EVERY_PLACE if place[1] == "pets"]
    (fault,) = evidence.label_faults
    assert str(fault) == f"cars: labels {tmp_path}/none.csv: No such file or directory"
    assert set(evidence.labels["task"]) == {"pets"}


def test_tasks_without_class_names_are_asked_no_predictions(store: Store) -> None:
    catalogued = make_catalogued([make_images("cars", 3), make_images("bare", 3, labelled=False)])
    some = replace(catalogued, prompts={"cars": catalogued.prompts["cars"]})
    evidence = Evidence(store, some, WANTS)
    assert {cell.task for cell in evidence.wanted("profile")} == {"cars", "bare"}
    assert {cell.task for cell in evidence.wanted("prediction")} == {"cars"}
    assert evidence.label_faults == ()


def test_imports_stand_beside(store: Store, catalogued: Catalogued) -> None:
    measure(store, catalogued.only(["cars"]))
    row = {"model": ["RN50"] * 2, "pretrained": ["openai"] * 2, "task": ["cars", "pets"]}
    stored_tables.write_accuracies(store.folder, pl.DataFrame({**row, "acc1": [0.1, 0.2]}), "lovm")
    measured = Evidence(store, catalogued, WANTS).accuracies
    found = join_imported(measured, stored_tables.read_accuracies(store.folder))
    assert found.select("model", "task", "acc1", "source").rows() == [
        ("RN50", "cars", 0.5, MEASURED),
        ("RN50", "pets", 0.2, "lovm"),
        ("ViT-B-32", "cars", 0.5, MEASURED),
    ]


def test_shards_are_shared_by_kinds_that_want_different_numbers(catalogued: Catalogued) -> None:
    wants = [Want(PROFILE, 25), Want(PREDICTION), Want(Embedding(), 3)]
    shards = wanted_shards(catalogued.only(["cars"]), wants)
    assert [(len(s.shard.images), [a.kind for a in s.asked]) for s in shards] == [
        (25, ["profile", "prediction"]),
        (5, ["prediction"]),
        (3, ["embedding"]),
    ]
    model = catalogued.models[0]
    cells = [cell for shard in shards for cell in shard.cells(model)]
    assert len(set(cells)) == len(cells) == 4
    assert set(cells) == {cell for cell, _ in wanted_cells([model], shards)}


def test_a_cell_follows_from_all_that_can_change_its_values(catalogued: Catalogued) -> None:
    fewer = replace(catalogued.only(["cars"]), models=catalogued.models[:1])

    def keys(found: Catalogued, wants: Iterable[Want] = tuple(WANTS.values())) -> dict[str, str]:
        cells = wanted(found, wants)
        return {cell.kind: cell.key for cell, shard in cells if len(shard.images) == 25}

    base = keys(fewer)
    prompts = {"cars": replace(fewer.prompts["cars"], templates=("a {}",))}
    other_prompts = keys(replace(fewer, prompts=prompts))
    assert other_prompts["profile"] == base["profile"]
    assert other_prompts["prediction"] != base["prediction"]
    weights = replace(fewer, models=(make_model("RN50", "other"),))
    images = list(fewer.indexes["cars"].images)
    renamed = [replace(ref, sha256="x" + ref.sha256) for ref in images]
    pixels = replace(fewer, indexes={"cars": TaskIndex("cars", tuple(renamed))})
    settings = (Want(PAPER), Want(Prediction(logits=1)))
    for other in (keys(weights), keys(pixels), keys(fewer, settings)):
        assert not set(other.values()) & set(base.values())
    moved = [replace(ref, source="/elsewhere", label=None) for ref in images]
    elsewhere = replace(fewer, indexes={"cars": TaskIndex("cars", tuple(moved))})
    assert keys(elsewhere) == base
    assert keys(fewer, (Want(PROFILE, 25), Want(PREDICTION, 26))) == base

"""``vlmsel measure``: kinds, numbers and settings as they are said, and labels that are mended."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from tests.cli.conftest import Answer, Lab
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store

KINDS = ("profile", "prediction", "embedding")
QUICK = ("--set", "n_steps=2", "--set", "rule=left", "--set", "path=uniform")

Command = Callable[..., Answer]


@pytest.fixture
def catalogs(lab: Lab, tmp_path: Path) -> list[str]:
    """One model on two labelled tasks of 16 images, and a store that is not there yet."""
    for name, source in (("models", lab.zoo), ("tasks", lab.tasks)):
        some = yaml.safe_load(source.read_text())[name]
        chosen = some[:1] if name == "models" else some[:2]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({name: chosen}))
    places = {"zoo": "models.yaml", "tasks": "tasks.yaml", "store": "store"}
    return [word for key, name in places.items() for word in (f"--{key}", str(tmp_path / name))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def measured(store: Store, kind: str) -> dict[str, set[CellId]]:
    """Cells by settings digest."""
    return {digest: set(store.cells(kind, digest)) for digest in store.settings(kind)}


def n_images(store: Store, kind: str, task: str = "letters-a") -> int:
    """Images of a task with rows of a kind, under whichever settings."""
    files = {
        cell: path
        for digest in store.settings(kind)
        for cell, path in store.cells(kind, digest).items()
        if cell.task == task
    }
    return store.scan(files, columns=["image_id", "reason"]).measured["image_id"].n_unique()


def test_three_kinds_in_one_pass_and_nothing_twice(
    catalogs: list[str], store: Store, vlmsel: Command
) -> None:
    answer = vlmsel("measure", *KINDS, *catalogs, "--n-images", "4", *QUICK, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    assert (said["measured"], said["failures"]) == (6, 0)
    rows = said["by_model_and_task"]
    assert {row["kind"]: row["n_images"] for row in rows} == dict.fromkeys(KINDS, 4)
    # One decoding of an image serves the three.
    assert sum(row["n_decoded"] for row in rows) == 2 * 4
    assert {kind: n_images(store, kind) for kind in KINDS} == dict.fromkeys(KINDS, 4)
    again = vlmsel("measure", *KINDS, "--store", store.uri)
    assert again.code == 0
    assert "6 cells are measured already, nothing to do" in again.err


def test_kinds_one_after_the_other_fill_the_same_store(
    catalogs: list[str], store: Store, vlmsel: Command
) -> None:
    assert vlmsel("measure", "embedding", *catalogs).code == 0
    assert vlmsel("measure", "prediction", "--store", store.uri).code == 0
    said = json.loads(vlmsel("status", "--store", store.uri, "--json").out)
    assert [row["kind"] for row in said["rows"]] == ["embedding", "prediction"]
    assert (said["measured"], said["missing"]) == (4, 0)


def test_a_kind_said_twice_is_one(catalogs: list[str], vlmsel: Command) -> None:
    answer = vlmsel("measure", "embedding", "embedding", *catalogs, "--dry-run", "--json")
    assert [row["to_measure"] for row in json.loads(answer.out)["plan"]] == [2]


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ([], {"profile": 16, "prediction": 16, "embedding": 16}),
        (["3"], {"profile": 3, "prediction": 3, "embedding": 3}),
        (["all"], {"profile": 16, "prediction": 16, "embedding": 16}),
        (["profile=2"], {"profile": 2, "prediction": 16, "embedding": 16}),
        (["3", "prediction=all"], {"profile": 3, "prediction": 16, "embedding": 3}),
        # One kind wins over all of them, in whichever order they are said.
        (["embedding=5", "3"], {"profile": 3, "prediction": 3, "embedding": 5}),
    ],
)
def test_numbers_of_images(
    catalogs: list[str], store: Store, vlmsel: Command, said: list[str], numbers: dict[str, int]
) -> None:
    options = [word for number in said for word in ("--n-images", number)]
    answer = vlmsel("measure", *KINDS, *catalogs, *options, *QUICK)
    assert answer.code == 0, answer.err
    assert {kind: n_images(store, kind) for kind in KINDS} == numbers


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "", "profile=", "profile=0", "٣", "1e3"])
def test_numbers_that_are_none(catalogs: list[str], vlmsel: Command, number: str) -> None:
    answer = vlmsel("measure", "profile", *catalogs, f"--n-images={number}")
    assert answer.code == 2
    assert answer.error == f"--n-images {number}: give a number of at least 1, all, or KIND=N"


def test_the_number_of_a_kind_that_is_not_measured(catalogs: list[str], vlmsel: Command) -> None:
    answer = vlmsel("measure", "profile", *catalogs, "--n-images", "embedding=3")
    assert answer.code == 2
    assert answer.error == "--n-images embedding=3: embedding is not measured here"
    answer = vlmsel("measure", "profile", *catalogs, "--n-images", "profil=3")
    assert answer.code == 2
    assert "there is no measurement 'profil'; did you mean profile" in answer.error


def draw(path: Path, seed: int) -> None:
    """Write a small image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_a_larger_number_measures_the_new_images_only(
    lab: Lab, store: Store, vlmsel: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    for number in range(60):
        draw(folder / f"{number}.png", number)
    (tmp_path / "tasks.yaml").write_text(f"tasks: [{{name: mine, images: {folder}}}]")
    (tmp_path / "zoo.yaml").write_text(
        yaml.safe_dump({"models": yaml.safe_load(lab.zoo.read_text())["models"][:1]})
    )
    where = ["--zoo", tmp_path / "zoo.yaml", "--tasks", tmp_path / "tasks.yaml"]
    counts = []
    for number in ("25", "50", "all"):
        answer = vlmsel(
            "measure", "embedding", *where, "--store", store.uri, "--n-images", number, "--json"
        )
        counts.append(json.loads(answer.out)["by_model_and_task"][0]["n_images"])
    assert counts == [25, 25, 10]
    assert n_images(store, "embedding", "mine") == 60


def test_a_setting_of_every_kind(
    lab: Lab, catalogs: list[str], store: Store, vlmsel: Command
) -> None:
    model = yaml.safe_load(lab.zoo.read_text())["models"][0]["model"]
    known = Store(lab.store)
    (digest,) = known.settings("profile")
    files = {c: path for c, path in known.cells("profile", digest).items() if c.model == model}
    name = known.scan(files, columns=["block_name"]).rows["block_name"][0]
    settings = [*QUICK, "--set", "logits=1", "--set", f"layer={name}"]
    answer = vlmsel("measure", *KINDS, *catalogs, "--n-images", "2", *settings)
    assert answer.code == 0, answer.err
    (profile,) = store.settings("profile").values()
    assert profile.model_dump()["settings"]["n_steps"] == 2
    (prediction,) = store.settings("prediction").values()
    assert prediction.model_dump()["logits"] == 1
    (embedding,) = store.settings("embedding").values()
    assert embedding.model_dump() == {"layer": name}
    # Other settings are other cells; those of before stay, and are what the store remembers last.
    answer = vlmsel("measure", "prediction", "--store", store.uri, "--set", "logits=full")
    assert answer.code == 0, answer.err
    assert sorted(len(cells) for cells in measured(store, "prediction").values()) == [2, 2]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("n_steps", "--set n_steps: write it as KEY=VALUE"),
        ("nsteps=3", "no attribution setting 'nsteps'; did you mean n_steps"),
        ("logits=none", "prediction setting logits='none'"),
        ("logits=0", "prediction setting logits='0'"),
        ("layer=", "embedding setting layer=''"),
    ],
)
def test_settings_that_are_none(
    catalogs: list[str], vlmsel: Command, setting: str, said: str
) -> None:
    answer = vlmsel("measure", *KINDS, *catalogs, "--set", setting)
    assert answer.code == 2
    assert said in answer.error


def test_a_setting_of_another_kind_is_refused(catalogs: list[str], vlmsel: Command) -> None:
    answer = vlmsel("measure", "embedding", *catalogs, "--set", "logits=1", "--dry-run")
    assert answer.code == 2
    assert "prediction is not measured here" in answer.error


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (["predictoin"], "there is no measurement 'predictoin'; did you mean prediction"),
        (["profile", "colour"], "there is no measurement 'colour'; there are: profile, prediction"),
    ],
)
def test_a_kind_that_does_not_exist(
    catalogs: list[str], vlmsel: Command, kinds: list[str], said: str
) -> None:
    answer = vlmsel("measure", *kinds, *catalogs)
    assert answer.code == 2
    assert said in answer.error
    assert answer.err.count("\n") == 1, "nothing else was begun"


def test_no_kind_is_a_usage_error(catalogs: list[str], vlmsel: Command) -> None:
    answer = vlmsel("measure", *catalogs)
    assert answer.code == 2
    assert "KIND" in answer.err


def test_status_right_after_a_first_accuracy_misses_nothing(
    catalogs: list[str], store: Store, vlmsel: Command
) -> None:
    assert vlmsel("accuracy", *catalogs).code == 0
    answer = vlmsel("status", "--store", store.uri, "--json")
    said = json.loads(answer.out)
    # What was never asked for, such as profiles, is not missing.
    assert (answer.code, said["measured"], said["missing"]) == (0, 2, 0)
    assert {row["kind"] for row in said["rows"]} == {"prediction"}


def write_labels(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{image},{label}\n" for image, label in [("image", "label"), *rows]))
    return path


@pytest.fixture(scope="module")
def answered(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Store]:
    """One model's predictions on one labelled folder of images: the command line to ask again."""
    folder = tmp_path_factory.mktemp("answered")
    models = yaml.safe_load(lab.zoo.read_text())["models"][:1]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": models}))
    tasks = {"name": "mine", "images": str(folder / "images"), "classnames": ["hi", "lo"]}
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": [tasks]}))
    for number in range(6):
        draw(folder / "images" / ("lo" if number % 2 else "hi") / f"{number}.png", number)
    store = Store(folder / "store")
    command = ["accuracy", "--zoo", folder / "zoo.yaml", "--tasks", folder / "tasks.yaml"]
    return [*map(str, command), "--store", store.uri], store


def test_mended_labels_measure_nothing_and_change_the_accuracy(
    answered: tuple[list[str], Store], vlmsel: Command, tmp_path: Path
) -> None:
    command, store = answered
    first = json.loads(vlmsel(*command, "--json").out)
    assert [row["n_images"] for row in first["accuracies"]] == [6]
    before = sorted(store.folder.files(""))
    images = [f"{('hi', 'lo')[number % 2]}/{number}.png" for number in range(6)]
    found = []
    for label in ("hi", "lo"):
        file = write_labels(tmp_path / f"{label}.csv", [(image, label) for image in images])
        answer = vlmsel(*command, "--labels", file, "--json")
        assert answer.code == 0, answer.err
        said = json.loads(answer.out)
        assert (said["measured"], said["skipped"]) == (0, 1)
        found.append(said["accuracies"][0]["acc1"])
    # Of two classes, each answer is right under one of the two files.
    assert sum(found) == pytest.approx(1.0)
    assert sorted(store.folder.files("")) == before
    # One row mends one image; the others keep the labels of their folders.
    file = write_labels(tmp_path / "one.csv", [("hi/0.png", "lo")])
    said = json.loads(vlmsel(*command, "--labels", f"mine={file}", "--json").out)
    assert said["measured"] == 0
    assert said["accuracies"][0]["n_images"] == 6
    change = said["accuracies"][0]["acc1"] - first["accuracies"][0]["acc1"]
    assert abs(change) == pytest.approx(1 / 6)


def test_details_of_accuracies_are_written_beside_each_other(
    answered: tuple[list[str], Store], vlmsel: Command, tmp_path: Path
) -> None:
    command, _ = answered
    answer = vlmsel(*command, "--details", tmp_path / "details", "--json")
    assert answer.code == 0, answer.err
    (accuracy,) = json.loads(answer.out)["accuracies"]
    read = {
        name: pl.read_csv(tmp_path / "details" / f"{name}.csv")
        for name in ("per_class", "confusion", "calibration")
    }
    assert read["per_class"]["classname"].to_list() == ["hi", "lo"]
    assert read["per_class"]["accuracy"].mean() == pytest.approx(accuracy["mean_per_class_recall"])
    right = read["confusion"].filter(pl.col("classname") == pl.col("answer"))["n_images"].sum()
    assert right / read["confusion"]["n_images"].sum() == pytest.approx(accuracy["acc1"])
    assert 0 <= read["calibration"]["calibration_error"][0] <= 1
    (tmp_path / "file").write_text("")
    refused = vlmsel(*command, "--details", tmp_path / "file" / "x")
    assert refused.code == 2
    assert "--details" in refused.error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "image,label\nhi/9.png,hi\n",
            "line 2: the task has no image 'hi/9.png'; did you mean hi/",
        ),
        ("image,label\nhi/0.png,high\n", "line 2: no class is named 'high'"),
        ("image,label\nhi/0.png,hi\nhi/0.png,lo\n", "line 3: image 'hi/0.png' comes twice"),
        ("image,label\nhi/0.png\n", "line 2: a row needs an image and a label"),
        ("image,class\nhi/0.png,hi\n", "no column label; the first line must be image,label"),
        ("image,label\n", "holds no labels"),
        ("", "no column image and label"),
        ("image,label\nhi/0.png,\xff\n", "not UTF-8 text"),
    ],
)
def test_labels_that_are_wrong_are_one_line(
    answered: tuple[list[str], Store], vlmsel: Command, tmp_path: Path, text: str, said: str
) -> None:
    command, _ = answered
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode("latin-1"))
    answer = vlmsel(*command, "--labels", file)
    assert answer.code == 2
    assert str(file) in answer.error
    assert said in answer.error


def test_labels_that_are_not_there_or_of_no_task(
    answered: tuple[list[str], Store], lab: Lab, vlmsel: Command, tmp_path: Path
) -> None:
    command, _ = answered
    answer = vlmsel(*command, "--labels", tmp_path / "none.csv")
    assert answer.code == 2
    assert f"labels {tmp_path}/none.csv: No such file or directory" in answer.error
    file = write_labels(tmp_path / "labels.csv", [("hi/0.png", "hi")])
    answer = vlmsel(*command, "--labels", f"yours={file}")
    assert answer.code == 2
    assert "yours" in answer.error
    answer = vlmsel(*command, "--labels", file, "--labels", f"mine={file}")
    assert answer.code == 2
    assert f"task mine has {file} already" in answer.error
    many = vlmsel("accuracy", "--store", lab.store, "--labels", file)
    assert many.code == 2
    assert many.error == f"--labels {file}: the catalog has 6 tasks, say which: TASK={file}"

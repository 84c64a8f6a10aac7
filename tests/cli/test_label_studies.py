"""Labels through the command line: imports of other layouts, the study, and the verdict."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vlmsel.cli.app import run

TASKS = [
    "mnist",
    "svhn",
    "dtd",
    "eurosat",
    "gtsrb",
    "cars",
    "pets",
    "pcam",
    "stl10",
    "sun397",
    "resisc45",
    "imagenet1k",
]
COLUMNS = {"table", "selector", "rival", "n_labels", "metric", "mean", "delta", "delta_low"}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> str:
    folder = tmp_path_factory.mktemp("tracking")
    return f"sqlite:///{shutil.copy(empty_database, folder)}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight models on twelve tasks as a plain long table, and predictions of six models."""
    folder = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    skill = rng.normal(0.6, 0.08, 8)
    rows = [
        (f"m{m}", "x", task, float(np.clip(skill[m] + rng.normal(0, 0.1), 0, 1)))
        for task in TASKS
        for m in range(8)
    ]
    names = ["model", "pretrained", "task", "accuracy"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    table.write_csv(folder / "own.csv")
    truth = rng.integers(0, 3, 60)
    answers = [
        (f"m{m}", f"{i}.png", f"c{(t + (rng.random() > 0.5 + 0.05 * m)) % 3}", f"c{t}")
        for m in range(6)
        for i, t in enumerate(truth)
    ]
    names = ["model", "image", "pred_label", "label"]
    pl.DataFrame(answers, schema=names, orient="row").write_parquet(folder / "answers.parquet")
    for kind, file in (("accuracies", "own.csv"), ("predictions", "answers.parquet")):
        assert run(["import", kind, str(folder / file), "--store", str(folder / "store")]) == 0
    return folder / "store"


@pytest.fixture
def vlmsel(store, uri, tmp_path, capsys):
    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        place = ["--out", str(tmp_path / "out")] if words[0] == "study" else []
        code = run([*words, "--store", str(store), "--tracking-uri", uri, *place])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return command


def test_the_study_gives_a_list_of_rows(vlmsel, tmp_path):
    code, out, err = vlmsel(
        "study", "labels", "--imported", "--labels", "0,5", "--draws", "2", "--json"
    )
    assert code == 0, err
    rows = json.loads(out)
    assert set(rows[0]) >= COLUMNS | {"delta_high"}
    assert {row["table"] for row in rows} == {"own"}
    assert {row["rival"] for row in rows} == {"average-rank", "imagenet"}
    assert (tmp_path / "out" / "labels.csv").is_file()
    assert "simulated" in (tmp_path / "out" / "labels.svg").read_text()


def test_every_caption_says_that_it_is_simulated(vlmsel, tmp_path):
    page = tmp_path / "labels.md"
    words = ["--labels", "5", "--draws", "1", "--calibration", "--markdown", str(page)]
    code, out, err = vlmsel("study", "labels", "--imported", *words)
    assert code == 0, err
    titles = [line for line in out.splitlines() if "against" in line or "(simulated)" in line]
    assert len(titles) == 4
    assert all("simulated" in title for title in titles)
    text = page.read_text()
    assert text.lower().count("simulated") >= 3
    assert "cores" in text
    assert "Made by `vlmsel" in text
    assert "| answers |" in text
    assert (tmp_path / "out" / "labels-stopping.csv").is_file()


def test_the_study_of_predictions(vlmsel):
    words = ["--predictions", "--labels", "10,20", "--draws", "5", "--json"]
    code, out, err = vlmsel("study", "labels", *words)
    assert code == 0, err
    rows = json.loads(out)
    assert [row["n_labels"] for row in rows] == [10, 20]
    assert all(0 < row["realised"] < 3 for row in rows)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["study", "labels", "--imported", "--labels", "ten"], "write whole numbers"),
        (["study", "labels", "--imported", "--labels", "-5"], "write whole numbers"),
        (["study", "labels", "--imported", "--rho", "2"], "0 to 1"),
        (["study", "labels", "--imported", "--selector", "dcd"], "no effect"),
        (["study", "labels", "--predictions", "--rho", "0.5"], "simulates nothing"),
        (["study", "labels", "--predictions", "--labels", "0"], "write whole numbers of 3"),
        (["study", "labels", "--accuracies", "other"], "no imported accuracies named"),
        (["study", "zoos", "--imported", "--rho", "0.5"], "--rho belongs to study labels"),
        (["evaluate", "--imported", "--rho", "0.5"], "--rho belongs to --labels"),
        (["evaluate", "--imported", "--labels", "5", "--rho", "7"], "0 to 1"),
    ],
)
def test_bad_input_gets_one_line(vlmsel, words, fault):
    code, _, err = vlmsel(*words)
    assert code == 2
    assert fault in " ".join(err.split())


def test_evaluate_names_the_labels_that_a_choice_takes(vlmsel):
    selectors = ("posterior", "average-rank", "imagenet")
    chosen = [word for name in selectors for word in ("--selector", name)]
    code, out, err = vlmsel("evaluate", "--imported", "--labels", "0,400", "--json", *chosen)
    assert code == 0, err
    found = json.loads(out)
    names = {row["selector"] for row in found["summary"]}
    assert names == {"posterior@0", "posterior@400", "average-rank", "imagenet"}
    assert found["verdict"].startswith("With 400 labelled images, drawn at random, use posterior:")

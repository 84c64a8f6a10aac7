"""``vlmsel select`` with class names, labels, or no store: answers and refusals in one line."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.api.hand_answers import CLASSES as PETS
from tests.api.hand_answers import ORDER, make_answer, make_zoo
from tests.cli.conftest import Answer, Lab
from vlmsel.api.answer_options import AnswerOptions
from vlmsel.cli.answer_flags import AnswerFlags, OptionStyle
from vlmsel.cli.views.answer_view import answer_dict, read_options
from vlmsel.demo.bundle import SAMPLE_SEED
from vlmsel.demo.families import demo_task, draw
from vlmsel.errors import SettingsError
from vlmsel.selection.label_draw import draw_labels
from vlmsel.selection.zoo_answers import image_order

Command = Callable[..., Answer]
N_IMAGES = 6
CLASSES = demo_task("letters-a").classnames
NAMES = ["--classnames", ",".join(CLASSES)]
TEMPLATES = [part for text in demo_task("letters-a").templates for part in ("--template", text)]


def truth() -> dict[str, str]:
    """Image file -> class name, in the order in which labels are asked for."""
    _, labels = draw(demo_task("letters-a"), split="train", n=N_IMAGES, seed=SAMPLE_SEED)
    named = {f"{i:03d}.png": CLASSES[label] for i, label in enumerate(labels)}
    return dict(sorted(named.items(), key=lambda item: image_order(item[0])))


def labels_file(folder: Path, rows: list[tuple[str, str]]) -> Path:
    path = folder / "labels.csv"
    path.write_text("image,label\n" + "".join(f'{image},"{label}"\n' for image, label in rows))
    return path


@pytest.fixture
def ask(own_lab: Lab, vlmsel: Command) -> Callable[..., Answer]:
    def call(*args: object) -> Answer:
        return vlmsel("select", own_lab.images, "--store", own_lab.store, *args)

    return call


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a store, and no hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def test_labels_make_an_answer(ask, tmp_path):
    rows = list(truth().items())
    found = ask(*NAMES, *TEMPLATES, "--labels", labels_file(tmp_path, rows[:5]), "--json")
    assert found.code == 0, found.err
    answer = json.loads(found.out)
    assert answer["n_labels"] == 5
    assert answer["basis"] == "posterior"
    assert answer["first"] in answer["lines"][0]
    assert answer["label_next"] == [rows[5][0]]
    assert answer["n_models"] == 4
    assert 0 <= answer["expected_regret"] <= 1
    assert all(row["ms_image"] > 0 for row in answer["ranking"]), "as this run measured it"
    assert set(answer["regret_with_more_labels"]) == {"0", "25", "50", "100"}


def test_a_second_answer_says_what_changed_and_why(ask, tmp_path):
    rows = list(truth().items())
    report = tmp_path / "report.html"
    first = json.loads(ask(*NAMES, "--labels", labels_file(tmp_path, rows[:2]), "--json").out)
    assert first["changes"] == []
    labels = labels_file(tmp_path, rows[:5])
    found = ask(*NAMES, "--labels", labels, "--report", report)
    assert found.code == 0, found.err
    starts = ["is the first choice", "Expected accuracy", "Expected regret", "told apart"]
    starts += ["labels are worth", "Load it: ", "New since then: 3 more labels."]
    assert all(text in found.out for text in starts)
    assert "3 more labels." in report.read_text(encoding="utf-8")
    same = json.loads(ask(*NAMES, "--labels", labels, "--json").out)
    assert same["changes"][1] == "Nothing that enters the answer is new."


def test_class_folders_are_classes_and_labels(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "sorted"
    for image, name in truth().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(own_lab.images / image, folder / name / image)
    found = json.loads(vlmsel("select", folder, "--store", own_lab.store, "--json").out)
    assert found["n_labels"] == N_IMAGES
    assert found["class_names"] == sorted(set(truth().values()))
    assert "class folders" in found["warnings"][0]


def test_a_selector_of_profiles_looks_through_class_folders(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "sorted"
    for image, name in truth().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(own_lab.images / image, folder / name / image)
    command = ["select", folder, "--store", own_lab.store, "--selector", "average-rank", "--json"]
    found = vlmsel(*command)
    assert found.code == 0, found.err
    assert json.loads(found.out)["selector"] == "average-rank"


def test_wrong_labels_are_one_line(lab, vlmsel, tmp_path):
    labels = labels_file(tmp_path, [("nothing.png", "a")])
    command = ["select", lab.images, "--store", lab.store, "--labels", labels]
    found = vlmsel(*command, *NAMES)
    assert found.code == 2
    assert "the task has no image 'nothing.png'" in found.error
    assert "give --classnames a,b,c" in vlmsel(*command).error


def test_labels_that_do_not_count_are_in_the_document():
    labels = {ORDER[0]: 0, ORDER[1]: len(PETS), ORDER[2]: -1, ORDER[5]: 1, ORDER[8]: 0}
    draw = draw_labels(ORDER, labels)
    used = {image: labels[image] for image in draw.used}
    zoo = make_zoo()
    zoo = replace(zoo, facts=zoo.facts.with_columns(licence=pl.lit("mit")))
    document = answer_dict(make_answer(zoo=zoo, question={"labels": used}, draw=draw), 1)
    assert (document["n_labels"], document["n_labels_outside"]) == (1, 2)
    assert document["labels_not_used"] == (ORDER[5], ORDER[8])
    assert document["class_names"] == PETS


def test_flags_become_options(tmp_path):
    flags = AnswerFlags(
        classnames="a, b",
        template=["my {}."],
        labels=tmp_path / "labels.csv",
        labels_are_random=True,
        evaluated=tmp_path / "evaluated.csv",
        shortlist=3,
        tolerance=1.5,
        max_params=50,
        max_ms=2,
        dry_run=True,
    )
    assert read_options(flags, None) == AnswerOptions(
        classnames=("a", "b"),
        templates=("my {}.",),
        labels=tmp_path / "labels.csv",
        labels_are_random=True,
        evaluated=tmp_path / "evaluated.csv",
        shortlist=3,
        tolerance=0.015,
        max_params=50,
        max_ms=2,
        dry_run=True,
    )
    ignored = read_options(AnswerFlags(ignore_labels=True), "consensus")
    assert (ignored.ignore_labels, ignored.selector) == (True, "consensus")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--classnames", "a,b,A"], "the class name 'a' comes twice"),
        (["--classnames", ","], "class names: none is given"),
        (["--classnames", "none.txt"], "there is no file none.txt"),
        (["--classnames", "a,b", "--prompts", "clip-benchmark:mnist"], "give one of them"),
        (["--prompts", "mnist"], "is written clip-benchmark:NAME"),
        (["--classnames", "a,b", "--selector", "dcd"], "selector dcd looks at no answers"),
        (["--max-params", "0"], "must be above 0"),
        (["--profile-anyway", *NAMES], "--profile-anyway ranks images alone"),
        (["--classnames", "a,b", "--preset", "paper"], "--preset says how profiles are measured"),
        (["--profile-anyway", "--dry-run"], "--profile-anyway ranks images alone"),
    ],
)
def test_impossible_options_are_one_line(lab, vlmsel, args, said):
    found = vlmsel("select", lab.images, "--store", lab.store, *args)
    assert found.code == 2
    assert said in found.error


def test_models_without_a_text_tower_are_ranked_by_the_rest(own_lab, vlmsel, tmp_path, monkeypatch):
    # In this process: what a child is for is tested where it is made.
    from vlmsel.execution.executors.threads import ThreadWorker

    monkeypatch.setattr("vlmsel.execution.executors.local.ChildWorker", ThreadWorker)
    zoo = yaml.safe_load(own_lab.zoo.read_text())
    for entry in zoo["models"][:2]:
        entry["encoder"] = "tests.probes.encoders:flat"
        entry.pop("weights", None)
    path = tmp_path / "half.yaml"
    path.write_text(yaml.safe_dump(zoo))
    file = labels_file(tmp_path, list(truth().items()))
    command = ["select", own_lab.images, "--store", own_lab.store, "--tasks", own_lab.tasks]
    found = vlmsel(*command, "--zoo", path, *NAMES, "--labels", file, "--json")
    assert found.code == 1
    answer = json.loads(found.out)
    assert any("2 of 4 models gave no answer" in line for line in answer["warnings"])


def test_without_a_store_published_models_are_answered_about(own_lab, fresh, vlmsel):
    found = vlmsel("select", own_lab.images, "--json")
    assert found.code == 0, found.err
    answer = json.loads(found.out)
    assert answer["first"].count("/") == 1
    assert answer["load"].startswith("open_clip.create_model_and_transforms(")
    assert answer["n_images"] == 0
    row = answer["ranking"][0]
    assert row["licence"] is None
    assert min(row["parameters_m"], row["gflops"], row["input_size"]) > 0
    assert not (fresh / ".vlmsel" / "store").exists()
    small = json.loads(vlmsel("select", own_lab.images, "--max-params", "200", "--json").out)
    assert small["ranking"][0]["parameters_m"] <= 200


def test_weights_that_are_not_at_hand_are_said(own_lab, fresh, vlmsel, tmp_path):
    file = labels_file(tmp_path, list(truth().items()))
    found = vlmsel("select", own_lab.images, *NAMES, "--labels", file, "--shortlist", 2, "--json")
    assert found.code == 0, found.err
    warnings = " ".join(json.loads(found.out)["warnings"])
    assert "no model of the shortlist can be run here" in warnings


def test_a_checkpoint_on_disk_under_a_real_name_is_run(own_lab, fresh, vlmsel, tmp_path):
    entries = yaml.safe_load(own_lab.zoo.read_text())["models"]
    real = ("ViT-B-32-quickgelu", "RN50-quickgelu")
    zoo = {
        "models": [
            {"model": name, "pretrained": "openai", "weights": entry["weights"]}
            | ({"bpe_path": entry["bpe_path"]} if "bpe_path" in entry else {})
            for name, entry in zip(real, entries, strict=False)
        ]
    }
    (tmp_path / "real.yaml").write_text(yaml.safe_dump(zoo))
    file = labels_file(tmp_path, list(truth().items()))
    command = ["select", own_lab.images, "--zoo", tmp_path / "real.yaml", *NAMES, *TEMPLATES]
    found = vlmsel(*command, "--labels", file, "--json")
    assert found.code == 0, found.err
    answer = json.loads(found.out)
    assert (answer["n_labels"], answer["n_models"], answer["basis"]) == (6, 2, "posterior")
    assert {row["model"] for row in answer["ranking"]} == set(real)
    assert all(row["labelled_hits"] is not None for row in answer["ranking"])


def test_an_answer_is_logged_where_it_is_said(ask, own_uri, tmp_path):
    file = labels_file(tmp_path, list(truth().items()))
    page = tmp_path / "answer.html"
    found = ask(*NAMES, "--labels", file, "--tracking-uri", own_uri, "--report", page)
    assert found.code == 0, found.err
    assert f"report: {page}" in found.err
    from mlflow.tracking import MlflowClient

    client = MlflowClient(own_uri)
    ids = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(ids, "tags.kind = 'select'")
    assert run.data.metrics["n_labels"] == N_IMAGES
    assert run.data.params["first"] in found.out
    text = page.read_text(encoding="utf-8")
    assert run.data.params["first"] in text
    assert text.count("data:image/jpeg;base64,") == N_IMAGES


def test_a_style_of_answers_without_questions_is_refused():
    flags = AnswerFlags(classnames="a,b", answers=OptionStyle.words)
    with pytest.raises(SettingsError, match="add --questions FILE"):
        read_options(flags, None)
    assert read_options(replace(flags, questions="q.jsonl"), None).answers == "words"

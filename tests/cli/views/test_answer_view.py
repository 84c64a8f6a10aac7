"""``vlmsel select`` with class names, labels, or no store: answers and refusals in one line."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml
from mlflow.tracking import MlflowClient

from tests.cli.conftest import Answer, Lab
from vlmsel.cli.answer_flags import AnswerFlags, OptionStyle
from vlmsel.cli.views.answer_view import read_options
from vlmsel.demo.bundle import SAMPLE_SEED
from vlmsel.demo.families import demo_task, draw
from vlmsel.errors import SettingsError
from vlmsel.execution.executors.threads import ThreadWorker
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
    assert set(answer["regret_with_more_labels"]) == {"0", "25", "50", "100"}


def test_the_sentences_are_in_their_order(ask, tmp_path):
    found = ask(*NAMES, "--labels", labels_file(tmp_path, list(truth().items())[:5]))
    assert found.code == 0, found.err
    starts = ["is the first choice", "Expected accuracy", "Expected regret", "told apart"]
    starts += ["labels are worth", "Average rank would", "Load it: "]
    places = [found.out.index(text) for text in starts]
    assert places == sorted(places)


def test_a_second_answer_says_what_changed_and_why(ask, tmp_path):
    rows = list(truth().items())
    report = tmp_path / "report.html"
    first = json.loads(ask(*NAMES, "--labels", labels_file(tmp_path, rows[:2]), "--json").out)
    assert first["changes"] == []
    labels = labels_file(tmp_path, rows[:5])
    found = ask(*NAMES, "--labels", labels, "--report", report)
    assert found.code == 0, found.err
    assert "New since then: 3 more labels." in found.out
    assert "3 more labels." in report.read_text(encoding="utf-8")
    same = json.loads(ask(*NAMES, "--labels", labels, "--json").out)
    assert same["changes"][1] == "Nothing that enters the answer is new."


def test_models_are_chosen_among_by_their_measured_time(ask):
    every = json.loads(ask(*NAMES, "--json", "--top", 9).out)
    times = sorted(row["ms_image"] for row in every["ranking"])
    assert times[0] > 0
    limit = (times[0] + times[1]) / 2
    fast = json.loads(ask(*NAMES, "--json", "--max-ms", limit).out)
    assert [row["ms_image"] for row in fast["ranking"]] == times[:1]
    assert f"of at most {limit:g} ms per image" in " ".join(fast["lines"])


def test_labels_behind_a_gap_count_only_where_they_are_random(ask, tmp_path):
    rows = list(truth().items())
    file = labels_file(tmp_path, [rows[0], rows[3], rows[4]])
    found = json.loads(ask(*NAMES, "--labels", file, "--json").out)
    assert found["n_labels"] == 1
    assert found["labels_not_used"] == [rows[3][0], rows[4][0]]
    assert any("--labels-are-random" in line for line in found["warnings"])
    found = json.loads(ask(*NAMES, "--labels", file, "--labels-are-random", "--json").out)
    assert found["n_labels"] == 3


def test_a_picture_that_cannot_be_read_is_no_gap(own_lab, vlmsel, tmp_path):
    """Also behind the first pictures, which are decoded before any model is run."""
    folder = tmp_path / "many"
    folder.mkdir()
    images = {f"{i}.png": CLASSES[i % 2] for i in range(30)}
    order = sorted(images, key=image_order)
    for i, image in enumerate(order):
        shutil.copy(own_lab.images / list(truth())[i % N_IMAGES], folder / image)
    (folder / order[26]).write_bytes(b"no picture")
    labels = [(image, images[image]) for image in order if image != order[26]]
    command = ["select", folder, "--store", own_lab.store, *NAMES, "--json"]
    found = vlmsel(*command, "--labels", labels_file(tmp_path, labels), "--allow-failures", 1)
    assert found.code == 0, found.err
    answer = json.loads(found.out)
    assert (answer["n_labels"], answer["labels_not_used"], answer["label_next"]) == (29, [], [])


def test_an_image_in_no_class_is_dropped_and_counted(ask, tmp_path):
    rows = [(image, "none" if i == 1 else name) for i, (image, name) in enumerate(truth().items())]
    found = json.loads(ask(*NAMES, "--labels", labels_file(tmp_path, rows), "--json").out)
    assert (found["n_labels"], found["n_labels_outside"]) == (N_IMAGES - 1, 1)


def test_class_folders_are_classes_and_labels(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "sorted"
    for image, name in truth().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(own_lab.images / image, folder / name / image)
    command = ["select", folder, "--store", own_lab.store, "--json"]
    found = json.loads(vlmsel(*command).out)
    assert found["n_labels"] == N_IMAGES
    assert found["class_names"] == sorted(set(truth().values()))
    assert "class folders" in found["warnings"][0]
    refused = vlmsel(*command, "--selector", "consensus")
    assert refused.code == 2
    assert "labels are joined with the sources by the posterior" in refused.error
    found = json.loads(vlmsel(*command, "--ignore-labels").out)
    assert found["n_labels"] == 0
    assert found["class_names"] == sorted(set(truth().values()))


def test_a_file_of_labels_beside_class_folders_is_no_random_draw(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "sorted"
    named = {f"{name}/{image}": name for image, name in truth().items()}
    for image in named:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own_lab.images / Path(image).name, folder / image)
    order = sorted(named, key=image_order)
    file = labels_file(tmp_path, [(image, named[image]) for image in (order[0], order[3])])
    command = ["select", folder, "--store", own_lab.store, "--labels", file, "--json"]
    found = json.loads(vlmsel(*command).out)
    assert (found["n_labels"], found["labels_not_used"]) == (1, [order[3]])
    assert "give way to those of" in found["warnings"][0]


def test_a_selector_of_profiles_looks_through_class_folders(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "sorted"
    for image, name in truth().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(own_lab.images / image, folder / name / image)
    command = ["select", folder, "--store", own_lab.store, "--selector", "average-rank", "--json"]
    found = vlmsel(*command)
    assert found.code == 0, found.err
    assert json.loads(found.out)["selector"] == "average-rank"


def test_evaluated_models_count(ask, own_lab, tmp_path):
    models = [m["model"] for m in yaml.safe_load(own_lab.zoo.read_text())["models"]]
    table = tmp_path / "evaluated.csv"
    table.write_text(f"model,pretrained,acc1\n{models[0]},demo,0.2\n{models[3]},demo,0.99\n")
    found = json.loads(ask(*NAMES, "--evaluated", table, "--json").out)
    assert found["basis"] == "posterior"
    accuracy = {row["model"]: row["accuracy"] for row in found["ranking"]}
    assert accuracy[models[0]] == pytest.approx(0.2, abs=0.01)
    assert accuracy[models[3]] == pytest.approx(0.99, abs=0.01)


def test_a_shortlist_runs_some_and_ranks_all(ask, tmp_path):
    file = labels_file(tmp_path, list(truth().items())[:5])
    found = json.loads(ask(*NAMES, "--labels", file, "--shortlist", 2, "--json").out)
    run = [row["model"] for row in found["ranking"] if row["labelled_hits"] is not None]
    assert len(run) == 2
    assert found["n_models"] == 4


ONE_CLASS = [(image, CLASSES[0]) for image in truth()]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("nothing.png", "a")], "the task has no image 'nothing.png'"),
        ([(next(iter(truth())), "zebra")], "no class is named 'zebra'"),
        ([(next(iter(truth())), "a"), (next(iter(truth())), "c")], "comes twice; keep one row"),
        ([(next(iter(truth())), "a;c")], "a task of several labels an image is no classification"),
        ([], "holds no labels"),
    ],
)
def test_wrong_labels_are_one_line(ask, tmp_path, rows, said):
    found = ask(*NAMES, "--labels", labels_file(tmp_path, rows))
    assert found.code == 2
    assert said in found.error


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ONE_CLASS, f"all 6 labels are of one class, '{CLASSES[0]}'"),
        (ONE_CLASS[:1], "one label says next to nothing"),
    ],
)
def test_poor_labels_are_said(ask, tmp_path, rows, said):
    found = ask(*NAMES, "--labels", labels_file(tmp_path, rows))
    assert found.code == 0, found.err
    assert said in " ".join(found.err.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--classnames", "a,b,A"], "the class name 'a' comes twice"),
        (["--classnames", "a"], "there is one class, 'a'"),
        (["--classnames", ","], "class names: none is given"),
        (["--classnames", "none.txt"], "there is no file none.txt"),
        (["--classnames", "a,b", "--prompts", "clip-benchmark:mnist"], "give one of them"),
        (["--prompts", "clip-benchmark:flickr30k"], "'flickr30k' is a retrieval task"),
        (["--prompts", "mnist"], "is written clip-benchmark:NAME"),
        (["--classnames", "a,b", "--selector", "dcd"], "selector dcd looks at no answers"),
        (["--classnames", "a,b", "--selector", "vega"], "selector vega looks at texts, which"),
        (["--classnames", "a,b", "--shortlist", "0"], "a shortlist has at least 1 model"),
        (["--shortlist", "3"], "needs the names of the classes"),
        (["--max-params", "0"], "must be above 0"),
        (["--max-ms", "-1"], "must be above 0 ms"),
        (["--max-params", "10"], "no model is known to have at most 10 million parameters"),
        (["--template", "the letter {}."], "templates need the names of the classes"),
        (["--selector", "dcd", "--max-params", "900"], "selector dcd would look at answers"),
        (["--profile-anyway", *NAMES], "--profile-anyway ranks images alone"),
        (["--classnames", "a,b", "--preset", "paper"], "--preset says how profiles are measured"),
        (["--profile-anyway", "--dry-run"], "--profile-anyway ranks images alone"),
    ],
)
def test_impossible_options_are_one_line(ask, args, said):
    found = ask(*args)
    assert found.code == 2
    assert said in found.error


def test_labels_need_class_names(ask, tmp_path):
    found = ask("--labels", labels_file(tmp_path, list(truth().items())))
    assert found.code == 2
    assert "give --classnames a,b,c" in found.error


def test_models_without_a_text_tower_are_ranked_by_the_rest(own_lab, vlmsel, tmp_path, monkeypatch):
    # In this process: what a child is for is tested where it is made.
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


def test_a_dry_run_names_the_shortlist_and_asks_no_hub(own_lab, fresh, vlmsel, tmp_path):
    file = labels_file(tmp_path, list(truth().items()))
    found = vlmsel("select", own_lab.images, *NAMES, "--labels", file, "--dry-run", "--json")
    assert found.code == 0, found.err
    assert len(json.loads(found.out)["to_run"]) == 10


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


@pytest.mark.parametrize("n_tasks", [0, 1])
def test_few_sources(own_lab, vlmsel, tmp_path, n_tasks):
    everything = yaml.safe_load(own_lab.tasks.read_text())["tasks"]
    chosen = everything[:1] if n_tasks else [{**everything[0], "classnames": None}]
    tasks = [{k: v for k, v in task.items() if v is not None} for task in chosen]
    if not n_tasks:
        tasks = [{k: v for k, v in tasks[0].items() if k in ("name", "images")}]
    path = tmp_path / "few.yaml"
    path.write_text(yaml.safe_dump({"tasks": tasks}))
    file = labels_file(tmp_path, list(truth().items()))
    command = ["select", own_lab.images, "--store", own_lab.store, "--zoo", own_lab.zoo]
    found = vlmsel(*command, "--tasks", path, *NAMES, "--labels", file, "--json")
    assert found.code == 0, found.err
    answer = json.loads(found.out)
    assert answer["basis"] == "hits"
    assert any("fewer than 2 source tasks" in line for line in answer["warnings"])
    command += ["--tasks", path, *NAMES, "--labels", file, "--shortlist", 2]
    answer = json.loads(vlmsel(*command, "--json").out)
    assert answer["n_models"] == 2
    assert any(line.startswith("2 models have no place") for line in answer["warnings"])


def test_models_that_a_selector_does_not_rank_are_counted(ask):
    args = ["--selector", "consensus", "--shortlist", 2, "--json"]
    answer = json.loads(ask(*NAMES, *TEMPLATES, *args).out)
    assert (answer["basis"], answer["n_models"]) == ("estimate", 2)
    assert any(line.startswith("2 models have no place") for line in answer["warnings"])


def test_three_images_and_two_models(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for image in list(truth())[:3]:
        shutil.copy(own_lab.images / image, folder / image)
    zoo = yaml.safe_load(own_lab.zoo.read_text())
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump({"models": zoo["models"][:2]}))
    command = ["select", folder, "--store", own_lab.store, "--tasks", own_lab.tasks]
    found = vlmsel(*command, "--zoo", path, *NAMES, "--json")
    assert found.code == 0, found.err
    answer = json.loads(found.out)
    assert answer["n_models"] == 2
    assert answer["lines"][0].startswith("No trustworthy ranking for these images: 3 different")
    assert answer["lines"][0].endswith(f": {answer['warnings'][0]}.")
    assert pl.DataFrame(answer["ranking"])["rank"].to_list() == [1, 2]


def test_an_answer_is_logged_where_it_is_said(ask, own_uri, tmp_path):
    file = labels_file(tmp_path, list(truth().items()))
    page = tmp_path / "answer.html"
    found = ask(*NAMES, "--labels", file, "--tracking-uri", own_uri, "--report", page)
    assert found.code == 0, found.err
    assert f"report: {page}" in found.err
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

"""An answer from stored answers: which labels count, which models have a place, and why."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from tests.api.made_store import (
    CLASSES,
    MODELS,
    MadeStore,
    draw_pictures,
    fill_store,
    first_labels,
    write_labels,
)
from vlmsel.api.answer import (
    AnswerOptions,
    TargetAnswer,
    ZooRun,
    answer_images,
    answer_known,
    compute_regret_by_labels,
    conclude,
    explain_unrun,
    prepare_target,
    read_run,
)
from vlmsel.api.known_zoo import KnownZoo, known_zoo, shipped_zoo
from vlmsel.errors import ModelError, SelectionError, TaskError
from vlmsel.execution.plan.timings import write_timings
from vlmsel.execution.plan.units import Job
from vlmsel.execution.run_summary import RunSummary, Tally
from vlmsel.selection.zoo_answers import image_order
from vlmsel.store.store import Store

Ask = Callable[..., TargetAnswer]


@pytest.fixture(scope="module")
def zoo(made: MadeStore) -> KnownZoo:
    return made.known()


@pytest.fixture
def ask(made: MadeStore, zoo: KnownZoo) -> Ask:
    """Ask about the pictures, on which every model has answered."""

    def call(**options: Any) -> TargetAnswer:
        return answer_images(made.images, zoo, AnswerOptions(**options))

    return call


def label_first(folder: Path, n_labels: int) -> Path:
    return write_labels(folder / "labels.csv", first_labels(n_labels))


def test_labels_make_an_answer(ask: Ask, tmp_path: Path) -> None:
    answer = ask(classnames=CLASSES, labels=label_first(tmp_path, 5))
    assert (answer.found.basis, answer.found.n_labels) == ("posterior", 5)
    assert (answer.first, answer.target) == ("m0/made", "images")
    assert answer.ranking["model"].to_list() == list(MODELS)
    assert answer.draw.wanted == tuple(name for name, _ in first_labels(12)[5:])
    assert set(answer.found.regrets) == {0, 25, 50, 100}
    assert answer.found.regret is not None
    assert 0 <= answer.found.regret < 0.2
    assert answer.summary is not None
    assert (answer.summary.measured, answer.summary.skipped) == (0, 5)
    assert answer.warnings == answer.notes


def test_what_the_store_holds_gives_the_same_answer(
    made: MadeStore, zoo: KnownZoo, ask: Ask, tmp_path: Path
) -> None:
    options = {"classnames": CLASSES, "labels": label_first(tmp_path, 5)}
    answer = ask(**options)
    ready = prepare_target(made.images, zoo, AnswerOptions(**options))
    known = answer_known(ready)
    assert_frame_equal(known.table, answer.table)
    assert known.found.regret == answer.found.regret
    run = read_run(ready, ready.workspace(), None)
    assert compute_regret_by_labels(ready, run, 5) == pytest.approx(answer.found.regret)
    bare = conclude(ready, ZooRun())
    assert bare.found.basis == "average-rank"
    assert "no model was run on the images, so labels say nothing yet" in bare.notes


def test_models_that_gave_no_answer_are_counted(made: MadeStore, zoo: KnownZoo) -> None:
    other = AnswerOptions(classnames=("yes", "no"))
    answer = answer_known(prepare_target(made.images, zoo, other))
    assert answer.answers is None
    assert "5 of 5 models gave no answer on the images" in answer.notes


def test_labels_behind_a_gap_count_only_where_they_are_random(ask: Ask, tmp_path: Path) -> None:
    rows = first_labels(5)
    file = write_labels(tmp_path / "labels.csv", [rows[0], *rows[3:]])
    answer = ask(classnames=CLASSES, labels=file)
    assert (answer.draw.used, answer.draw.unused) == ((rows[0][0],), (rows[3][0], rows[4][0]))
    assert f"the first gap is {rows[1][0]}" in " ".join(answer.notes)
    answer = ask(classnames=CLASSES, labels=file, labels_are_random=True)
    assert answer.found.n_labels == 3


def test_a_picture_that_no_model_answered_on_is_no_gap(own_made: MadeStore, tmp_path: Path) -> None:
    """Also behind the first pictures, which are decoded before any model is run."""
    folder = draw_pictures(tmp_path / "many", n_images=30)
    rows = first_labels(30, n_images=30)
    broken = rows.pop(26)[0]
    (folder / broken).write_bytes(b"no picture")
    file = write_labels(tmp_path / "labels.csv", rows)
    options = AnswerOptions(classnames=CLASSES, labels=file)
    ready = prepare_target(folder, own_made.known(), options)
    fill_store(ready.workspace(), failed=[broken])
    answer = answer_known(ready)
    assert (answer.found.n_labels, answer.draw.unused, answer.draw.wanted) == (29, (), ())


def test_class_folders_are_classes_and_labels(own_made: MadeStore, tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "sorted", by_class=True)
    answer = own_made.answer(folder)
    assert answer.found.n_labels == 12
    assert answer.target_labels.classnames == CLASSES
    assert answer.notes[0].startswith("class folders: their names are the 3 classes, their labels")
    with pytest.raises(SelectionError, match="joined with the sources by the posterior"):
        prepare_target(folder, answer.zoo, AnswerOptions(selector="consensus"))
    # A file beside the folders is no random draw.
    order = sorted(answer.target_labels.labels, key=image_order)
    rows = [(image, image.partition("/")[0]) for image in (order[0], order[3])]
    file = write_labels(tmp_path / "labels.csv", rows)
    ready = prepare_target(folder, answer.zoo, AnswerOptions(labels=file))
    beside = conclude(ready, ZooRun(answer.answers), with_estimate=False)
    assert (beside.found.n_labels, beside.draw.unused) == (1, (order[3],))
    assert f"their labels give way to those of {file}" in beside.notes[0]


def test_evaluated_models_count(ask: Ask, tmp_path: Path) -> None:
    table = tmp_path / "evaluated.csv"
    table.write_text("model,pretrained,acc1\nm0,made,0.2\nm3,made,0.99\n")
    answer = ask(classnames=CLASSES, evaluated=table)
    assert (answer.found.basis, answer.first) == ("posterior", "m3/made")
    accuracy = dict(answer.table.select("model", "accuracy").iter_rows())
    assert accuracy["m0"] == pytest.approx(0.2, abs=0.01)
    assert accuracy["m3"] == pytest.approx(0.99, abs=0.01)


def test_a_shortlist_runs_the_best_by_average_rank_and_ranks_all(ask: Ask, tmp_path: Path) -> None:
    options = {"classnames": CLASSES, "labels": label_first(tmp_path, 5), "shortlist": 2}
    answer = ask(**options)
    run = answer.table.filter(pl.col("labelled_hits").is_not_null())
    assert run["model"].sort().to_list() == ["m0", "m1"]
    assert answer.table.height == 5
    dry = ask(**options, dry_run=True)
    assert (dry.to_run, dry.answers) == (("m0/made", "m1/made"), None)


def test_models_are_chosen_among_by_their_measured_time(
    made: MadeStore, zoo: KnownZoo, tmp_path: Path
) -> None:
    timed = replace(zoo, store=Store(tmp_path))
    tallies = {
        ("prediction", *key, "ant"): Tally(n_images=100, seconds=0.1 * (5 - place))
        for place, key in enumerate(zoo.models)
    }
    job = Job(measurements={"prediction": zoo.measurement})
    write_timings(timed.store, job, RunSummary(tallies=tallies).tallies)
    times = answer_images(made.images, timed).table["ms_image"].sort().to_list()
    assert times == pytest.approx([1, 2, 3, 4, 5])
    fast = answer_images(made.images, timed, AnswerOptions(max_ms=2.5))
    assert fast.table["model"].to_list() == ["m3", "m4"]


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([(name, "star") for name, _ in first_labels(6)], "all 6 labels are of one class, 'star'"),
        (first_labels(1), "one label says next to nothing"),
        (
            [(first_labels(1)[0][0], "none"), *first_labels(4)[1:]],
            "1 labelled image is in none of the classes and dropped",
        ),
    ],
)
def test_poor_labels_are_told(
    ask: Ask, tmp_path: Path, rows: list[tuple[str, str]], note: str
) -> None:
    file = write_labels(tmp_path / "labels.csv", rows)
    answer = ask(classnames=CLASSES, labels=file)
    assert any(line.startswith(note) for line in answer.notes)


@pytest.mark.parametrize("n_tasks", [0, 1])
def test_with_few_sources_labels_alone_rank(
    own_made: MadeStore, tmp_path: Path, n_tasks: int
) -> None:
    task = yaml.safe_load(own_made.tasks.read_text())["tasks"][0]
    if not n_tasks:
        task = {name: task[name] for name in ("name", "images")}
    path = tmp_path / "few.yaml"
    path.write_text(yaml.safe_dump({"tasks": [task]}))
    zoo = known_zoo(str(own_made.store), None, str(path))
    assert len(zoo.sources) == n_tasks
    options = AnswerOptions(classnames=CLASSES, labels=label_first(tmp_path, 12), shortlist=2)
    ready = prepare_target(own_made.images, zoo, options)
    fill_store(ready.workspace())
    answer = answer_known(ready)
    assert (answer.found.basis, answer.table.height) == ("hits", 2)
    assert "fewer than 2 source tasks: the labels alone rank" in answer.notes
    lack = "they have no hits on labelled images and are not evaluated"
    assert f"3 models have no place in the ranking: {lack}" in answer.notes


def test_a_selector_without_labels_ranks_the_models_that_answered(ask: Ask) -> None:
    answer = ask(classnames=CLASSES, selector="consensus", shortlist=2)
    assert (answer.found.basis, answer.table["model"].to_list()) == ("estimate", ["m0", "m1"])
    assert answer.choice is not None
    assert (answer.choice.name, answer.choice.why) == ("consensus", "chosen by you")
    assert any(line.startswith("3 models have no place") for line in answer.notes)


def test_of_three_pictures_no_ranking_is_trusted(own_made: MadeStore, tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "few", n_images=3)
    answer = own_made.answer(folder, classnames=CLASSES)
    assert answer.doubt.startswith("3 different pictures can be used, too few")
    assert answer.warnings == (answer.doubt, *answer.notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classnames": CLASSES, "selector": "dcd"}, "selector dcd looks at no answers"),
        ({"classnames": CLASSES, "selector": "vega"}, "selector vega looks at texts, which"),
        ({"selector": "consensus"}, "selector consensus would look at answers .* give --classn"),
        ({"classnames": CLASSES, "shortlist": 0}, "a shortlist has at least 1 model, not 0"),
        ({"shortlist": 3}, "a shortlist .* needs the names of the classes"),
        ({"max_params": 0}, "must be above 0"),
        ({"max_ms": -1}, "must be above 0 ms"),
        ({"max_params": 10}, "no model is known to have at most 10 million parameters"),
    ],
)
def test_impossible_options_are_refused(ask: Ask, options: dict, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        ask(**options)


def test_the_shipped_models_are_answered_about_without_a_store(
    made: MadeStore, zoo: KnownZoo, tmp_path: Path
) -> None:
    shipped = shipped_zoo(str(tmp_path / "none"), None)
    answer = answer_images(made.images, shipped)
    assert (answer.found.basis, answer.found.n_images) == ("average-rank", 0)
    assert answer.table["parameters_m"].null_count() == 0
    small = answer_images(made.images, shipped, AnswerOptions(max_params=200))
    assert small.table["parameters_m"].to_numpy().max() <= 200
    options = AnswerOptions(classnames=CLASSES, labels=label_first(tmp_path, 5), dry_run=True)
    labelled = answer_images(made.images, shipped, options)
    assert len(labelled.to_run) == 10, "a shortlist, since their weights are large"
    with pytest.raises(SelectionError, match="a selector needs a store of source tasks"):
        answer_images(made.images, shipped, AnswerOptions(classnames=CLASSES, selector="consensus"))
    assert not (tmp_path / "none").exists()
    ready = prepare_target(made.images, shipped, options)
    (note,) = explain_unrun(ready, ModelError("no weights")).notes
    assert note == "no model of the shortlist can be run here: no weights"
    with pytest.raises(ModelError, match="no weights"):
        explain_unrun(replace(ready, zoo=zoo), ModelError("no weights"))


def test_labels_need_class_names(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="need the names of the classes: give --classnames a,b,c"):
        ask(labels=label_first(tmp_path, 2))

"""The questions about drawn pictures: their words, their pictures, their files."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from vlmsel.demo.demo_questions import demo_question, demo_questions, draw_items, trained_questions
from vlmsel.demo.drawing import scenes
from vlmsel.demo.question_bundle import write_demo_questions
from vlmsel.errors import TaskError


def test_every_question_has_five_words_and_options_of_one_word():
    for question in demo_questions():
        assert len(question.text.split()) == 5
        assert len(set(question.options)) == len(question.options) >= 6
        assert not any(" " in option for option in question.options)
    assert len({question.name for question in demo_questions()}) == len(demo_questions())


@pytest.mark.parametrize("name", ["digits", "left-shape", "counting-noise", "right-colour-new"])
def test_items_are_the_same_every_time_and_new_for_every_seed_and_split(name: str):
    def pixels(split="test", seed=0):
        images, answers = draw_items(demo_question(name), split=split, n=12, seed=seed)
        assert answers == [i % len(demo_question(name).options) for i in range(12)]
        return np.stack([np.asarray(image) for image in images])

    assert pixels().shape == (12, 32, 32, 3)
    assert np.array_equal(pixels(), pixels())
    assert not np.array_equal(pixels(), pixels(seed=1))
    assert not np.array_equal(pixels(), pixels(split="train"))


def test_shifts_do_what_they_are_called():
    def mean(name):
        images, _ = draw_items(demo_question(name), split="test", n=16, seed=0)
        return np.mean([np.asarray(image) for image in images])

    assert mean("counting-dim") == pytest.approx(0.4 * mean("counting"), rel=0.1)
    assert mean("counting-negative") == pytest.approx(255 - mean("counting"), rel=0.05)
    assert mean("counting-noise") > mean("counting")  # cut off at black


def test_held_out_combinations_are_never_drawn_unless_they_are_asked_for():
    held = [
        (shape, colour)
        for shape in scenes.SCENE_SHAPES
        for colour in scenes.SCENE_COLOURS
        if scenes.is_held_out(shape, colour)
    ]
    assert sorted(shape for shape, _ in held) == sorted(scenes.SCENE_SHAPES)
    assert sorted(colour for _, colour in held) == sorted(scenes.SCENE_COLOURS)
    for is_new in (False, True):
        seen = {
            scenes.draw_combination("shape", shape, np.random.default_rng(i), is_new=is_new)
            for shape in scenes.SCENE_SHAPES
            for i in range(40)
        }
        assert seen <= set(held) if is_new else seen.isdisjoint(held)
        assert len(seen) == (6 if is_new else 30)


def test_files_hold_the_items_and_are_not_written_twice(tmp_path):
    chosen = [demo_question("counting"), demo_question("letters-negative")]
    catalog = write_demo_questions(tmp_path, chosen, n_items=9)
    names = [task["name"] for task in yaml.safe_load(catalog.read_text())["tasks"]]
    assert names == ["counting", "letters-negative"]
    rows = pq.read_table(tmp_path / "counting.parquet").to_pylist()
    assert [row["answer"] for row in rows] == [chosen[0].options[i % 8] for i in range(9)]
    assert {row["question"] for row in rows} == {"how many discs here ?"}
    before = (tmp_path / "counting.parquet").stat().st_mtime_ns
    write_demo_questions(tmp_path, chosen, n_items=9)
    assert (tmp_path / "counting.parquet").stat().st_mtime_ns == before
    write_demo_questions(tmp_path, chosen, n_items=9, seed=5)
    assert pq.read_table(tmp_path / "counting.parquet").to_pylist() != rows


def test_an_unknown_question_is_named_with_the_nearest():
    with pytest.raises(TaskError, match=r"no demo question 'countin'.*counting"):
        demo_question("countin")
    with pytest.raises(TaskError, match="must not be negative"):
        draw_items(trained_questions()[-1], split="test", n=-1, seed=0)

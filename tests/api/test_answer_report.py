"""The page of an answer: the answer first, nothing from elsewhere, labelled images shown."""

import re

import numpy as np
import polars as pl
import pytest
from PIL import Image

from vlmsel.api.answer import AnswerOptions, TargetAnswer
from vlmsel.api.answer_lines import answer_lines
from vlmsel.api.answer_report import answer_page, answer_report
from vlmsel.api.answer_table import answer_table
from vlmsel.api.answer_target import read_target
from vlmsel.api.known_zoo import KnownZoo, shipped_zoo
from vlmsel.selection.answer import Question, answer
from vlmsel.selection.label_draw import draw_labels
from vlmsel.selection.zoo_answers import ZooAnswers


@pytest.fixture
def zoo(tmp_path) -> KnownZoo:
    return shipped_zoo(str(tmp_path / "store"), None)


@pytest.fixture
def told(zoo, tmp_path) -> TargetAnswer:
    """Six images in two class folders; the first five models answered, by chance."""
    for i in range(6):
        folder = tmp_path / "pictures" / ("cat" if i % 2 else "<dog>")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (40 * i, 90, 200 - 30 * i)).save(folder / f"{i}.png")
    options = AnswerOptions()
    target = read_target(tmp_path / "pictures", options)
    classes = np.random.default_rng(0).integers(0, 2, (5, 6))
    nothing = np.full(classes.shape, np.nan)
    answers = ZooAnswers(zoo.models[:5], target.order, classes, 2, nothing, nothing, nothing)
    draw = draw_labels(target.order, target.labels, are_random=True)
    found = answer(Question(zoo.models, zoo.accuracy, zoo.imagenet, answers, dict(target.labels)))
    return TargetAnswer(
        target="pictures",
        images=str(tmp_path / "pictures"),
        zoo=zoo,
        found=found,
        table=answer_table(found, zoo),
        draw=draw,
        target_labels=target,
        choice=None,
        notes=("a note",),
        to_run=(),
        options=options,
        answers=answers,
    )


def test_the_page_opens_with_the_answer_and_loads_nothing(told, tmp_path):
    text = answer_report(tmp_path / "page.html", told).read_text(encoding="utf-8")
    first = answer_lines(told)[0]
    assert text.index(first) < text.index("<h2>")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "<dog>" not in text
    assert "&lt;dog&gt;" in text
    assert "Content-Security-Policy" in text
    assert "<script" not in text
    assert text.count('tabindex="0"') >= 1
    assert "open_clip.create_model_and_transforms" in text


def test_thumbnails_can_be_left_out(told):
    assert all(image.thumbnail for image in answer_page(told).images)
    bare = answer_page(told, thumbnails=False)
    assert len(bare.images) == 6
    assert not any(image.thumbnail for image in bare.images)


def test_images_say_which_models_were_right(told):
    images = {image.name: image for image in answer_page(told).images}
    for name, hits in zip(told.found.labelled, told.found.hits, strict=True):
        assert images[name].n_right == int(np.nansum(hits))
        assert images[name].n_models == 5


def test_bars_are_of_the_answer(told):
    page = answer_page(told)
    regret = told.found.regret
    assert regret is not None
    assert page.regrets[0][1] == f"{100 * regret:.1f}"
    assert max(share for _, _, share in page.regrets) == 100
    best = told.table.sort("p_best", descending=True)
    assert page.best[0][1] == round(100 * best["p_best"][0])


def test_a_real_zoo_knows_sizes_and_limits(zoo):
    assert len(zoo.sources) == 34
    assert zoo.facts["parameters_m"].null_count() == 0
    assert isinstance(zoo.facts, pl.DataFrame)

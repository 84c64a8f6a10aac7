import polars as pl
import pytest

from vlmsel.columns import MODEL
from vlmsel.evaluation.twin_checkpoints import count_once
from vlmsel.published.real_models import FOLDER, NOTICE, loading_line, real_models


def test_the_table_has_its_38_tasks_and_no_model_twice():
    found = real_models()
    assert found.tasks.height == 38
    assert set(found.accuracies["task"]) == set(found.tasks["task"])
    assert found.models.select(MODEL).is_unique().all()
    assert found.accuracies["acc1"].is_between(0, 1).all()
    assert found.models.height > 100
    assert found.accuracies.height == 38 * found.models.height


def test_figures_of_a_model_are_those_of_the_source():
    found = real_models()
    key = {"model": "ViT-H-14-378-quickgelu", "pretrained": "dfn5b"}
    facts = found.models.filter(**key).row(0, named=True)
    assert (facts["parameters_m"], facts["gflops"], facts["input_size"]) == (986.71, 1054.05, 378)
    assert found.accuracies.filter(**key, task="imagenet1k")["acc1"][0] == 0.8437


def test_known_faults_are_marked_and_retrieval_ranks_nothing():
    tasks = {row["task"]: row for row in real_models().tasks.iter_rows(named=True)}
    wrong = {name for name, row in tasks.items() if not row["is_hit_rate"]}
    retrieval = {"flickr30k", "mscoco_captions", "winogavil"}
    assert wrong == {"fmow", "geode", "dollar_street", "iwildcam"} | retrieval
    ranked = set(real_models().classifications["task"])
    assert ranked == set(tasks) - retrieval


def test_a_checkpoint_stands_under_the_activation_it_was_trained_with():
    models = real_models().models
    moved = models.filter(printed_as="ViT-L-14/openai").row(0, named=True)
    assert (moved["model"], moved["pretrained"]) == ("ViT-L-14-quickgelu", "openai")
    assert models.filter(model="ViT-L-14", pretrained="openai").is_empty()


def test_near_duplicates_can_be_counted_once():
    once = count_once(real_models().classifications)
    assert 0 < once.left_out.height < 10


def test_the_notice_names_source_and_licence():
    text = (FOLDER / NOTICE).read_text(encoding="utf-8")
    assert "open_clip" in text
    assert "Permission is hereby granted" in text


def test_the_loading_line_is_python():
    line = loading_line("ViT-B-32", "openai")
    assert line == 'open_clip.create_model_and_transforms("ViT-B-32", pretrained="openai")'
    compile(line, "line", "eval")


@pytest.mark.parametrize("column", ["parameters_m", "gflops", "average_38", "input_size"])
def test_every_fact_is_known_but_the_licence(column):
    assert real_models().models[column].null_count() == 0
    assert real_models().models["licence"].dtype == pl.String

"""Kept leave-one-outs: found again only where nothing changed, and never trusted blindly."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from tests.evaluation.conftest import make_tables
from vlmsel.evaluation import judgement_cache
from vlmsel.evaluation.judgement import Judgement, Names
from vlmsel.evaluation.judgement_cache import JudgementCache
from vlmsel.evaluation.judgement_progress import observe_judging
from vlmsel.evaluation.label_budgets import Budgets, leave_one_out_with_labels
from vlmsel.evaluation.leave_one_out import LeaveOneOut, leave_one_out
from vlmsel.selection import make_selector
from vlmsel.selection.selectors.average_rank import AverageRank
from vlmsel.selection.zoo_answers import ZooAnswers

Tables = tuple[pl.DataFrame, pl.DataFrame]
NAMES = ("average-rank", "dcd", "combined", "random", "imagenet")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path))
    return tmp_path / "leave-one-out"


@pytest.fixture
def judged() -> Iterator[list[int]]:
    """Targets that were really judged."""
    done: list[int] = []
    with observe_judging(lambda number, _: done.append(number)):
        yield done


def judge(tables: Tables, *names: str, **options: float) -> LeaveOneOut:
    made = [make_selector(name, **options) for name in names or NAMES]
    return leave_one_out(made, *tables, is_cached=True)


def assert_same(first: LeaveOneOut, second: LeaveOneOut) -> None:
    for name in ("metrics", "rankings", "left_out"):
        assert getattr(first, name).equals(getattr(second, name))
    assert first.weights.collect().equals(second.weights.collect())


@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_a_second_time_nothing_is_judged(judged, folder, holes):
    tables = make_tables(3, holes=holes)
    anew = leave_one_out([make_selector(name) for name in NAMES], *tables)
    first, n_judged = judge(tables), len(judged)
    again = judge(tables)
    assert len(judged) == n_judged == 2 * len(set(anew.metrics["target"]))
    assert_same(first, anew)
    assert_same(again, anew)
    assert "imagenet" in set(again.left_out["name"])
    assert len(list(folder.iterdir())) == len(NAMES)


def test_the_order_of_rows_and_unread_columns_are_no_matter(judged, tables):
    judge(tables)
    n_judged = len(judged)
    shuffled = [table.sample(fraction=1, shuffle=True, seed=1) for table in tables]
    judge((shuffled[0].with_columns(acc5=pl.lit(1.0)), shuffled[1]))
    assert len(judged) == n_judged


def test_new_selectors_are_judged_alone(judged, tables, folder):
    judge(tables, "average-rank", "dcd")
    before = set(folder.iterdir())
    judge(tables, "dcd", "cosine")
    assert len(set(folder.iterdir()) - before) == 1


def _other_accuracy(tables: Tables) -> Tables:
    return tables[0].with_columns(acc1=pl.col("acc1") * 0.999), tables[1]


def _other_image(tables: Tables) -> Tables:
    first = pl.int_range(pl.len()) == 0
    changed = pl.when(first).then(pl.col("conductance") * 1.01).otherwise("conductance")
    return tables[0], tables[1].with_columns(conductance=changed)


def _fewer_tasks(tables: Tables) -> Tables:
    return tables[0].filter(pl.col("task") != "beta"), tables[1]


@pytest.mark.parametrize("change", [_other_accuracy, _other_image, _fewer_tasks])
def test_what_changes_is_judged_anew(judged, tables, change):
    judge(tables, "dcd")
    judged.clear()
    changed = change(tables)
    assert_same(judge(changed, "dcd"), leave_one_out([make_selector("dcd")], *changed))
    assert judged


def test_other_options_are_another_entry(judged, tables):
    soft = judge(tables, "dcd", gamma=1.0)
    judged.clear()
    sharp = judge(tables, "dcd", gamma=50.0)
    assert judged
    assert not soft.rankings["score"].equals(sharp.rankings["score"])


def test_other_code_is_another_entry(judged, tables, monkeypatch):
    judge(tables, "dcd")
    judged.clear()
    monkeypatch.setattr(judgement_cache, "code_version", lambda: "another")
    judge(tables, "dcd")
    assert judged


def test_the_code_is_that_of_this_package(tmp_path):
    version = judgement_cache.code_version()
    assert version == judgement_cache.code_version()
    for name in ("selection", "evaluation"):
        (tmp_path / name).mkdir()
    (tmp_path / "columns.py").write_text("MODEL = []\n")
    (tmp_path / "selection" / "scoring.py").write_text("A = 1\n")
    code = judgement_cache.code_version.__wrapped__(tmp_path)
    (tmp_path / "selection" / "scoring.py").write_text("A = 2\n")
    other = judgement_cache.code_version.__wrapped__(tmp_path)
    (tmp_path / "columns.py").write_text("MODEL = [1]\n")
    assert len({version, code, other, judgement_cache.code_version.__wrapped__(tmp_path)}) == 4


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other arrays", "pickled"])
def test_a_broken_entry_is_dropped(judged, tables, folder, damage):
    whole = judge(tables, "dcd")
    (entry,) = folder.iterdir()
    data = bytearray(entry.read_bytes())
    if damage == "other arrays":
        with entry.open("wb") as file:
            np.savez(file, places=np.zeros((1, 1), dtype=int))
    elif damage == "pickled":
        with entry.open("wb") as file:
            np.savez(file, places=np.array([{}], dtype=object), allow_pickle=True)
    else:
        data[len(data) // 2] ^= 0xFF
        entry.write_bytes({"cut": data[:99], "flipped": data, "empty": b""}[damage])
    judged.clear()
    assert_same(judge(tables, "dcd"), whole)
    assert judged
    judged.clear()
    assert_same(judge(tables, "dcd"), whole)
    assert not judged


def test_a_cache_that_cannot_be_written_costs_time_only(tables, folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("no folder")
    assert_same(judge(tables, "dcd"), leave_one_out([make_selector("dcd")], *tables))


NAMES_OF_ONE = Names((("a", "p"),), ("t",), ("t",))
ONE = Judgement(np.ones((1, 1), dtype=np.int32), np.ones((1, 1)), None, ("",))


def test_the_oldest_entries_go(folder):
    JudgementCache("x").save(make_selector("dcd"), NAMES_OF_ONE, ONE)
    size = next(folder.iterdir()).stat().st_size
    cache = JudgementCache("x", kept_bytes=int(2.5 * size)).narrow(n_labels=5)
    for gamma in (1.0, 2.0, 3.0):
        cache.save(make_selector("dcd", gamma=gamma), NAMES_OF_ONE, ONE)
    assert len(list(folder.iterdir())) == 2


def test_too_large_an_entry_is_not_kept(folder):
    JudgementCache("x", entry_bytes=100).save(make_selector("dcd"), NAMES_OF_ONE, ONE)
    assert not folder.exists()


def test_a_selector_from_elsewhere_is_not_kept(judged, tables, folder):
    class Elsewhere(AverageRank):
        name: ClassVar[str] = "elsewhere"

    leave_one_out([Elsewhere()], *tables, is_cached=True)
    assert not folder.exists()


def test_labels_are_kept_by_number_and_draw(judged, tables):
    made = [make_selector("posterior"), make_selector("average-rank")]
    budgets = Budgets((0, 5, 10), n_draws=2)
    first = leave_one_out_with_labels(made, tables[0], None, budgets, is_cached=True)
    n_judged = len(judged)
    again = leave_one_out_with_labels(made, tables[0], None, budgets, is_cached=True)
    assert len(judged) == n_judged > 0
    assert_same(again, first)
    other = Budgets((0, 5, 10), n_draws=2, rho=0.9)
    leave_one_out_with_labels(made, tables[0], None, other, is_cached=True)
    assert len(judged) > n_judged


def test_other_answers_are_other_entries(judged):
    tables = make_tables(3)
    models = tuple(tables[0].select("model", "pretrained").unique().sort("model").rows())
    tasks = sorted(set(tables[0]["task"]))
    rng = np.random.default_rng(0)

    def judge_answers(classes: np.ndarray) -> pl.DataFrame:
        measures = np.full(classes.shape, 0.5)
        images = tuple(f"{i}.png" for i in range(classes.shape[1]))
        answers = ZooAnswers(models, images, classes, 3, measures, measures, measures)
        made = [make_selector("consensus")]
        found = leave_one_out(
            made, tables[0], answers=dict.fromkeys(tasks, answers), is_cached=True
        )
        return found.rankings

    classes = rng.integers(0, 3, (len(models), 20))
    first, n_judged = judge_answers(classes), len(judged)
    assert judge_answers(classes).equals(first)
    assert len(judged) == n_judged
    judge_answers(rng.permutation(classes))
    assert len(judged) == 2 * n_judged

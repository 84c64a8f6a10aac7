"""Errors of a library on one task or model concern that one alone."""

import logging
from pathlib import Path

import pytest
from PIL import Image

from vlmsel.errors import TaskError
from vlmsel.evidence import catalog_contents as module
from vlmsel.evidence.catalog_contents import Catalogued, look_up_models, look_up_tasks
from vlmsel.tasks import index
from vlmsel.tasks.prompts import TaskQuestions
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec
from vlmsel.zoo.catalog import ModelSpec, Zoo

ODD = [
    UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates"),
    KeyError("Column image"),
    SystemExit(0),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))


def tasks(tmp_path: Path, *names: str) -> TaskCatalog:
    for name in names:
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "a.png")
    return TaskCatalog(tasks=tuple(TaskSpec(name=n, images=str(tmp_path / n)) for n in names))


@pytest.mark.parametrize("error", ODD, ids=range(len(ODD)))
def test_whatever_a_task_raises_leaves_out_that_task(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    real = module.index_task

    def index_task(spec: TaskSpec, **options: object) -> object:
        if spec.name == "odd":
            raise error
        return real(spec, **options)

    monkeypatch.setattr(module, "index_task", index_task)
    with caplog.at_level(logging.DEBUG, "vlmsel.evidence.catalog_contents"):
        found = look_up_tasks(tasks(tmp_path, "odd", "good"))
    assert list(found.indexes) == ["good"]
    (fault,) = found.faults
    assert fault.task == "odd"
    assert type(error).__name__ in fault.reason
    # --debug shows where.
    assert any(record.exc_info for record in caplog.records)
    with pytest.raises(TaskError, match="odd: "):
        look_up_tasks(TaskCatalog(tasks=(TaskSpec(name="odd", images=str(tmp_path)),)))


def test_whatever_a_reader_raises_leaves_out_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tasks(tmp_path, "pets")
    Image.new("RGB", (4, 4)).save(tmp_path / "pets" / "odd.png")
    real = index._scan

    def scan(source: index.SourceFile) -> object:
        if source.name == "odd.png":
            raise OverflowError("https://me:secretword@host")
        return real(source)

    monkeypatch.setattr(index, "_scan", scan)
    found = look_up_tasks(catalog)
    assert [ref.image_id for ref in found.indexes["pets"].images] == ["a.png"]
    (fault,) = found.faults
    assert fault.reason.endswith("odd.png cannot be read: OverflowError: https://***@host")


def test_whatever_a_model_raises_leaves_out_that_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.identify

    def identify(spec: ModelSpec) -> object:
        if spec.model == "odd":
            raise RecursionError
        return real(spec)

    monkeypatch.setattr(module, "identify", identify)
    (tmp_path / "own.py").write_text("def build(spec): ...")
    monkeypatch.syspath_prepend(tmp_path)
    zoo = Zoo(
        models=(
            ModelSpec(model="odd", pretrained="x", encoder="own:build"),
            ModelSpec(model="good", pretrained="x", encoder="own:build"),
        )
    )
    found = look_up_models(zoo)
    assert [spec.model for spec, _ in found.models] == ["good"]
    assert [fault.reason for fault in found.faults] == ["RecursionError"]


def test_tasks_of_questions_have_no_texts_of_classes() -> None:
    catalogued = Catalogued((), {}, {}, {"maps": TaskQuestions({}, "letters", 4)})
    assert catalogued.texts == {}
    # Nor is that the fault of a file.
    assert catalogued.text_faults == ()

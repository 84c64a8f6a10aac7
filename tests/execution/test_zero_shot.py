from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from vlmsel.errors import TaskError
from vlmsel.execution import zero_shot as module
from vlmsel.execution.cells import AccuracyJob
from vlmsel.execution.prepare import plan_accuracies
from vlmsel.execution.run import run_accuracy
from vlmsel.execution.zero_shot import accuracy
from vlmsel.store.accuracies import AccuracyStore
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.loader import load_model


def test_accuracy_by_hand() -> None:
    similarity = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    labels = torch.tensor([0, 0, 1, 1])
    found = accuracy(similarity, labels)
    assert (found.acc1, found.acc5, found.mean_per_class_recall, found.n_images) == (
        0.75,
        None,
        0.75,
        4,
    )


def test_recall_weighs_classes_and_not_images() -> None:
    similarity = torch.tensor([[1.0, 0.0]] * 4)
    found = accuracy(similarity, torch.tensor([0, 0, 0, 1]))
    assert (found.acc1, found.mean_per_class_recall) == (0.75, 0.5)


@given(st.integers(6, 9), st.integers(12, 30), st.integers(0, 10**6))
def test_accuracy_agrees_with_scikit_learn(n_classes: int, n_images: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.rand(n_images, n_classes, generator=generator)
    labels = torch.arange(n_images) % n_classes
    found = accuracy(similarity, labels)
    guess = similarity.argmax(1)
    assert found.acc1 == pytest.approx(accuracy_score(labels, guess))
    assert found.mean_per_class_recall == pytest.approx(balanced_accuracy_score(labels, guess))
    top5 = top_k_accuracy_score(labels, similarity, k=5, labels=range(n_classes))
    assert found.acc5 == pytest.approx(top5)


def by_hand(zoo: Zoo, tasks: TaskCatalog) -> float:
    """Accuracy of the first model on the first task, image by image and prompt by prompt."""
    model, task = load_model(zoo.models[0]), tasks.tasks[0]
    assert model.encode_text is not None
    assert task.classnames is not None
    right = []
    for path in sorted(Path(task.images).rglob("*.png")):
        with Image.open(path) as file, torch.no_grad():
            embedding = model.encode_image(model.transform(file)[None])[0]
        scores = {}
        for name in task.classnames:
            prompts = [model.encode_text([t.replace("{}", name)])[0] for t in task.templates or ()]
            mean = torch.stack(prompts).mean(0)
            scores[name] = torch.cosine_similarity(embedding, mean, dim=0).item()
        right.append(max(scores, key=scores.__getitem__) == path.parent.name)
    return sum(right) / len(right)


def test_an_accuracy_is_what_a_slow_loop_gives_over_chunks_and_templates(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_IMAGES", 4)
    templates = ("a picture of {}", "{}")
    task = tasks.tasks[0].model_copy(update={"templates": templates})
    catalog = TaskCatalog(tasks=(task,))
    summary = run_accuracy(zoo, catalog, str(tmp_path / "s"))
    assert (summary.measured, summary.exit_code()) == (2, 0)
    row = AccuracyStore(tmp_path / "s").scan().row(0, named=True)
    first = next(
        r
        for r in AccuracyStore(tmp_path / "s").scan().rows(named=True)
        if r["model"] == zoo.models[0].model
    )
    assert first["acc1"] == pytest.approx(by_hand(zoo, catalog))
    assert row["n_images"] == 6


def test_a_second_run_measures_nothing(zoo: Zoo, tasks: TaskCatalog, tmp_path: Path) -> None:
    run_accuracy(zoo, tasks, str(tmp_path / "s"))
    again = run_accuracy(zoo, tasks, str(tmp_path / "s"))
    assert (again.measured, again.skipped, again.exit_code()) == (0, 6, 0)


def test_other_prompts_labels_or_images_are_another_accuracy(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    task = tasks.tasks[0]

    def wanted(**changes: object) -> frozenset[object]:
        catalog = TaskCatalog(tasks=(task.model_copy(update=changes),))
        return frozenset(plan_accuracies(zoo, catalog, str(tmp_path / "s")).wanted)

    plain = wanted()
    assert plain.isdisjoint(wanted(templates=("a {} indeed",)))
    assert plain.isdisjoint(wanted(classnames=("square", "circle")))
    next(Path(task.images).rglob("*.png")).unlink()
    assert plain.isdisjoint(wanted())


def test_a_task_without_class_names_is_an_error_that_says_what_to_add(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    bare = tasks.tasks[0].model_copy(update={"classnames": None})
    with pytest.raises(TaskError, match="task 'a' has no class names: add"):
        run_accuracy(zoo, TaskCatalog(tasks=(bare,)), str(tmp_path / "s"))


def test_one_task_without_class_names_leaves_the_others_and_a_fault(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    bare = tasks.tasks[0].model_copy(update={"classnames": None})
    summary = run_accuracy(zoo, TaskCatalog(tasks=(bare, tasks.tasks[1])), str(tmp_path / "s"))
    assert (summary.measured, summary.exit_code(), len(summary.faults)) == (2, 1, 1)


def test_images_without_labels_fail_the_cell_with_the_reason(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    task = tasks.tasks[0]
    for path in sorted(Path(task.images).rglob("*.png")):
        path.rename(Path(task.images) / path.name)
    for folder in ("circle", "square"):
        (Path(task.images) / folder).rmdir()
    catalog = TaskCatalog(tasks=(task,))
    try:
        summary = run_accuracy(zoo, catalog, str(tmp_path / "s"))
    except TaskError as error:
        assert "label" in str(error) or "class" in str(error)  # noqa: PT017
    else:
        assert summary.total.failed == 2
        assert "has no label" in summary.failures[0].reason
        again = run_accuracy(zoo, catalog, str(tmp_path / "s"))
        assert (again.measured, again.failed_before, again.exit_code()) == (0, 2, 1)


def test_a_corrupt_image_is_left_out_of_the_accuracy_and_named(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    task = tasks.tasks[0]
    (Path(task.images) / "circle" / "0.png").write_bytes(b"broken")
    summary = run_accuracy(zoo, TaskCatalog(tasks=(task,)), str(tmp_path / "s"))
    assert {f.image_id for f in summary.failures} == {"circle/0.png"}
    assert AccuracyStore(tmp_path / "s").scan()["n_images"].to_list() == [5, 5]


def test_the_job_has_prompts_of_labelled_tasks_only(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    plan = plan_accuracies(zoo, tasks, str(tmp_path / "s"))
    assert isinstance(plan.job, AccuracyJob)
    assert set(plan.job.prompts) == {"a", "b", "c"}

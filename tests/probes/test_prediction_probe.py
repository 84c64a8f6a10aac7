from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score
from torch import Tensor

from tests.execution.builders import sha
from tests.probes.builders import embedded, made_up_model, pictures, random_unit
from vlmsel.errors import ModelError, TaskError
from vlmsel.evidence.accuracies import derive_accuracies
from vlmsel.evidence.catalog_contents import look_up
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.run import measure
from vlmsel.measurements import Prediction, Want
from vlmsel.probes.batch import Batch
from vlmsel.probes.prediction_probe import PredictionProbe
from vlmsel.probes.protocol import Probed
from vlmsel.store.store import Store
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.loader import load_model

WANTS = [Want(Prediction())]
TWO_CLASSES = torch.eye(2)
NAN = float("nan")


def probe(batch: Batch, measurement: Prediction | None = None) -> Probed:
    return PredictionProbe(measurement or Prediction()).measure(batch)


def frame(probed: Probed) -> pl.DataFrame:
    columns = {name: pl.Series(name, values) for name, values in probed.columns.items()}
    return pl.DataFrame({"image": pl.Series(probed.images, dtype=pl.Int64), **columns})


def accuracies(rows: pl.DataFrame, labels: Tensor) -> dict[str, float]:
    names = [pl.lit("a").alias("model"), pl.lit("x").alias("pretrained"), pl.lit("t").alias("task")]
    labelled = rows.with_columns(*names, label=pl.Series(labels.numpy()).cast(pl.Int32))
    return derive_accuracies(labelled).row(0, named=True)


def test_answers_by_hand() -> None:
    embedding = torch.tensor([[3.0, 4.0], [2.0, 0.0]])
    rows = frame(probe(embedded(embedding, TWO_CLASSES, scale=10.0, bias=-1.0)))
    assert rows["logits"].to_list() == [[5.0, 7.0], [9.0, -1.0]]
    assert rows["argmax"].to_list() == [1, 0]
    assert rows["top"].to_list() == [[1, 0], [0, 1]]
    assert rows["n_classes"].to_list() == [2, 2]
    by_hand = np.log(np.exp([5.0, 9.0]) + np.exp([7.0, -1.0]))
    assert rows["log_sum_exp"].to_list() == pytest.approx(by_hand)


@given(st.integers(6, 9), st.integers(12, 30), st.integers(0, 10**6))
def test_accuracies_of_the_answers_agree_with_scikit_learn(
    n_classes: int, n_images: int, seed: int
) -> None:
    embedding = torch.rand(n_images, n_classes, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(n_images) % n_classes
    found = accuracies(frame(probe(embedded(embedding, torch.eye(n_classes)))), labels)
    guess = embedding.argmax(1)
    assert found["acc1"] == pytest.approx(accuracy_score(labels, guess))
    balanced = balanced_accuracy_score(labels, guess)
    assert found["mean_per_class_recall"] == pytest.approx(balanced)
    top5 = top_k_accuracy_score(labels, embedding, k=5, labels=range(n_classes))
    assert found["acc5"] == pytest.approx(top5)


@given(st.integers(1, 12), st.integers(2, 12), st.integers(0, 10**6))
def test_the_best_k_are_those_of_the_full_answer(k: int, n_classes: int, seed: int) -> None:
    batch = embedded(random_unit(4, 6, seed), random_unit(n_classes, 6, seed + 1), scale=100.0)
    full, best = frame(probe(batch)), frame(probe(batch, Prediction(logits=k)))
    n_top = min(n_classes, max(5, k))
    same = ["argmax", "log_sum_exp", "n_classes"]
    assert best.select(same).equals(full.select(same))
    for row, whole in zip(best.iter_rows(named=True), full.iter_rows(named=True), strict=True):
        assert row["top"][:5] == whole["top"]
        assert row["logits"] == [whole["logits"][number] for number in row["top"]]
        assert len(row["top"]) == n_top
        assert row["logits"] == sorted(whole["logits"], reverse=True)[:n_top]


def test_a_large_bias_rounds_no_answer_away() -> None:
    classes = torch.tensor([[1.0, 0.0], [0.9999, 0.0141], [0.0, 1.0]])
    rows = frame(probe(embedded(torch.tensor([[0.0, 2.0]]), classes, bias=-16384.0)))
    assert rows["top"].to_list() == [[2, 1, 0]]


def test_of_classes_equally_near_the_first_wins() -> None:
    rows = frame(probe(embedded(torch.tensor([[1.0, 1.0]]), TWO_CLASSES)))
    assert rows["top"].to_list() == [[0, 1]]


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([NAN, 1.0], "its embedding has values that are not finite"),
        ([float("inf"), 1.0], "its embedding has values that are not finite"),
        ([0.0, 0.0], "its embedding is zero"),
    ],
)
def test_an_image_without_a_usable_embedding_fails_alone(vector: list[float], reason: str) -> None:
    embedding = torch.tensor([[1.0, 2.0], vector, [2.0, 1.0]])
    probed = probe(embedded(embedding, TWO_CLASSES))
    assert probed.failures == {1: reason}
    assert list(probed.images) == [0, 2]
    sound = torch.tensor([[1.0, 2.0], [5.0, 5.0], [2.0, 1.0]])
    others = frame(probe(embedded(sound, TWO_CLASSES))).filter(pl.col("image") != 1)
    assert frame(probed).equals(others)


def test_where_no_embedding_is_usable_no_image_has_rows() -> None:
    probed = probe(embedded(torch.tensor([[0.0, 0.0], [NAN, 0.0]]), TWO_CLASSES))
    assert set(probed.failures) == {0, 1}
    assert len(probed.images) == 0


def test_a_model_with_one_embedding_for_all_images_is_refused() -> None:
    constant = torch.tensor([[1.0, 2.0]]).repeat(3, 1)
    with pytest.raises(ModelError, match=r"made-up/x: all 3 images have the same embedding"):
        probe(embedded(constant, TWO_CLASSES))


def test_one_embedding_for_the_images_that_have_a_finite_one_is_one_too_many() -> None:
    with pytest.raises(ModelError, match="all 2 images have the same embedding"):
        probe(embedded(torch.tensor([[1.0, 2.0], [NAN, 0.0], [1.0, 2.0]]), TWO_CLASSES))


def copies(embedding: Tensor, contents: str) -> Batch:
    """Pictures that are equal where their letters are, though no two files are."""
    return Batch(
        made_up_model(classes=TWO_CLASSES),
        pictures(ord(letter) for letter in contents),
        [sha(str(number)) for number in range(len(contents))],
        prompts=ClassPrompts(("0", "1"), ("{}",)),
        embedding=embedding,
    )


def test_copies_of_one_image_have_one_embedding_and_no_fault() -> None:
    assert list(probe(copies(torch.tensor([[1.0, 2.0]]).repeat(2, 1), "aa")).images) == [0, 1]


def test_copies_beside_an_image_that_failed_are_no_fault() -> None:
    found = probe(copies(torch.tensor([[1.0, 2.0], [1.0, 2.0], [NAN, 0.0]]), "aab"))
    assert (list(found.images), set(found.failures)) == ([0, 1], {2})


def test_classes_with_one_embedding_are_refused() -> None:
    with pytest.raises(ModelError, match="classes '0' and '1' have the same embedding"):
        probe(embedded(torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])))
    with pytest.raises(ModelError, match="class name is not finite"):
        probe(embedded(torch.eye(2), torch.tensor([[1.0, 0.0], [NAN, 1.0]])))


def test_a_task_without_class_names_and_a_model_without_text_are_refused() -> None:
    images, model = torch.rand(2, 3, 8, 8), made_up_model()
    with pytest.raises(ModelError, match="no class names: add `classnames`"):
        probe(Batch(model, images, ["0", "1"]))
    prompts = ClassPrompts(("0", "1"), ("{}",))
    with pytest.raises(ModelError, match="made-up/x encodes no text"):
        probe(Batch(model, images, ["0", "1"], prompts=prompts))


def evidence(zoo: Zoo, tasks: TaskCatalog, store: Store) -> Evidence:
    return Evidence(store, look_up(zoo, tasks), {"prediction": WANTS[0]})


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


def test_an_accuracy_is_what_a_slow_loop_gives_over_templates(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    templates = ("a picture of {}", "{}")
    task = tasks.tasks[0].model_copy(update={"templates": templates})
    catalog = TaskCatalog(tasks=(task,))
    summary = measure(zoo, catalog, store, WANTS)
    assert (summary.measured, summary.exit_code()) == (2, 0)
    rows = evidence(zoo, catalog, store).accuracies.rows(named=True)
    first = next(row for row in rows if row["model"] == zoo.models[0].model)
    assert first["acc1"] == pytest.approx(by_hand(zoo, catalog))
    assert [row["n_images"] for row in rows] == [6, 6]


def test_a_second_run_measures_nothing(zoo: Zoo, tasks: TaskCatalog, store: Store) -> None:
    measure(zoo, tasks, store, WANTS)
    again = measure(zoo, tasks, store, WANTS)
    assert (again.measured, again.skipped, again.exit_code()) == (0, 6, 0)


def test_other_prompts_or_images_are_other_predictions_and_other_labels_are_not(
    zoo: Zoo, tasks: TaskCatalog, store: Store, tmp_path: Path
) -> None:
    task = tasks.tasks[0]

    def wanted(**changes: object) -> frozenset[object]:
        catalog = TaskCatalog(tasks=(task.model_copy(update=changes),))
        return frozenset(plan_measurements(zoo, catalog, store, WANTS).wanted)

    plain = wanted()
    assert plain.isdisjoint(wanted(templates=("a {} indeed",)))
    assert plain.isdisjoint(wanted(classnames=("square", "circle")))
    labels = tmp_path / "labels.csv"
    labels.write_text("image_id,label\ncircle/0.png,square\n")
    assert wanted(labels=str(labels)) == plain
    next(Path(task.images).rglob("*.png")).unlink()
    assert plain.isdisjoint(wanted())


def test_a_task_without_class_names_is_an_error_that_says_what_to_add(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    bare = tasks.tasks[0].model_copy(update={"classnames": None})
    with pytest.raises(TaskError, match=r"task 'a' has no class names.*: add"):
        measure(zoo, TaskCatalog(tasks=(bare,)), store, WANTS)


def test_one_task_without_class_names_leaves_the_others_and_a_fault(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    bare = tasks.tasks[0].model_copy(update={"classnames": None})
    catalog = TaskCatalog(tasks=(bare, tasks.tasks[1]))
    assert set(plan_measurements(zoo, catalog, store, WANTS).job.prompts) == {"b"}
    summary = measure(zoo, catalog, store, WANTS)
    assert (summary.measured, summary.exit_code(), len(summary.faults)) == (2, 1, 1)


def test_images_without_labels_are_measured_and_their_accuracy_is_a_fault(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    task = tasks.tasks[0]
    for path in sorted(Path(task.images).rglob("*.png")):
        path.rename(Path(task.images) / path.name)
    for folder in ("circle", "square"):
        (Path(task.images) / folder).rmdir()
    catalog = TaskCatalog(tasks=(task,))
    summary = measure(zoo, catalog, store, WANTS)
    assert (summary.measured, summary.exit_code()) == (2, 0)
    known = evidence(zoo, catalog, store)
    assert known.predictions.height == 12
    assert known.accuracies.is_empty()
    [fault] = known.label_faults
    assert "task 'a' has no labels" in fault.reason


def test_a_corrupt_image_is_left_out_of_the_accuracy_and_named(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    task = tasks.tasks[0]
    (Path(task.images) / "circle" / "0.png").write_bytes(b"broken")
    catalog = TaskCatalog(tasks=(task,))
    summary = measure(zoo, catalog, store, WANTS)
    assert {f.image_id for f in summary.failures} == {"circle/0.png"}
    assert evidence(zoo, catalog, store).accuracies["n_images"].to_list() == [5, 5]


def test_forty_thousand_classes() -> None:
    """Numbers of classes beyond 16 bits are kept, and all logits."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.nn.functional.normalize(torch.randn(40_000, 8, generator=generator), dim=-1)
    wanted = [39_999, 33_000, 5]
    rows = PredictionProbe(Prediction()).measure(embedded(3 * classes[wanted], classes)).columns
    assert rows["argmax"].to_pylist() == wanted
    assert [top[0] for top in rows["top"].to_pylist()] == wanted
    assert {len(row) for row in rows["logits"].to_pylist()} == {40_000}

"""Three kinds together: one checkpoint load, one decoding, one forward pass for all that share it.

Predictions for other prompts are made from stored embeddings, without an image.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from vlmsel.errors import ModelError
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.execution.run_summary import RunSummary
from vlmsel.execution.work import decoded_images as decoded_module
from vlmsel.execution.work import worker as worker_module
from vlmsel.measurements import Embedding, Measurement, Prediction, Profile, Want
from vlmsel.probes.embedding_probe import EmbeddingProbe
from vlmsel.probes.prediction_probe import PredictionProbe
from vlmsel.probes.profile_probe import ProfileProbe
from vlmsel.store.store import Store
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

KINDS = ("profile", "prediction", "embedding")


class Watched:
    """Counts of what costs: checkpoints loaded, images decoded, images per call of a tower."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.loads: Counter[str] = Counter()
        self.decoded: Counter[bytes] = Counter()
        self.passes: list[tuple[str, int, bool]] = []
        load, decode = worker_module.load_model, decode_image

        def loading(spec: Any, **options: Any) -> Any:
            self.loads[spec.name] += 1
            model = load(spec, **options)

            def seen(_: object, inputs: tuple[Tensor, ...], __: object) -> None:
                self.passes.append((spec.name, len(inputs[0]), torch.is_inference_mode_enabled()))

            model.visual.register_forward_hook(seen)
            return model

        def decoding(data: bytes) -> Any:
            self.decoded[data] += 1
            return decode(data)

        patch.setattr(worker_module, "load_model", loading)
        patch.setattr(decoded_module, "decode_image", decoding)

    @property
    def shared(self) -> Counter[tuple[str, int]]:
        """Forward passes without gradients: model, images."""
        return Counter((name, n) for name, n, is_inference in self.passes if is_inference)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.fixture
def three(profile: Profile) -> list[Want]:
    return [Want(profile), Want(Prediction()), Want(Embedding())]


def rows(store: Store, measurement: Measurement) -> pl.DataFrame:
    return store.scan(store.cells(measurement.kind, measurement.digest)).rows


def by_kind(summary: RunSummary, name: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (kind, *_), tally in summary.tallies.items():
        counts[kind] += getattr(tally, name)
    return dict(counts)


def renamed(tasks: TaskCatalog) -> TaskCatalog:
    """The same images with other templates."""
    other = [t.model_copy(update={"templates": ("a drawing of a {}",)}) for t in tasks.tasks]
    return TaskCatalog(tasks=tuple(other))


def forbid_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nobody may read an image."""

    def read(*_: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr(decoded_module, "read_shard", read)


def test_three_kinds_load_decode_and_pass_once(
    zoo: Zoo, tasks: TaskCatalog, store: Store, three: list[Want], watched: Watched
) -> None:
    summary = measure(zoo, tasks, store, three)
    assert by_kind(summary, "measured") == dict.fromkeys(KINDS, 6)
    assert by_kind(summary, "n_images") == dict.fromkeys(KINDS, 36)
    assert watched.loads == {spec.name: 1 for spec in zoo.models}
    # Both models prepare images alike, so that one decoding serves them both.
    assert (len(watched.decoded), set(watched.decoded.values())) == (18, {1})
    assert summary.total.n_decoded == 18
    assert watched.shared == {(spec.name, 6): 3 for spec in zoo.models}


def test_together_they_are_what_each_is_alone(
    zoo: Zoo, tasks: TaskCatalog, store: Store, three: list[Want]
) -> None:
    measure(zoo, tasks, store, three)
    for want in three:
        alone = Store(f"{store.uri}-{want.kind}")
        measure(zoo, tasks, alone, [want])
        assert rows(alone, want.measurement).height > 0
        assert rows(alone, want.measurement).equals(rows(store, want.measurement))


@pytest.mark.parametrize(
    ("kind", "probe"),
    [("profile", ProfileProbe), ("prediction", PredictionProbe), ("embedding", EmbeddingProbe)],
)
@pytest.mark.parametrize("error", [ModelError("nothing there"), RuntimeError("bad kernel")])
def test_a_probe_that_raises_fails_its_own_cells_alone(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    three: list[Want],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    probe: type,
    error: Exception,
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(probe, "measure", broken)
    catalog = TaskCatalog(tasks=tasks.tasks[:1])
    summary = measure(zoo, catalog, store, three)
    assert by_kind(summary, "failed") == {one: 2 * (one == kind) for one in KINDS}
    assert by_kind(summary, "measured") == {one: 2 * (one != kind) for one in KINDS}
    assert {failure.kind for failure in summary.failures} == {kind}
    monkeypatch.undo()
    again = measure(zoo, catalog, store, three, options=RunOptions(retry_failed=True))
    assert by_kind(again, "measured") == {kind: 2}


def test_a_block_that_is_not_there_fails_the_embedding_and_not_the_prediction(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    wants = [Want(Prediction()), Want(Embedding(layer="no-such-block"))]
    summary = measure(zoo, TaskCatalog(tasks=tasks.tasks[:1]), store, wants)
    assert by_kind(summary, "measured") == {"prediction": 2, "embedding": 0}
    assert by_kind(summary, "failed") == {"prediction": 0, "embedding": 2}


def test_predictions_for_other_prompts_are_made_of_stored_embeddings(
    zoo: Zoo,
    tasks: TaskCatalog,
    store: Store,
    three: list[Want],
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure(zoo, tasks, store, three)
    first = store.cells("prediction", Prediction().digest)
    direct = Store(f"{store.uri}-direct")
    measure(zoo, renamed(tasks), direct, [Want(Prediction())])
    for wants in ([Want(Prediction())], [Want(Prediction(logits=1))]):
        [measurement] = [want.measurement for want in wants]
        with monkeypatch.context() as patch:
            forbid_images(patch)
            watched.passes.clear()
            summary = measure(zoo, renamed(tasks), store, wants)
        assert (summary.measured, summary.exit_code()) == (6, 0)
        assert (summary.total.n_decoded, summary.total.n_images) == (0, 36)
        assert watched.passes == []
        cells = store.cells("prediction", measurement.digest)
        new = {cell: path for cell, path in cells.items() if cell not in first}
        measured = store.scan(new).rows
        if measurement == Prediction():
            # The bytes, and so the names of the files, are those of a forward pass.
            assert new == direct.cells("prediction", measurement.digest)
            assert measured.equals(rows(direct, measurement))
        assert measured.height == 36


def test_derived_predictions_name_the_images_that_have_no_embedding(
    zoo: Zoo, tasks: TaskCatalog, store: Store, three: list[Want]
) -> None:
    (Path(tasks.tasks[0].images) / "circle" / "0.png").write_bytes(b"broken")
    catalog = TaskCatalog(tasks=tasks.tasks[:1])
    measure(zoo, catalog, store, three[2:])
    summary = measure(zoo, catalog, store, three[1:2])
    assert (summary.measured, summary.total.n_images) == (2, 10)
    assert {failure.image_id for failure in summary.failures} == {"circle/0.png"}
    direct = Store(f"{store.uri}-direct")
    measure(zoo, catalog, direct, three[1:2])
    assert rows(direct, Prediction()).equals(rows(store, Prediction()))


def test_an_image_that_is_readable_again_is_read_and_not_failed_from_memory(
    zoo: Zoo, tasks: TaskCatalog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = TaskCatalog(tasks=tasks.tasks[:1])
    damaged = (Path(tasks.tasks[0].images) / "circle" / "0.png").read_bytes()

    def refuses(data: bytes) -> Any:
        if data == damaged:
            raise decoded_module.ImageError("no memory for it")
        return decode_image(data)

    with monkeypatch.context() as patch:
        patch.setattr(decoded_module, "decode_image", refuses)
        assert measure(zoo, catalog, store, [Want(Embedding())]).n_failures == 2
    summary = measure(zoo, catalog, store, [Want(Prediction())])
    assert (summary.measured, summary.n_failures, summary.total.n_images) == (2, 0, 12)


def test_a_corrupt_file_of_embeddings_is_passed_over_and_the_images_are_read(
    zoo: Zoo, tasks: TaskCatalog, store: Store, three: list[Want], watched: Watched
) -> None:
    catalog = TaskCatalog(tasks=tasks.tasks[:1])
    measure(zoo, catalog, store, three[2:])
    for path in Path(store.uri).glob("embedding/**/*.parquet"):
        path.write_bytes(path.read_bytes()[:-1])
    watched.passes.clear()
    summary = measure(zoo, catalog, store, three[1:2])
    assert (summary.measured, summary.exit_code()) == (2, 0)
    assert watched.shared == {(spec.name, 6): 1 for spec in zoo.models}
    direct = Store(f"{store.uri}-direct")
    measure(zoo, catalog, direct, three[1:2])
    assert rows(direct, Prediction()).equals(rows(store, Prediction()))


def test_embeddings_that_are_wanted_too_are_not_made_of_themselves(
    zoo: Zoo, tasks: TaskCatalog, store: Store, three: list[Want], watched: Watched
) -> None:
    catalog = TaskCatalog(tasks=tasks.tasks[:1])
    measure(zoo, catalog, store, three[2:])
    watched.passes.clear()
    measure(zoo, renamed(catalog), store, three)
    # The profile needs the images; the prediction beside it shares their forward pass.
    assert watched.shared == {(spec.name, 6): 1 for spec in zoo.models}

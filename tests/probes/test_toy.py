"""A kind of one's own: a measurement and its probe, registered here, and nothing else changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image
from pydantic import Field

from tests.execution.conftest import draw_task
from vlmsel.errors import SettingsError
from vlmsel.evidence.catalog_contents import look_up
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.run import measure
from vlmsel.measurements import (
    Embedding,
    Measurement,
    Want,
    kinds,
    measurement_class,
    measurement_kinds,
    register_measurement,
)
from vlmsel.probes import probe_registry as probes
from vlmsel.probes.batch import Batch
from vlmsel.probes.probe_registry import make_probe, register_probe
from vlmsel.probes.protocol import Probed
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo, load_zoo

BUILT_IN = measurement_kinds()


class Brightness(Measurement):
    """Mean of an image's tensor times a factor, and the length of its embedding."""

    kind: ClassVar[str] = "brightness"
    values: ClassVar[pa.Schema] = pa.schema(
        [pa.field("mean", pa.float64()), pa.field("length", pa.float64())]
    )

    factor: float = Field(default=1.0, gt=0)

    def find_fault(self, rows: pl.DataFrame) -> str | None:
        """A length is above zero."""
        return None if (rows["length"] > 0).all() else "an embedding is zero"


class BrightnessProbe:
    """Reads the images and the shared embedding; refuses an image that is all one colour."""

    needs_images = True
    layers: Sequence[str] = ()

    def __init__(self, measurement: Brightness) -> None:
        self._factor = measurement.factor

    def measure(self, batch: Batch) -> Probed:
        """One row per image with a shade."""
        flat = batch.images.double().flatten(1)
        plain = (flat.amax(dim=1) == flat.amin(dim=1)).tolist()
        kept = [number for number, is_plain in enumerate(plain) if not is_plain]
        lengths = batch.embedding.double().norm(dim=1)
        columns = {
            "mean": pa.array((flat.mean(dim=1)[kept] * self._factor).tolist()),
            "length": pa.array(lengths[kept].tolist()),
        }
        failures = {n: "it is of one colour" for n, is_plain in enumerate(plain) if is_plain}
        return Probed(kept, columns, failures)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The kind is known within a test and unknown after it."""
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))
    register_measurement(Brightness)
    register_probe("brightness", BrightnessProbe)
    yield
    del kinds._CLASSES["brightness"], probes._PROBES["brightness"]
    assert measurement_kinds() == BUILT_IN


@pytest.fixture
def zoo() -> Zoo:
    return Zoo(models=(load_zoo("demo").find("demo-vit-digits"),))


@pytest.fixture
def tasks(tmp_path: Path) -> TaskCatalog:
    return TaskCatalog(tasks=(draw_task(tmp_path / "images" / "a", 0),))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_it_is_known_beside_the_others_and_only_once() -> None:
    assert measurement_kinds() == (*BUILT_IN, "brightness")
    assert measurement_class("brightness") is Brightness
    assert isinstance(make_probe(Brightness()), BrightnessProbe)
    with pytest.raises(SettingsError, match="has a probe already"):
        register_probe("brightness", lambda measurement: BrightnessProbe(measurement))


def test_a_kind_without_a_probe_says_what_is_missing() -> None:
    class Unprobed(Brightness):
        kind: ClassVar[str] = "unprobed"

    with pytest.raises(SettingsError, match=r"no probe computes 'unprobed'.*register_probe"):
        make_probe(Unprobed())


def test_it_is_measured_stored_scanned_and_then_skipped(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    wants = [Want(Brightness()), Want(Embedding())]
    summary = measure(zoo, tasks, store, wants)
    assert (summary.measured, summary.exit_code()) == (2, 0)
    rows = store.scan(store.cells("brightness", Brightness().digest)).measured
    assert rows.columns == [
        "model",
        "pretrained",
        "task",
        "image_id",
        "image_sha256",
        "mean",
        "length",
    ]
    vectors = store.scan(store.cells("embedding", Embedding().digest)).measured
    joined = rows.join(vectors, on="image_id")
    assert joined.height == 6
    norm = joined["vector"].list.eval(pl.element().cast(pl.Float64).pow(2)).list.sum().sqrt()
    assert joined["length"].to_list() == pytest.approx(norm.to_list())
    assert store.settings("brightness") == {Brightness().digest: Brightness()}
    again = measure(zoo, tasks, store, wants)
    assert (again.measured, again.skipped) == (0, 2)
    known = Evidence(store, look_up(zoo, tasks), {"brightness": wants[0]})
    assert known.read("brightness", ["image_id", "mean", "reason"]).measured.height == 6


def test_other_settings_are_other_cells(zoo: Zoo, tasks: TaskCatalog, store: Store) -> None:
    for factor in (1.0, 2.0):
        assert measure(zoo, tasks, store, [Want(Brightness(factor=factor))]).measured == 1
    once, twice = (
        store.scan(store.cells("brightness", Brightness(factor=factor).digest)).measured["mean"]
        for factor in (1.0, 2.0)
    )
    assert (2 * once).to_list() == pytest.approx(twice.to_list())


def test_an_image_that_it_refuses_is_named_and_the_others_are_measured(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    folder = Path(tasks.tasks[0].images)
    Image.new("RGB", (32, 32), (7, 7, 7)).save(folder / "circle" / "0.png")
    summary = measure(zoo, tasks, store, [Want(Brightness()), Want(Embedding())])
    images = {kind: tally.n_images for (kind, *_), tally in summary.tallies.items()}
    assert images == {"brightness": 5, "embedding": 6}
    assert [str(failure) for failure in summary.failures] == [
        "brightness of demo-vit-digits/demo on a, image circle/0.png: it is of one colour"
    ]

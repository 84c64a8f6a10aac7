"""Small real things: two demo models, three folders of drawn images, cheap settings."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlmsel.measurements import Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec
from vlmsel.zoo.catalog import Zoo, load_zoo

N_IMAGES = 6
CLASSNAMES = ("circle", "square")


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the index of tasks nor decoded images may leak from one test into another."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def settings() -> AttributionSettings:
    return AttributionSettings(n_steps=2, rule="trapezoid", path="uniform")


@pytest.fixture
def profile(settings: AttributionSettings) -> Profile:
    return Profile(settings=settings)


@pytest.fixture
def wants(profile: Profile) -> list[Want]:
    """Profiles of all images."""
    return [Want(profile)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    """Two families with one preprocessing."""
    demo = load_zoo("demo")
    return Zoo(models=(demo.find("demo-vit-digits"), demo.find("demo-resnet-letters")))


@pytest.fixture
def tasks(tmp_path: Path) -> TaskCatalog:
    specs = [draw_task(tmp_path / "images" / name, seed) for seed, name in enumerate("abc")]
    return TaskCatalog(tasks=tuple(specs))


def draw_task(folder: Path, seed: int, n_images: int = N_IMAGES) -> TaskSpec:
    """Noise images in one folder a class, the classes in turn."""
    rng = np.random.default_rng(seed)
    for number in range(n_images):
        part = folder / CLASSNAMES[number % 2]
        part.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(part / f"{number}.png")
    return TaskSpec(name=folder.name, images=str(folder), classnames=CLASSNAMES)

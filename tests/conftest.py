"""Settings that must be in place before torch and Ray are imported."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
# Nothing here may reach a model hub: a test that tries must fail at once, not hang.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import settings

from tests.shared_folders import fill_once
from tests.warm_processes import WarmChild

ROOT = Path(__file__).parent
# What takes longest begins first, so that no worker waits for another at the end; before a cluster
# of the session takes Ray's one fixed port, those that look at it.
FIRST = (
    "integration/test_ray_cluster.py",
    "integration",
    "cli",
    "zoo/test_blocks.py",
    "attribution/test_families.py",
)
# Tests of clusters, browsers and killed processes wait for others to start.
INTEGRATION_S = 180

# A loaded machine is no failure: nothing here is judged by the clock.
settings.register_profile("vlmsel", deadline=None)
settings.load_profile("vlmsel")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share fixtures stay on one worker; the longest begin first."""
    for item in items:
        place = _place(item)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(place.as_posix()))
        if place.parts[0] == "integration" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(INTEGRATION_S))
    items.sort(key=_turn)


def _place(item: pytest.Item) -> Path:
    return item.path.relative_to(ROOT) if ROOT in item.path.parents else item.path


def _turn(item: pytest.Item) -> int:
    place = _place(item).as_posix()
    return next((i for i, start in enumerate(FIRST) if place.startswith(start)), len(FIRST))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests remember of their images and answers is nothing for the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLMSEL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without runs, to be copied: making its tables takes seconds."""

    def fill(folder: Path) -> None:
        # Sets MLflow up before it is imported.
        from vlmsel import tracking  # noqa: F401, I001

        from mlflow.tracking import MlflowClient

        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return fill_once(tmp_path_factory, "database", fill) / "mlflow.db"


@pytest.fixture
def warm_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children of the local executor start at once, not after an import of torch."""
    warm = SimpleNamespace(
        Popen=WarmChild, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )
    monkeypatch.setattr("vlmsel.execution.executors.child.subprocess", warm)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, which a few cells fill."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)

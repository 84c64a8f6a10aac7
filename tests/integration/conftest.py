"""One Ray a session, since starting it costs seconds: two CPUs, and two GPUs in name only."""

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.execution import bad_encoders
from tests.execution.conftest import draw_task
from tests.integration.problem import Wants, all_kinds, stored
from tests.warm_ray import warm_workers
from vlmsel.execution.executors.ray.local_cluster import local_cluster
from vlmsel.execution.run import measure
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo, load_zoo

ROOT = Path(__file__).parents[2]
# The test server takes any keys; the client wants some.
S3_KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster of this machine; workers import the package and the tests from the checkout."""
    notes = str(tmp_path_factory.mktemp("encoders"))
    variables = {"PYTHONPATH": str(ROOT), bad_encoders.FOLDER: notes, **S3_KEYS}
    os.environ[bad_encoders.FOLDER] = notes
    with (
        warm_workers() as python,
        local_cluster(
            num_cpus=2,
            num_gpus=2,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": variables, "py_executable": python},
        ),
    ):
        yield


@pytest.fixture(scope="session")
def settings() -> AttributionSettings:
    return AttributionSettings(n_steps=2, rule="trapezoid", path="uniform")


@pytest.fixture(scope="session")
def wants(settings: AttributionSettings) -> Wants:
    """Profiles, embeddings and predictions of all images."""
    return all_kinds(settings)


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    demo = load_zoo("demo")
    return Zoo(models=(demo.find("demo-vit-digits"), demo.find("demo-resnet-letters")))


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> TaskCatalog:
    folder = tmp_path_factory.mktemp("images")
    specs = [draw_task(folder / name, seed) for seed, name in enumerate("abcdef")]
    return TaskCatalog(tasks=tuple(specs))


@pytest.fixture(scope="session")
def undisturbed(
    zoo: Zoo, tasks: TaskCatalog, wants: Wants, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pl.DataFrame]:
    """What the local executor measures of all three kinds, which nobody kills."""
    store = Store(tmp_path_factory.mktemp("undisturbed"))
    assert measure(zoo, tasks, store, wants).exit_code() == 0
    return stored(store.uri, wants)

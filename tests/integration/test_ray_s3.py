"""Images and store on S3 (a real server on this machine): the same values, the same promises."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from tests.integration.conftest import S3_KEYS
from tests.integration.problem import (
    Problem,
    Wants,
    assert_equal_stores,
    stored,
    stored_cells,
)
from tests.integration.test_ray_chaos import ALONE, end, read_outcomes, start
from vlmsel.errors import StoreError
from vlmsel.execution.lease import read_lease
from vlmsel.execution.nightly import refresh
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

# Two models, three tasks, three kinds.
N_CELLS = 18


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in S3_KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> str:
    """A fresh bucket's name."""
    name = f"work-{secrets.token_hex(6)}"
    client(endpoint).create_bucket(Bucket=name)
    return name


def client(endpoint: str):
    return boto3.client(
        "s3",
        endpoint_url=f"http://{endpoint}",
        region_name="us-east-1",
        aws_access_key_id=S3_KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3_KEYS["AWS_SECRET_ACCESS_KEY"],
    )


def address(endpoint: str, bucket: str, path: str) -> str:
    options = f"endpoint_override={endpoint}&scheme=http&region=us-east-1"
    return f"s3://{bucket}/{path}?{options}"


@pytest.fixture
def remote(endpoint: str, bucket: str, zoo: Zoo, tasks: TaskCatalog, wants: Wants) -> Problem:
    """Three of the tasks with their images in the bucket."""
    specs = []
    for spec in tasks.tasks[:3]:
        for path in Path(spec.images).rglob("*.png"):
            key = f"{spec.name}/{path.relative_to(spec.images)}"
            client(endpoint).upload_file(str(path), bucket, key)
        specs.append(spec.model_copy(update={"images": address(endpoint, bucket, spec.name)}))
    return zoo, TaskCatalog(tasks=tuple(specs)), wants


@pytest.fixture
def expected(zoo: Zoo, tasks: TaskCatalog, wants: Wants, tmp_path: Path) -> dict[str, pl.DataFrame]:
    """The same from the local disk."""
    measure(zoo, TaskCatalog(tasks=tasks.tasks[:3]), Store(tmp_path / "local"), wants)
    return stored(tmp_path / "local", wants)


@ALONE
@pytest.mark.usefixtures("warm_children")
def test_a_driver_killed_on_s3_is_finished_by_the_next(
    endpoint: str, bucket: str, remote: Problem, expected: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    zoo, tasks, wants = remote
    store = address(endpoint, bucket, "store")
    driver = start(remote, tmp_path, store=store)
    read_outcomes(driver, 2)
    end(driver)
    done = len(stored_cells(store, wants))
    assert done >= 2
    summary = measure(zoo, tasks, Store(store), wants)
    assert (summary.measured, summary.skipped, summary.exit_code()) == (N_CELLS - done, done, 0)
    assert_equal_stores(stored(store, wants), expected)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.xdist_group("ray")
def test_ray_on_s3_gives_the_same_cells(
    endpoint: str, bucket: str, remote: Problem, expected: dict[str, pl.DataFrame]
) -> None:
    zoo, tasks, wants = remote
    store = address(endpoint, bucket, "store")
    one = RunOptions(executor="ray", n_workers=1)
    assert measure(zoo, tasks, Store(store), wants, options=one).measured == N_CELLS
    assert_equal_stores(stored(store, wants), expected)


@ALONE
def test_a_refresh_on_s3_holds_and_releases_its_lease(
    endpoint: str, bucket: str, remote: Problem
) -> None:
    zoo, tasks, wants = remote
    store = Store(address(endpoint, bucket, "store"))
    first = refresh(zoo, tasks, store, wants)
    again = refresh(zoo, tasks, store, wants)
    assert (first.summary.measured, again.summary.measured) == (N_CELLS, 0)
    assert again.exit_code() == 0
    assert read_lease(store.folder, "leases/refresh.json") is None


@ALONE
def test_a_bucket_that_does_not_exist_is_a_clear_error(endpoint: str, remote: Problem) -> None:
    zoo, tasks, wants = remote
    with pytest.raises(StoreError, match="no-such-bucket"):
        measure(zoo, tasks, Store(address(endpoint, "no-such-bucket", "store")), wants)

"""Jobs on a real `ray start --head`: what a user types, and what the exit code says."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from ray.job_submission import JobStatus, JobSubmissionClient

from tests.integration.conftest import ROOT
from tests.integration.problem import Wants, assert_equal_stores, stored, stored_cells
from tests.warm_processes import WarmProcess, run_script
from vlmsel.execution.run import measure
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

pytestmark = pytest.mark.xdist_group("jobs")

START_S = 150.0
TOKEN = secrets.token_hex(32)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as in the cluster's image: the built wheel, and no checkout anywhere."""
    folder = tmp_path_factory.mktemp("image")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # The dependencies are this environment's; its own link to the checkout is not followed.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def head(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard's address of a head started for this module, with the image's Python.

    The raylet starts its workers with the Python that started it.
    """
    with running_head(image, tmp_path_factory.mktemp("head")) as address:
        yield address


@contextmanager
def running_head(python: Path, folder: Path) -> Iterator[str]:
    """A head on ports of its own; gives the dashboard's address."""
    gcs, dashboard, agent, grpc, metrics, client, runtime = free_ports(7)
    command = [str(python), "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--num-cpus=2", f"--port={gcs}"]
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += [f"--dashboard-agent-grpc-port={grpc}", f"--metrics-export-port={metrics}"]
    command += [f"--ray-client-server-port={client}", f"--runtime-env-agent-port={runtime}"]
    # A folder of its own: a driver looks for its cluster in Ray's, and may find another's. It is
    # short since the sockets in it may not have longer names than 107 characters.
    own = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    command += [f"--temp-dir={own}"]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        command, env=clean_environment(), stdout=log, stderr=subprocess.STDOUT, cwd="/"
    )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()
        shutil.rmtree(own, ignore_errors=True)


def clean_environment() -> dict[str, str]:
    """As in a fresh shell: no other cluster, no checkout on the path."""
    hidden = ("RAY_ADDRESS", "PYTHONPATH")
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    return {k: v for k, v in os.environ.items() if k not in hidden} | auth


def job_client(address: str) -> JobSubmissionClient:
    return JobSubmissionClient(address, headers={"Authorization": f"Bearer {TOKEN}"})


def wait_for(address: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            job_client(address).list_jobs()
            return
        except (ConnectionError, RuntimeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


SUBMIT = str(ROOT / "jobs" / "submit.py")


def submit(address: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end, in a process whose imports are done but for Ray's."""
    process = start_submitting(address, *args)
    out, err = process.communicate()
    return subprocess.CompletedProcess(args, process.wait(), out, err)


def start_submitting(address: str, *args: str) -> WarmProcess:
    words = [SUBMIT, "--address", address, *args]
    return WarmProcess(run_script, words, environment=clean_environment())


def write_catalogs(folder: Path, zoo: Zoo, tasks: TaskCatalog) -> tuple[str, str]:
    paths = folder / "zoo.yaml", folder / "tasks.yaml"
    models = [spec.model_dump(exclude_none=True) for spec in zoo.models]
    specs = [spec.model_dump(mode="json", exclude_none=True) for spec in tasks.tasks]
    paths[0].write_text(yaml.safe_dump({"models": models}))
    paths[1].write_text(yaml.safe_dump({"tasks": specs}))
    return str(paths[0]), str(paths[1])


def arguments(
    folder: Path, zoo: Zoo, tasks: TaskCatalog, settings: AttributionSettings, store: str
) -> list[str]:
    """Catalogs, store and settings as the command line takes them."""
    zoo_path, tasks_path = write_catalogs(folder, zoo, tasks)
    args = ["--zoo", zoo_path, "--tasks", tasks_path, "--store", str(folder / store)]
    for name in sorted(settings.model_fields_set):
        args += ["--set", f"{name}={getattr(settings, name)}"]
    return [*args, "--n-images", "all"]


def test_a_submitted_job_gives_the_same_values_as_here_and_its_id_is_used_once(
    head: str,
    zoo: Zoo,
    tasks: TaskCatalog,
    settings: AttributionSettings,
    wants: Wants,
    tmp_path: Path,
) -> None:
    args = [*(want.kind for want in wants), "--workers", "1"]
    args += arguments(tmp_path, zoo, tasks, settings, "ray")
    entry = [sys.executable, "jobs/measure.py", *args]
    done = submit(head, "--working-dir", str(ROOT), "--submission-id", "night-1", "--", *entry)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "night-1: succeeded" in done.stderr
    measure(zoo, tasks, Store(tmp_path / "local"), wants)
    here, there = (stored(tmp_path / name, wants) for name in ("local", "ray"))
    assert_equal_stores(there, here)
    second = submit(head, "--submission-id", "night-1", "--", "echo", "twice")
    assert second.returncode == 125
    assert "a job 'night-1' was submitted before and is succeeded" in second.stderr
    assert "twice" not in second.stdout


def test_the_exit_code_of_a_failed_job_is_not_zero_and_its_log_is_seen(head: str) -> None:
    code = "print('about to fail', flush=True); raise SystemExit(4)"
    done = submit(head, "--", sys.executable, "-c", code)
    assert done.returncode == 4
    assert "about to fail" in done.stdout
    # Ray says it again with the reason.
    assert (done.stdout + done.stderr).splitlines().count("about to fail") == 1
    assert "exit code 4" in done.stderr


def test_the_exit_code_of_a_stopped_job_is_not_zero(head: str) -> None:
    client = job_client(head)
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    waiting = start_submitting(head, "--submission-id", "stopped", "--", *sleeping)
    try:
        deadline = time.monotonic() + START_S
        while running(client, "stopped") != JobStatus.RUNNING:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        client.stop_job("stopped")
        waiting.wait(START_S)
    finally:
        waiting.kill()
    _, errors = waiting.communicate()
    assert waiting.returncode == 126
    assert "stopped: stopped" in errors


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--submission-id", "bad id/x"], "use letters, digits"),
        (["--working-dir", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_what_cannot_be_submitted_is_refused_in_one_line(
    head: str, args: list[str], said: str
) -> None:
    done = submit(head, *args, "--", "true")
    assert done.returncode == 125
    [line] = done.stderr.splitlines()
    assert line.startswith("refused: ")
    assert said in line


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, SUBMIT, "--address", address, "--", "true"]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 125
    assert f"no Ray dashboard answers at {address}" in done.stderr
    assert "Traceback" not in done.stderr


def running(client: JobSubmissionClient, job: str) -> JobStatus | None:
    found = [details for details in client.list_jobs() if details.submission_id == job]
    return found[0].status if found else None


SHOW = """
import importlib.metadata, json, ray, vlmsel
ray.init(address="auto", logging_level="ERROR")
there = ray.get(ray.remote(lambda: __import__("vlmsel").__file__).remote())
print("FOUND", json.dumps([vlmsel.__file__, there]))
[entry] = importlib.metadata.entry_points(name="vlmsel", group="console_scripts")
ray.shutdown()
import sys
sys.argv = ["vlmsel", *sys.argv[1:]]
entry.load()()
"""


def test_without_a_working_directory_driver_and_workers_use_the_wheel_of_the_image(
    head: str,
    image: Path,
    zoo: Zoo,
    tasks: TaskCatalog,
    settings: AttributionSettings,
    wants: Wants,
    tmp_path: Path,
) -> None:
    one = Zoo(models=zoo.models[:1]), TaskCatalog(tasks=tasks.tasks[:1])
    script = tmp_path / "show.py"
    script.write_text(SHOW)
    args = [*(want.kind for want in wants), *arguments(tmp_path, *one, settings, "store")]
    entry = [str(image), str(script), "measure", "--executor", "ray", *args]
    done = submit(head, "--", *entry)
    assert done.returncode == 0, done.stdout + done.stderr
    found = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    files = json.loads(found.removeprefix("FOUND "))
    assert all(Path(file).is_relative_to(image.parents[1]) for file in files), files
    assert len(stored_cells(tmp_path / "store", wants)) == len(wants)

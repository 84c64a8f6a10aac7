"""What a cluster of ours listens on, who may call it, and what is left of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import ROOT
from vlmsel.execution.executors.ray.watchdog import VARIABLE, find_marked

# On the worker whose session has a cluster, before it starts: of two, only one gets Ray's port.
pytestmark = pytest.mark.xdist_group("ray")

# Nobody asked for authentication: what a user's environment says must not matter.
DRIVER = """
import os, sys, time
import ray
from vlmsel.execution.executors.ray.session import ray_session
with ray_session():
    worker = ray.remote(lambda: os.getpid())
    ray.get(worker.remote())
    print(ray.get_runtime_context().gcs_address, flush=True)
    time.sleep(600)
"""
# What `ray.init` does first; it would turn to the machine's other addresses, too.
NO_TOKEN = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1])
print("connected", flush=True)
"""
# Ray's pages for Prometheus: numbers, read by anybody, and nothing can be posted.
NUMBERS_ONLY = 405
AGENT_PORT = 52365
WAIT_S = 30.0


def start_driver() -> subprocess.Popen[str]:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")
    }
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=ROOT,
        env=environment | {"RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert driver.stdout is not None
    driver.gcs = driver.stdout.readline().strip()  # type: ignore[attr-defined]
    return driver


def processes(driver: int) -> list[psutil.Process]:
    return [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]


def mark_of(driver: int) -> str:
    marks = {process.environ().get(VARIABLE) for process in processes(driver)}
    [mark] = marks - {None}
    assert mark is not None
    return mark


def ports(driver: int) -> dict[int, str]:
    """Every TCP port on which a process of this driver listens."""
    return {
        connection.laddr.port: process.name()
        for process in processes(driver)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def post_job(port: int) -> int | None:
    """Post a job over 127.0.0.1 without a token; None where no HTTP is spoken."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        body, kind = '{"entrypoint": "id"}', {"Content-Type": "application/json"}
        connection.request("POST", "/api/job_agent/jobs/", body, kind)
        return connection.getresponse().status
    except (HTTPException, OSError):
        return None
    finally:
        connection.close()


def first_line(command: list[str]) -> str:
    """What a process says first, whether it would go on or not."""
    client = subprocess.Popen(
        command,
        env=os.environ | {"RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert client.stdout is not None
    line = client.stdout.readline()
    client.kill()
    client.communicate()
    return line


def names_of(mark: str) -> set[str]:
    return {Path(f"/proc/{pid}/comm").read_text().strip()[:10] for pid in find_marked(mark)}


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture
def driver() -> Iterator[subprocess.Popen[str]]:
    process = start_driver()
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def agent_port() -> int:
    """Ray's one fixed port, on which the agent takes jobs; of two clusters only one gets it."""
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", AGENT_PORT)) == 0:
            pytest.skip(f"another Ray cluster of this machine has port {AGENT_PORT}")
    return AGENT_PORT


def test_nobody_without_the_token_runs_anything_and_an_ended_driver_leaves_nothing(
    agent_port: int, driver: subprocess.Popen[str]
) -> None:
    # The agent is there a moment after the cluster.
    until(lambda: agent_port in ports(driver.pid))
    listening = ports(driver.pid)
    answers = {port: post_job(port) for port in listening}
    agent = [port for port, answer in answers.items() if answer == 401]
    # The agent that takes jobs is among them, or this test has tested nothing.
    assert agent, listening
    assert any("Dashboard" in listening[port] for port in agent)
    assert set(answers.values()) <= {401, NUMBERS_ONLY, None}, (answers, listening)
    port = driver.gcs.rpartition(":")[2]  # type: ignore[attr-defined]
    said = first_line([sys.executable, "-c", NO_TOKEN, f"127.0.0.1:{port}"])
    assert "Authentication token is missing or incorrect" in said
    assert_cluster_ends(driver, signal.SIGTERM)


def test_a_killed_driver_leaves_nothing_of_its_cluster(driver: subprocess.Popen[str]) -> None:
    assert_cluster_ends(driver, signal.SIGKILL)


def assert_cluster_ends(driver: subprocess.Popen[str], how: signal.Signals) -> None:
    mark = mark_of(driver.pid)
    until(lambda: names_of(mark) >= {"raylet", "gcs_server", "ray::Dashb", "ray::Runti"})
    driver.send_signal(how)
    driver.wait(WAIT_S)
    until(lambda: not list(find_marked(mark)))

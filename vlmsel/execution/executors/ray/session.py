"""Connection to Ray: the current job's cluster, RAY_ADDRESS, or a local one."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources
from ray.experimental.internal_kv import _internal_kv_get

from vlmsel.errors import ExecutionError, one_line
from vlmsel.execution.executors.ray.local_cluster import local_cluster
from vlmsel.execution.plan.placement import Node, Resources

log = logging.getLogger(__name__)

# The folder `vlmsel`, found without importing the package's front.
PACKAGE = Path(__file__).parents[3]
# Ray puts a job's configuration here for the driver it starts.
IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
# Memory of a GPU in GB by Ray's name of its type, for packing small models; an unknown type holds
# one model.
GPU_MEMORY_GB = {
    "T4": 15.0,
    "V100": 16.0,
    "P100": 16.0,
    "L4": 22.5,
    "A10G": 22.5,
    "A100": 40.0,
    "A100-40G": 40.0,
    "A100-80G": 80.0,
    "H100": 80.0,
    "H200": 140.0,
    "L40S": 44.5,
}
POLL_S = 2.0
# For a head to take a connection.
REACH_S = 10.0
# Where Ray keeps the autoscaler's report.
STATUS = "__autoscaling_status"
# A cluster that was just started has no report yet.
STATUS_S = 15.0


@contextmanager
def ray_session(address: str | None = None) -> Iterator[None]:
    """Connect for the time of the block; a session that is there already is used and left alone.

    Args:
        address: of a running cluster; None takes RAY_ADDRESS or the surrounding job, else
            starts a cluster of this machine, with a random token and without dashboard and
            usage statistics, and stops it afterwards.

    Raises:
        ExecutionError: there is no cluster at that address.
    """
    if ray.is_initialized():
        yield
        return
    target = address or os.environ.get("RAY_ADDRESS") or None
    if target is None and IN_JOB not in os.environ:
        # Its workers' logs would tear the progress bar; they are in Ray's log folder.
        with local_cluster(
            include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING
        ):
            yield
        return
    _connect(target)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(target: str | None) -> None:
    if target is not None:
        _check_reachable(target)
    try:
        ray.init(
            address=target or "auto",
            runtime_env=_runtime_env(target),
            logging_level=logging.WARNING,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ExecutionError(
            f"no Ray cluster answers at {target or 'auto'}: start one with `ray start --head`, "
            f"or leave RAY_ADDRESS unset ({one_line(error, 200)})"
        ) from error


def _check_reachable(target: str) -> None:
    """Ray itself would try for minutes before it says that nobody is there."""
    host, colon, port = target.rpartition("://")[2].partition("/")[0].rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise ExecutionError(
            f"no Ray cluster answers at {target}: give --address or RAY_ADDRESS the head's host "
            f"and port, such as 10.0.0.1:6379 ({error.strerror or error})"
        ) from None


def _runtime_env(target: str | None) -> dict[str, Any]:
    """Build the runtime environment that brings the package to the cluster at `target`.

    A job's driver runs in its cluster: the workers import what it imports, the image's wheel or the
    job's working directory. A driver elsewhere sends its own copy.
    """
    # Ray gives a job the address of its own cluster.
    if IN_JOB in os.environ and target in (None, "auto", os.environ.get("RAY_ADDRESS")):
        return {}
    return {"py_modules": [str(PACKAGE)]}


def cluster_resources() -> Resources:
    """Read the resources of the cluster's living nodes."""
    return Resources(tuple(_node(node["Resources"]) for node in ray.nodes() if node["Alive"]))


@contextmanager
def hold_gpus(n_gpus: int, *, timeout_s: float, n_useful: int | None = None) -> Iterator[None]:
    """Have GPUs for the time of the block: ask the autoscaler, wait, and take the wish back.

    A wish stays with the cluster until it is taken back: its GPUs would never be given up. Where
    fewer come in time, as spot markets have it, the work goes on with those.

    Args:
        n_gpus: how many; 0 asks for nothing and takes what is there.
        timeout_s: how long to wait.
        n_useful: no more than these are waited for; None means all.

    Raises:
        ExecutionError: the cluster cannot grow, or none came in time; names demand and supply.
    """
    check_gpus(n_gpus)
    n_gpus = n_gpus if n_useful is None else min(n_gpus, n_useful)
    if not n_gpus:
        yield
        return
    request_resources(bundles=[{"GPU": 1}] * n_gpus)
    try:
        _await_gpus(n_gpus, timeout_s)
        yield
    finally:
        request_resources(bundles=[])


def check_gpus(n_gpus: int) -> None:
    """Raise ExecutionError where a cluster that cannot grow has fewer GPUs; names both."""
    supply = cluster_resources()
    if supply.gpus < n_gpus and not _can_grow():
        raise ExecutionError(
            f"asked for {n_gpus} GPU(s), and the cluster has {supply} and no autoscaler: "
            "lower --n-gpus or add nodes"
        )


def _await_gpus(n_gpus: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while (supply := cluster_resources()).gpus < n_gpus:
        if time.monotonic() > deadline and supply.gpus:
            log.warning("asked for %d GPUs, got %s in %g s: going on", n_gpus, supply, timeout_s)
            return
        if time.monotonic() > deadline:
            raise ExecutionError(
                f"asked for {n_gpus} GPU(s) and after {timeout_s:g} s there is only "
                f"{supply}: raise the cluster's max_workers, or ask for fewer"
            )
        time.sleep(POLL_S)


def _can_grow() -> bool:
    """Tell whether an autoscaler may bring nodes; wait for it where Ray does not say.

    Ray's read-only autoscaler, that of a cluster put together by hand, names every node's type
    after the node.
    """
    deadline = time.monotonic() + STATUS_S
    while not (status := _internal_kv_get(STATUS)) and time.monotonic() < deadline:
        time.sleep(0.2)
    report = json.loads(status or "{}").get("autoscaler_report", {})
    types: dict[str, str] = report.get("node_type_mapping") or {}
    return not types or any(kind != f"node_{node}" for node, kind in types.items())


def _node(resources: dict[str, float]) -> Node:
    kinds = [name.partition(":")[2] for name in resources if name.startswith("accelerator_type:")]
    memory = GPU_MEMORY_GB.get(kinds[0]) if len(kinds) == 1 else None
    return Node(resources.get("CPU", 0.0), int(resources.get("GPU", 0)), memory)

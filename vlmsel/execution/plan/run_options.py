"""Options of a run: its place, its resources, and what it may repeat."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.limits import Limits
from vlmsel.extras import has_extra, missing_extra

LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; none of them changes a measured value.

    Attributes:
        executor: this process, or Ray actors.
        device: torch device of the local executor; None takes a GPU if there is one. On Ray
            every actor looks itself.
        max_memory_gb: bound on the attribution's memory.
        threads: torch threads (and CPUs) of each worker.
        n_workers: Ray actors at most.
        address: of the Ray cluster.
        n_gpus: GPUs to ask an autoscaling cluster for, and to wait for.
        log_level: of the JSON lines that Ray's workers write: debug, info (a line per cell),
            warning (a line per failure) or error.
        retry_failed: try again what failed in an earlier run.
        verify: hash the stored files first; corrupt ones are set aside and measured again.
        index_cache: folder for what was read of the tasks; by default in the user's cache.
        limits: how long to wait for cells, and for faults that may pass, and how often to try.
    """

    executor: Literal["local", "ray"] = "local"
    device: str | None = None
    max_memory_gb: float | None = None
    threads: int = 1
    n_workers: int | None = None
    address: str | None = None
    n_gpus: int = 0
    log_level: LogLevel = "warning"
    retry_failed: bool = False
    verify: bool = True
    index_cache: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.executor == "ray" and not has_extra("ray"):
            raise ExecutionError(missing_extra("executor ray", "ray"))
        if self.executor == "ray" and self.device is not None:
            raise ExecutionError(
                f"device {self.device!r} is for the local executor: "
                "a Ray actor takes the GPU that Ray gives it"
            )
        if self.executor == "local" and (self.n_workers or self.n_gpus or self.address):
            raise ExecutionError("workers, GPUs and an address are for Ray: add --executor ray")
        if self.threads < 1:
            raise ExecutionError(f"threads must be at least 1, not {self.threads}")


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker; none of them changes a measured value.

    Attributes:
        store_uri: where results go.
        device: torch device.
        max_memory_gb: bound on the attribution's memory.
        threads: torch threads; the same number everywhere keeps values equal bit for bit.
        cache_bytes: bound on the node's cache of decoded images; 0 for none.
        log_level: of a Ray worker's JSON lines.
    """

    store_uri: str
    device: str = "cpu"
    max_memory_gb: float | None = None
    threads: int = 1
    cache_bytes: int = 0
    log_level: LogLevel = "warning"

"""Placement of workers: the demand of a model against the supply of the cluster.

Pure; Ray only supplies the numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.units import ModelUnits

# Beyond this, several models on one GPU wait for each other more than they gain.
MAX_MODELS_PER_GPU = 8
# Shares of a GPU add up in floating point.
SLACK = 1e-6


@dataclass(frozen=True)
class Node:
    """Resources of one machine."""

    cpus: float
    gpus: int = 0
    gpu_memory_gb: float | None = None


@dataclass(frozen=True)
class Resources:
    """Resources of the cluster."""

    nodes: tuple[Node, ...]

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def cpus(self) -> float:
        """CPU cores of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpu_memory_gb(self) -> float | None:
        """Memory of the smallest GPU, so that a model fits wherever it lands.

        None where unknown.
        """
        sizes = [node.gpu_memory_gb for node in self.nodes if node.gpus]
        known = [size for size in sizes if size is not None]
        return min(known) if sizes and len(known) == len(sizes) else None

    def __str__(self) -> str:
        return f"{len(self.nodes)} node(s) with {self.cpus:g} CPUs and {self.gpus} GPUs"


@dataclass(frozen=True)
class Demand:
    """Resources that one worker of a model occupies; `gpus` is 0, a fraction 1/k, or 1."""

    cpus: float
    gpus: float = 0.0


def demand_of(work: ModelUnits, resources: Resources, *, threads: int = 1) -> Demand:
    """Compute the resources that a worker of this model needs.

    A share of a GPU where there are GPUs, else CPU cores only.

    A model with a declared `memory_gb` shares a GPU with floor(GPU memory / memory_gb) - 1 others;
    without a declaration it has a GPU to itself.

    Raises:
        ExecutionError: no GPU, or no node, is large enough; names the demand and the supply.
    """
    if not any(node.cpus >= threads for node in resources.nodes):
        largest = max((node.cpus for node in resources.nodes), default=0)
        raise ExecutionError(
            f"{work.name}: a worker asks for {threads} CPU(s) on one node; the largest of "
            f"{resources} has {largest:g}: lower --threads, add nodes, or have an autoscaling "
            "cluster bring some with --n-gpus"
        )
    if resources.gpus == 0:
        return Demand(threads)
    need, have = work.spec.memory_gb, resources.gpu_memory_gb
    if need is None or have is None:
        return Demand(threads, 1.0)
    if need > have:
        raise ExecutionError(
            f"{work.name}: declares memory_gb {need:g}, and the smallest GPU of "
            f"{resources} has {have:g} GB: use larger GPUs or lower memory_gb in the zoo"
        )
    return Demand(threads, 1.0 / min(MAX_MODELS_PER_GPU, int(have // need)))


@dataclass
class FreeResources:
    """Free resources by node and GPU, taken by first fit as workers come and go.

    Attributes:
        limit: workers at one time, on top of what fits.
    """

    resources: Resources
    limit: int | None = None
    _cpus: list[float] = field(init=False)
    _gpus: list[list[float]] = field(init=False)
    _taken: dict[int, tuple[int, int | None, Demand]] = field(init=False, default_factory=dict)
    _next: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._cpus = [node.cpus for node in self.resources.nodes]
        self._gpus = [[1.0] * node.gpus for node in self.resources.nodes]

    @property
    def is_full(self) -> bool:
        """True if nothing at all fits any more."""
        if self.limit is not None and len(self._taken) >= self.limit:
            return True
        return not any(
            cpus >= 1 - SLACK and (not gpus or max(gpus) > SLACK)
            for cpus, gpus in zip(self._cpus, self._gpus, strict=True)
        )

    def fits(self, demand: Demand) -> bool:
        """Tell whether one more worker fits."""
        full = self.limit is not None and len(self._taken) >= self.limit
        return not full and self._find(demand) is not None

    def take(self, demand: Demand) -> int:
        """Occupy resources and return the slot to give back.

        Raises ExecutionError where nothing fits.
        """
        found = self._find(demand)
        if found is None:
            raise ExecutionError(
                f"a worker asks for {demand}, and nothing of {self.resources} is free"
            )
        node, gpu = found
        self._cpus[node] -= demand.cpus
        if gpu is not None:
            self._gpus[node][gpu] -= demand.gpus
        self._next += 1
        self._taken[self._next] = (node, gpu, demand)
        return self._next

    def give_back(self, slot: int) -> None:
        """Free a slot."""
        node, gpu, demand = self._taken.pop(slot)
        self._cpus[node] += demand.cpus
        if gpu is not None:
            self._gpus[node][gpu] += demand.gpus

    def _find(self, demand: Demand) -> tuple[int, int | None] | None:
        for node, cpus in enumerate(self._cpus):
            if cpus + SLACK < demand.cpus:
                continue
            if demand.gpus == 0:
                return node, None
            for gpu, free in enumerate(self._gpus[node]):
                if free + SLACK >= demand.gpus:
                    return node, gpu
        return None


def place(
    works: Iterable[ModelUnits], resources: Resources, *, threads: int = 1
) -> dict[str, Demand]:
    """The demand of every model's worker, by name.

    Fails before anything starts if one could never be met.
    """
    demands = {work.name: demand_of(work, resources, threads=threads) for work in works}
    if demands and not any(FreeResources(resources).fits(demand) for demand in demands.values()):
        raise ExecutionError(
            f"no worker fits on {resources}: a GPU's node needs {threads} free CPU(s)"
        )
    return demands

"""Planning 1,000 models x 1,000 tasks x 2 kinds against a store that holds half: time and memory.

python bench/planning.py                                  # 2 million cells, keys in memory
python bench/planning.py --on-disk                        # and listed from a real store's folders
python bench/planning.py --models 100 --tasks 100
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vlmsel.evidence.catalog_contents import Candidate
from vlmsel.evidence.wanted_cells import RequestedMeasurement, WantedShard, wanted_cells, wanted_ids
from vlmsel.execution.plan.known_cells import known_cells
from vlmsel.execution.plan.units import Job
from vlmsel.execution.plan.work_plan import Known, Plan, describe_plan, plan_cells
from vlmsel.measurements import Prediction, Profile
from vlmsel.store.cells import cell_folder, cell_stem
from vlmsel.store.keys import CellId, images_digest
from vlmsel.store.store import Store
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

N_IMAGES = 25
MAX_SECONDS, MAX_GB = 60.0, 6.0
JOB = Job({one.kind: one for one in (Profile(), Prediction())})

Result = TypeVar("Result")


def make_models(count: int) -> list[Candidate]:
    """Return models with made-up weights."""
    return [
        (
            ModelSpec(model=f"model-{i}", pretrained="tag"),
            ModelIdentity(
                architecture="a",
                activation="gelu",
                preprocessing="p",
                weights_sha256=f"{i:064x}",
            ),
        )
        for i in range(count)
    ]


def make_shards(count: int) -> list[WantedShard]:
    """Return one shard of 25 images per task, of which both kinds are asked."""
    asked = tuple(
        RequestedMeasurement(one.kind, one.digest, one.digest) for one in JOB.measurements.values()
    )
    shards = []
    for task in range(count):
        refs = tuple(
            ImageRef(f"{i}.png", f"{task * N_IMAGES + i:064x}", f"file:///t{task}/{i}.png", None, 0)
            for i in range(N_IMAGES)
        )
        digest = images_digest((ref.image_id, ref.sha256) for ref in refs)
        shards.append(WantedShard(Shard(f"task-{task}", 0, refs), digest, asked))
    return shards


def wanted_of(models: list[Candidate], shards: list[WantedShard]) -> set[CellId]:
    """Return every cell, as planning does to ask the store for them."""
    return wanted_ids(models, shards)


def half_of(models: list[Candidate], shards: list[WantedShard]) -> set[CellId]:
    """Return the cells of both kinds of every second pair of model and task."""
    return {
        cell
        for i, model in enumerate(models)
        for cell, _ in wanted_cells([model], shards[i % 2 :: 2])
    }


def plan(models: list[Candidate], shards: list[WantedShard], known: Known) -> Plan:
    """Return the plan."""
    costs = {
        spec.name: {"profile": 0.01 * (1 + i % 7), "prediction": 0.001}
        for i, (spec, _) in enumerate(models)
    }
    return plan_cells(models, shards, JOB, known=known, seconds_per_image=costs)


def lay_out(store: Path, cells: set[CellId]) -> None:
    """Make an empty file of the right name for every cell: a listing reads no contents."""
    folders = {cell_folder(cell) for cell in cells}
    for folder in folders:
        (store / folder).mkdir(parents=True)
    for cell in cells:
        (store / cell_folder(cell) / f"{cell_stem(cell)}.{0:016x}.parquet").touch()


def timed(what: str, work: Callable[[], Result]) -> tuple[Result, float]:
    """Do some work and print its time; returns the CPU's, which other work does not lengthen."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"{what:<17}{seconds:6.1f} s   ({cpu_s:.1f} s CPU)", flush=True)
    return result, cpu_s


def known_on_disk(measured: set[CellId], wanted: set[CellId]) -> tuple[Known, float]:
    """Lay out a store of these cells and list it."""
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), measured)
        found, seconds = timed(
            "list the store",
            lambda: known_cells(
                Store(folder), JOB, lambda: wanted, verify=False, retry_failed=False
            ),
        )
    assert found.measured == measured
    return found, seconds


def main() -> int:
    """Print the table; return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--on-disk", action="store_true", help="list a store of that size")
    args = parser.parse_args()
    models, shards = make_models(args.models), make_shards(args.tasks)
    known = Known(half_of(models, shards))
    n_measured = len(known.measured)
    kinds = " and ".join(JOB.measurements)
    print(f"{args.models} models x {args.tasks} tasks x {kinds}, {n_measured} cells measured")
    wanted, total_s = timed("name the cells", lambda: wanted_of(models, shards))
    if args.on_disk:
        known, listing_s = known_on_disk(set(known.measured), wanted)
        total_s += listing_s
    made, planning_s = timed("plan", lambda: plan(models, shards, known))
    table, describe_s = timed("describe", lambda: describe_plan(made))
    assert made.wanted == wanted
    assert made.n_missing + n_measured == len(wanted)
    assert table.height == args.models
    total_s += planning_s + describe_s
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory      {peak_gb:6.2f} GB  ({made.n_missing} cells to measure)")
    print(f"in all           {total_s:6.1f} s CPU   (bounds: {MAX_SECONDS:g} s, {MAX_GB:g} GB)")
    return 0 if total_s < MAX_SECONDS and peak_gb < MAX_GB else 1


if __name__ == "__main__":
    sys.exit(main())

"""Planning 1,000 models x 1,000 tasks against a store that holds half: seconds and memory.

python bench/planning.py                                  # 1,000 x 1,000, keys in memory
python bench/planning.py --on-disk                        # and listed from a real store's folders
python bench/planning.py --models 100 --tasks 100
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from vlmsel.execution.cells import ProfileJob
from vlmsel.execution.known import measured_cells
from vlmsel.execution.plan import Candidate, Known, Plan, describe_plan, plan_cells
from vlmsel.settings import AttributionSettings
from vlmsel.store.cells import cell_folder, cell_stem
from vlmsel.store.keys import CellId
from vlmsel.tasks.index import ImageRef
from vlmsel.tasks.shards import Shard
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import ModelIdentity

N_IMAGES = 25
MAX_SECONDS, MAX_GB = 30.0, 4.0
JOB = ProfileJob(AttributionSettings())


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


def make_shards(count: int) -> dict[str, tuple[Shard, ...]]:
    """Return one shard of 25 images a task."""
    shards = {}
    for task in range(count):
        refs = tuple(
            ImageRef(f"{i}.png", f"{task * N_IMAGES + i:064x}", f"file:///t{task}/{i}.png", None, 0)
            for i in range(N_IMAGES)
        )
        shards[f"task-{task}"] = (Shard(f"task-{task}", 0, refs),)
    return shards


def plan(models: list[Candidate], shards: dict[str, tuple[Shard, ...]], known: Known) -> Plan:
    """Return the plan."""
    costs = {spec.name: 0.01 * (1 + i % 7) for i, (spec, _) in enumerate(models)}
    return plan_cells(models, shards, JOB, known=known, seconds_per_image=costs)


def half_of(models: list[Candidate], shards: dict[str, tuple[Shard, ...]]) -> set[CellId]:
    """Return every second cell."""
    cells: set[CellId] = set()
    for i, (spec, identity) in enumerate(models):
        for name, (shard,) in list(shards.items())[i % 2 :: 2]:
            key = JOB.key(identity.digest, shard)
            cells.add(CellId(spec.model, spec.pretrained, name, key, JOB.digest))
    return cells


def lay_out(store: Path, cells: set[CellId]) -> None:
    """Make an empty file of the right name for every cell: a listing reads no contents."""
    folders = {cell_folder(cell) for cell in cells}
    for folder in folders:
        (store / folder).mkdir(parents=True)
    for cell in cells:
        (store / cell_folder(cell) / f"{cell_stem(cell)}.{0:016x}.parquet").touch()


def main() -> int:
    """Print the table; return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--on-disk", action="store_true", help="list a store of that size")
    args = parser.parse_args()
    models, shards = make_models(args.models), make_shards(args.tasks)
    measured = half_of(models, shards)
    print(f"{args.models} models x {args.tasks} tasks, {len(measured)} cells measured")
    listing_s = 0.0
    if args.on_disk:
        with tempfile.TemporaryDirectory() as folder:
            lay_out(Path(folder), measured)
            start = time.perf_counter()
            found = measured_cells(folder, JOB)
            listing_s = time.perf_counter() - start
        assert found == measured
        print(f"list the store   {listing_s:6.1f} s")
    start, start_cpu = time.perf_counter(), time.process_time()
    made = plan(models, shards, Known(measured))
    planning_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    start = time.perf_counter()
    table = describe_plan(made)
    describe_s = time.perf_counter() - start
    assert made.n_missing + len(measured) == len(made.wanted)
    assert table.height == args.models
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"plan             {planning_s:6.1f} s   ({made.n_missing} to measure, {cpu_s:.1f} s CPU)"
    )
    print(f"describe         {describe_s:6.1f} s")
    print(f"peak memory      {peak_gb:6.2f} GB")
    total_s = listing_s + planning_s + describe_s
    print(f"in all           {total_s:6.1f} s   (bounds: {MAX_SECONDS:g} s, {MAX_GB:g} GB)")
    return 0 if total_s < MAX_SECONDS and peak_gb < MAX_GB else 1


if __name__ == "__main__":
    sys.exit(main())

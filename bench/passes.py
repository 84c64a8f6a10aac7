"""What one pass over three kinds of measurement saves: loads, decodings, time, files read.

    python bench/passes.py               # 4 demo models on 6 drawn tasks of 25 images
    python bench/passes.py --repeats 5   # steadier ratios on a busy machine

Loads, decodings and opened files are counted, not timed. Time is the process's CPU time on one
torch thread, the least of a few repeats; every pass begins with an empty store and nothing decoded,
as on another day.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

from vlmsel.api.workspace import open_workspace
from vlmsel.cli.app import run
from vlmsel.demo.demo_tasks import write_demo_tasks
from vlmsel.execution.run import execute
from vlmsel.execution.work import decoded_images, worker
from vlmsel.store.local_folder import LocalFolder
from vlmsel.tasks.task_catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo
from vlmsel.zoo.identity import identify

KINDS = ("profile", "prediction", "embedding")
# What `evaluate` learns from.
NEEDED = ("profile", "prediction")
N_MODELS, N_TASKS, N_IMAGES = 4, 6, 25


@dataclass(frozen=True)
class Pass:
    """CPU seconds of one run, and how often a model was loaded and an image decoded."""

    cpu_s: float
    loads: int
    decodes: int


@contextlib.contextmanager
def counted(owner: object, name: str, key: Callable[..., object]) -> Iterator[Counter[object]]:
    """Count the calls of a function or method by `key` of its arguments."""
    real = getattr(owner, name)
    counts: Counter[object] = Counter()

    def counting(*args: object, **more: object) -> object:
        counts[key(*args)] += 1
        return real(*args, **more)

    with patch.object(owner, name, counting):
        yield counts


@contextlib.contextmanager
def fresh_node(folder: Path) -> Iterator[None]:
    """A temporary folder of its own: nothing is decoded there yet."""
    folder.mkdir()
    with patch.object(tempfile, "tempdir", str(folder)):
        yield


def measure(folder: Path, catalogs: dict[str, Path], kinds: Sequence[str]) -> Pass:
    """Measure some kinds in one pass, into an empty store in `folder`."""
    workspace = open_workspace(
        folder / "store", **catalogs, kinds=kinds, n_images=dict.fromkeys(kinds, N_IMAGES)
    )
    workspace.remember()
    with (
        fresh_node(folder / "node"),
        counted(worker, "load_model", lambda spec, *_: spec.name) as loads,
        counted(decoded_images, "decode_image", hash) as decodes,
    ):
        start = time.process_time()
        summary = execute(workspace.plan(kinds), workspace.store)
        cpu_s = time.process_time() - start
    assert not summary.n_failures, summary.failures
    assert summary.measured == len(kinds) * N_MODELS * N_TASKS
    return Pass(cpu_s, loads.total(), decodes.total())


def best(folder: Path, catalogs: dict[str, Path], kinds: Sequence[str], repeats: int) -> Pass:
    """The fastest of a few passes; all count the same."""
    folder.mkdir()
    passes = []
    for number in range(repeats):
        place = folder / str(number)
        place.mkdir()
        passes.append(measure(place, catalogs, kinds))
    assert len({(one.loads, one.decodes) for one in passes}) == 1
    return min(passes, key=lambda one: one.cpu_s)


def opened_by_evaluate(store: Path, folder: Path) -> tuple[int, int]:
    """How often `vlmsel evaluate` opens files of cells, and how many its kinds have."""
    args = ["--store", str(store), "--tracking-uri", f"sqlite:///{folder}/mlflow.db", "--json"]
    judged = ["--selector", "average-rank", "--selector", "dcd"]
    with (
        counted(LocalFolder, "read", lambda _, path: path) as opened,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        assert run(["evaluate", *judged, *args]) == 0
    n_opened = sum(n for path, n in opened.items() if str(path).endswith(".parquet"))
    n_files = sum(len(list((store / kind).glob("*/*/*.parquet"))) for kind in NEEDED)
    return n_opened, n_files


def write_catalogs(folder: Path) -> tuple[dict[str, Path], Zoo, TaskCatalog]:
    """Part of the demo zoo and tasks as files."""
    everything = load_tasks(write_demo_tasks(folder / "tasks", n_images=N_IMAGES))
    tasks = TaskCatalog(tasks=everything.tasks[::3][:N_TASKS])
    zoo = Zoo(models=load_zoo("demo").models[::3][:N_MODELS])
    catalogs = {}
    for name, catalog in (("zoo", zoo), ("tasks", tasks)):
        catalogs[name] = folder / f"{name}.yaml"
        # JSON is YAML.
        catalogs[name].write_text(catalog.model_dump_json(exclude_none=True))
    return catalogs, zoo, tasks


def main() -> int:
    """Print the table; return 1 if something is loaded, decoded or opened twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalogs, zoo, tasks = write_catalogs(folder)
        os.environ["VLMSEL_CACHE"] = str(folder / "cache")
        together = best(folder / "together", catalogs, KINDS, args.repeats)
        alone = {kind: best(folder / kind, catalogs, [kind], args.repeats) for kind in KINDS}
        n_opened, n_files = opened_by_evaluate(folder / "together" / "0" / "store", folder)
    n_preparations = len({identify(spec).preprocessing for spec in zoo.models})
    n_images = N_IMAGES * len(tasks.tasks) * n_preparations
    print(
        f"{N_MODELS} models x {N_TASKS} tasks x {N_IMAGES} images, {n_preparations} preprocessing"
    )
    for what, one in (("three kinds", together), *alone.items()):
        print(
            f"{what:<12} {one.cpu_s:7.2f} s CPU   {one.loads / N_MODELS:.2f} loads per model   "
            f"{one.decodes / n_images:.2f} decodings per image and preprocessing"
        )
    apart_s = sum(one.cpu_s for one in alone.values())
    print(f"three kinds in one pass over three passes   {together.cpu_s / apart_s:.2f}")
    print(
        f"three kinds in one pass over profiles alone {together.cpu_s / alone['profile'].cpu_s:.2f}"
    )
    print(f"files opened by evaluate over files needed  {n_opened / n_files:.2f} ({n_files} files)")
    once = (together.loads, together.decodes, n_opened) == (N_MODELS, n_images, n_files)
    return 0 if once else 1


if __name__ == "__main__":
    sys.exit(main())

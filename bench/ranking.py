"""CPU seconds of ranking and judging beside those of commit db16f25, as ratios.

python bench/ranking.py                       # this tree beside bench/ranking_base.json
python bench/ranking.py --base                # measures db16f25 in a temporary worktree, writes it
python bench/ranking.py evaluate-100 help     # some figures only

CPU seconds of whole processes, user and system, so that other work on the machine counts little.
The 13 selectors of db16f25 judge made-up tables of 100 models; `select` ranks the embedded zoo for
its sample images, cold with an empty cache and nothing measured of them, warm the second time.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
BASE, FIGURES = "db16f25", ROOT / "bench" / "ranking_base.json"
SELECTORS = (
    "average-accuracy", "average-rank", "combined", "cosine", "dcd", "dcd-pooled", "dcd-scaled",
    "dcd-uniform", "imagenet", "jensen-shannon", "oracle-similarity", "random", "symmetric-l1",
)  # fmt: skip
# Largest share of the base's CPU, or seconds.
BOUNDS = {"evaluate-100": 0.15, "select-warm": 0.35, "select-cold": 0.6}
MAX_HELP_S = 0.5
NAMES: tuple[str, ...] = (
    "help",
    "evaluate-50",
    "evaluate-100",
    "evaluate-200",
    "select-cold",
    "select-warm",
)
# Cubic growth makes an hour of it.
NOT_OF_BASE = ("evaluate-200",)
N_MODELS, N_BLOCKS = 100, 12
MAIN = "from vlmsel.cli import main; main()"


def judge_tables(n_tasks: int) -> None:
    """Judge the selectors on made-up tables: models with a skill, tasks with an ease."""
    import numpy as np
    import polars as pl

    from vlmsel.evaluation.leave_one_out import leave_one_out
    from vlmsel.selection.registry import make_selector

    rng = np.random.default_rng(0)
    models = [f"model-{i:03d}" for i in range(N_MODELS)]
    tasks = [*(f"task-{i:03d}" for i in range(n_tasks - 1)), "imagenet1k"]
    shape = (N_MODELS, n_tasks)
    logit = rng.normal(size=(N_MODELS, 1)) + rng.normal(size=n_tasks) + 0.7 * rng.normal(size=shape)
    cells = {"model": np.repeat(models, n_tasks), "task": tasks * N_MODELS}
    accuracies = pl.DataFrame(cells).with_columns(
        pretrained=pl.lit("tag"), acc1=pl.Series((1 / (1 + np.exp(-logit))).ravel())
    )
    of_model, of_task, of_cell = (
        rng.normal(size=(*size, N_BLOCKS)) for size in ((N_MODELS, 1), (n_tasks,), shape)
    )
    shapes = np.exp(of_model + 0.3 * of_task + 0.2 * of_cell).reshape(-1, N_BLOCKS)
    profiles = pl.DataFrame(cells).with_columns(
        pretrained=pl.lit("tag"), profile=pl.Series(shapes.tolist())
    )
    leave_one_out([make_selector(name) for name in SELECTORS], accuracies, profiles)


def cpu_of(code: str, *args: str, root: Path, cache: Path) -> float:
    """Run Python code of a checkout in a process of its own; its CPU seconds."""
    cache.mkdir(exist_ok=True)
    surroundings = {**os.environ, "PYTHONPATH": str(root), "VLMSEL_CACHE": str(cache)}
    surroundings |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        env=surroundings, cwd=cache, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(args)} failed: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, root: Path, folder: Path) -> float:
    """Measure one figure of a checkout; what it needs is made first, in the folder."""
    kind, _, size = name.partition("-")
    if kind == "evaluate":
        code = f"import runpy; runpy.run_path({str(Path(__file__))!r})['judge_tables']({size})"
        return cpu_of(code, name, root=root, cache=folder / "cache")
    if kind == "help":
        runs = [cpu_of(MAIN, "--help", root=root, cache=folder / "cache") for _ in range(6)]
        return min(runs[1:])
    demo = folder / "demo"
    if not demo.exists():
        cpu_of(MAIN, "demo", "--out", str(demo), root=root, cache=folder / "cache")
    select = ["select", str(demo / "sample-images"), "--store", str(demo / "store")]
    # Cold comes first, and once: it measures the images.
    return cpu_of(MAIN, *select, root=root, cache=folder / "select-cache")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A temporary worktree of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        root, git = Path(folder) / "tree", ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(root), commit], check=True)
        try:
            yield root
        finally:
            subprocess.run([*git, "remove", "--force", str(root)], check=True)


def describe_machine() -> str:
    """Processor, cores and Python."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    processor = model or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}"


def write_base(names: list[str]) -> None:
    """Measure the base's figures and keep them, each as soon as it is known."""
    with checkout(BASE) as root, tempfile.TemporaryDirectory() as folder:
        for name in names:
            known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"cpu_s": {}}
            known |= {"commit": BASE, "machine": describe_machine()}
            known["date"] = datetime.now(UTC).date().isoformat()
            known["cpu_s"][name] = round(measure(name, root, Path(folder)), 2)
            FIGURES.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
            print(f"{name:14} {known['cpu_s'][name]:8.2f} s", flush=True)


def compare(names: list[str]) -> int:
    """Print this tree's figures beside the base's; return 1 if a bound is broken."""
    base = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"cpu_s": {}}
    print(f"base: {BASE} on {base.get('machine', 'no machine')}, {base.get('date', 'never')}")
    print(f"here: {describe_machine()}, load {os.getloadavg()[0]:.1f}")
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            seconds, known = measure(name, ROOT, Path(folder)), base["cpu_s"].get(name)
            ratio = seconds / known if known else None
            bound = BOUNDS.get(name)
            broken += ratio is not None and bound is not None and ratio > bound
            broken += name == "help" and seconds > MAX_HELP_S
            of_base = "" if known is None else f" of {known:8.2f} s: {ratio:.3f}"
            wanted = f" (bound {bound:g})" if bound else ""
            wanted = f" (bound {MAX_HELP_S:g} s)" if name == "help" else wanted
            print(f"{name:14} {seconds:8.2f} s{of_base}{wanted}", flush=True)
    return 1 if broken else 0


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="FIGURE", help=", ".join(NAMES))
    parser.add_argument("--base", action="store_true", help=f"measure {BASE} and keep its figures")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    names: list[str] = args.names or [*NAMES]
    if args.base:
        write_base([name for name in names if name not in NOT_OF_BASE])
        return 0
    return compare(names)


if __name__ == "__main__":
    sys.exit(main())

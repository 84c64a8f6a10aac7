"""Kill, stop and cut off a measuring run at random for minutes; print what was lost.

    python bench/chaos.py                       # 5 minutes, seed 0
    python bench/chaos.py --minutes 60 --seed 3
    python bench/chaos.py --executor local

Each round measures every kind of part of the demo zoo and of an encoder that crashes, exits and
loops at random (it has no text: its predictions fail, and nothing else may), in a driver process
that is started again until it is done. Meanwhile actors, drivers, raylets and clusters are killed,
actors are stopped, images are away for seconds to a minute, and the store's disk is full or
read-only (as root, on a small disk in memory). Then the store must equal that of an undisturbed
run, value for value.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import psutil
import yaml

from vlmsel.demo.demo_tasks import write_demo_tasks
from vlmsel.execution.run import measure
from vlmsel.measurements import Embedding, Prediction, Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import ModelSpec, Zoo, load_zoo

N_MODELS, N_TASKS = 4, 6
# One shard, so a cell per model, task and kind.
N_IMAGES = 25
SETTINGS = AttributionSettings(n_steps=128, rule="trapezoid", path="uniform")
# The embedding before the prediction: a run killed between the two goes on from what is stored.
MEASUREMENTS = (Profile(settings=SETTINGS), Embedding(), Prediction())
WANTS = tuple(Want(one, N_IMAGES) for one in MEASUREMENTS)
# The predictions of the encoder, which has no text.
N_FAILED = N_TASKS
N_CELLS = N_MODELS * N_TASKS * len(WANTS) - N_FAILED
VICTIMS = {
    "ray": (*["actor"] * 5, "driver", "raylet", "raylet", "cluster", "stopped", *["images"] * 2),
    "local": ("driver", "driver", *["images"] * 2),
}
# Only where a disk of our own can be made.
DISK_VICTIMS = ("full disk", "read-only disk")
KILLS_PER_ROUND = 4
AWAY_S = (2.0, 60.0)
DISK_MB = 64
# Shorter than what a user waits, so that minutes are enough to see them at work.
DEADLINE_S, PATIENCE_S = 30.0, 120.0
# Starts of one round's driver; more is a run that never ends.
MAX_STARTS = 20
ENCODER = """
import os, random
import timm, torch
from torch import nn
from torchvision.transforms import v2
from vlmsel.zoo import Encoder

class Wild(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, images):
        if "VLMSEL_CHAOS" in os.environ and random.random() < 0.0002:
            random.choice([os.abort, lambda: os._exit(0), forever])()
        return self.inner(images)

def forever():
    while True:
        pass

def build(spec):
    torch.manual_seed(0)
    resize = [v2.PILToTensor(), v2.Resize((160, 160)), v2.ToDtype(torch.float32, scale=True)]
    model = Wild(timm.create_model("test_vit", num_classes=0))
    return Encoder(model, v2.Compose(resize), 160, block_pattern=r"blocks\\.\\d+$")
"""
# Seconds between kills, on average: a start of Ray and of an actor, and some cells.
MEAN_PAUSE_S = 5.0
# Without a new file in the store; a driver that hangs is a failure of ours.
HANG_S, POLL_S = 600.0, 2.0
DRIVER_LOG, LOG_CHARACTERS = "driver.log", 6000

Problem = tuple[Zoo, TaskCatalog]
Rows = dict[str, pl.DataFrame]


def make_problem(folder: Path) -> Problem:
    """Return part of the demo, with settings that leave time to kill; catalogs are files, too."""
    tasks = load_tasks(write_demo_tasks(folder / "tasks")).tasks[:N_TASKS]
    (folder / "wild.py").write_text(ENCODER)
    sys.path.insert(0, str(folder))
    wild = ModelSpec(model="wild", pretrained="x", encoder="wild:build")
    models = (*load_zoo("demo").models[::3][: N_MODELS - 1], wild)
    for name, specs in (("models", models), ("tasks", tasks)):
        entries = [spec.model_dump(mode="json", exclude_none=True) for spec in specs]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({name: entries}))
    return Zoo(models=models), TaskCatalog(tasks=tasks)


def start_driver(folder: Path, store: Path, executor: str) -> subprocess.Popen[bytes]:
    """Start what a user starts, in a process group of its own."""
    command = [sys.executable, "-c", "from vlmsel.cli.app import main; main()", "measure"]
    command += [*(want.kind for want in WANTS), "--n-images", str(N_IMAGES)]
    command += ["--executor", executor, "--allow-failures", str(N_FAILED)]
    command += ["--deadline", str(DEADLINE_S), "--patience", str(PATIENCE_S)]
    command += ["--zoo", folder / "models.yaml", "--tasks", folder / "tasks.yaml"]
    command += ["--store", store]
    for name in sorted(SETTINGS.model_fields_set):
        command += ["--set", f"{name}={getattr(SETTINGS, name)}"]
    settings = {"VLMSEL_CHAOS": "1", "PYTHONFAULTHANDLER": "1"}
    settings["PYTHONPATH"] = os.pathsep.join([str(folder), *sys.path])
    with (folder / DRIVER_LOG).open("wb") as log:
        return subprocess.Popen(
            command,
            env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
            | settings,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def kill(driver: subprocess.Popen[bytes], victim: str, chance: random.Random) -> bool:
    """Kill -9 the victim; False where it is not there."""
    try:
        if victim == "driver":
            driver.kill()
        elif victim == "cluster":
            os.killpg(driver.pid, signal.SIGKILL)
        else:
            children = psutil.Process(driver.pid).children(recursive=True)
            name = "raylet" if victim == "raylet" else "ray::RayWorker"
            found = chance.choice([c for c in children if c.name().startswith(name)])
            found.suspend() if victim == "stopped" else found.kill()
    except (ProcessLookupError, psutil.NoSuchProcess, IndexError):
        return False
    return True


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk in memory for the stores, if this user may make one."""
    folder.mkdir()
    options = f"size={DISK_MB}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    made = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def take_away(victim: str, folder: Path, seconds: float) -> None:
    """Have images or the disk away for some seconds."""
    images, away, disk = folder / "tasks", folder / "away", folder / "disk"
    ballast = disk / "ballast"
    if victim == "images":
        images.rename(away)
        time.sleep(seconds)
        away.rename(images)
    elif victim == "full disk":
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))
        time.sleep(seconds)
        ballast.unlink()
    else:
        remount = ["mount", "-o", "remount,{}", str(disk)]
        for mode in ("ro", "rw"):
            subprocess.run([part.format(mode) for part in remount], check=False)
            time.sleep(seconds if mode == "ro" else 0)


@dataclass
class Fire:
    """What happens to drivers.

    Attributes:
        folder: of images, catalogs and the disk.
        victims: what may be hit.
        kills: what was.
    """

    folder: Path
    victims: tuple[str, ...]
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)

    def hit(self, driver: subprocess.Popen[bytes]) -> bool:
        """Hit something; False where it was not there."""
        victim = self.chance.choice(self.victims)
        if victim in ("images", *DISK_VICTIMS):
            take_away(victim, self.folder, self.chance.uniform(*AWAY_S))
        elif not kill(driver, victim, self.chance):
            return False
        self.kills[victim] += 1
        return True

    def run(self, driver: subprocess.Popen[bytes], left: int) -> bool:
        """Hit up to `left` times while the driver runs; True when it ended with exit code 0."""
        while left and driver.poll() is None:
            time.sleep(self.chance.expovariate(1 / MEAN_PAUSE_S))
            left -= driver.poll() is None and self.hit(driver)
        return self.end_of(driver) == 0

    def end_of(self, driver: subprocess.Popen[bytes]) -> int:
        """Wait for the driver's exit code as long as its store grows."""
        n_files, since = -1, 0.0
        while driver.poll() is None:
            time.sleep(POLL_S)
            if (found := sum(1 for _ in (self.folder / "disk").rglob("*"))) != n_files:
                n_files, since = found, time.monotonic()
            elif time.monotonic() - since > HANG_S:
                # The driver's threads are in its log then.
                driver.send_signal(signal.SIGABRT)
                driver.wait()
                clean_up(driver)
                log = (self.folder / DRIVER_LOG).read_text(errors="replace")
                raise SystemExit(f"a driver hangs:\n{log[-LOG_CHARACTERS:]}")
        return driver.returncode


def clean_up(driver: subprocess.Popen[bytes]) -> None:
    """End what a killed driver left behind, its own process group only."""
    try:
        os.killpg(driver.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def one_round(fire: Fire, number: int, executor: str) -> Path:
    """Measure one store under fire."""
    store = fire.folder / "disk" / f"store-{number}"
    before = fire.kills.total()
    for _ in range(MAX_STARTS):
        left = max(0, KILLS_PER_ROUND - (fire.kills.total() - before))
        driver = start_driver(fire.folder, store, executor)
        done = fire.run(driver, left)
        clean_up(driver)
        if done:
            return store
    raise SystemExit(f"not done after {MAX_STARTS} starts: see vlmsel status --store {store}")


def rows_of(store: Path) -> Rows:
    """Rows of the measured cells by kind; a corrupt file has none."""
    found = Store(store)
    files = {want.kind: found.cells(want.kind, want.measurement.digest) for want in WANTS}
    return {kind: found.scan(some).rows for kind, some in files.items() if some}


def wrong_cells(store: Path, undisturbed: Rows) -> int:
    """Cells that are missing, too many, or differ in a bit from the undisturbed run."""
    found = rows_of(store)
    return sum(_wrong(found.get(kind, rows.clear()), rows) for kind, rows in undisturbed.items())


def _wrong(found: pl.DataFrame, expected: pl.DataFrame) -> int:
    cell = ["model", "pretrained", "task"]
    there, due = (
        {name: part.rows() for name, part in frame.partition_by(cell, as_dict=True).items()}
        for frame in (found, expected)
    )
    return sum(there.get(name) != due.get(name) for name in there.keys() | due.keys())


def main() -> int:
    """Print the table; return 1 if a cell was lost, doubled or changed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", choices=sorted(VICTIMS), default="ray")
    args = parser.parse_args()
    wrong = rounds = 0
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name) / "disk") as is_disk:
        folder = Path(name)
        victims = VICTIMS[args.executor] + (DISK_VICTIMS if is_disk else ())
        fire = Fire(folder, victims, random.Random(args.seed))
        problem = make_problem(folder)
        reference = folder / "undisturbed"
        assert measure(*problem, Store(reference), WANTS).measured == N_CELLS
        undisturbed = rows_of(reference)
        end = time.monotonic() + args.minutes * 60
        while time.monotonic() < end:
            store = one_round(fire, rounds, args.executor)
            wrong += wrong_cells(store, undisturbed)
            rounds += 1
            total = fire.kills.total()
            print(f"round {rounds}: {total} troubles so far, {wrong} cells wrong", flush=True)
    kills = fire.kills
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kills.items()))
    print(f"troubles survived: {kills.total()} ({by_kind}); cells per round: {N_CELLS}")
    print(f"cells lost, doubled or changed: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

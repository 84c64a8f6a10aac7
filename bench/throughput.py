"""How well an accelerator is used: speed, share of its ceiling, and busy time while shards stream.

    python bench/throughput.py                                        # on a GPU, five models
    python bench/throughput.py --device cpu --models ViT-S-32-alt --batch 2 --images 40

The ceiling is the speed of a large matrix product in the same precision, measured in the same run.
Weights are random: the cost does not depend on them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
from attribution import STEPS, Subject, floor, subject
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from vlmsel.attribution import attribute
from vlmsel.execution.executors.local import run_local
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.measurements import Profile, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec
from vlmsel.zoo.catalog import ModelSpec, Zoo

MODELS = ("ViT-B-32", "ViT-L-14", "RN50x16", "convnext_large", "ViT-H-14")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
REPEATS = 3
PIXELS = (480, 640, 3)
COLUMNS = (
    "model",
    "precision",
    "images/s",
    "of the bare passes",
    "of the ceiling",
    "default images/s",
    "busy while streaming",
)


def seconds(run: Callable[[], object], device: str) -> float:
    """Median wall time, the device's queue empty before and after; the first call not counted."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    run()
    taken = []
    for _ in range(REPEATS):
        wait()
        start = time.perf_counter()
        run()
        wait()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def ceiling(precision: str, device: str) -> float:
    """Operations a second of a large matrix product."""
    n = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(n, n, device=device, dtype=DTYPES[precision]) for _ in range(2))
    return 2 * n**3 / seconds(lambda: left @ right, device)


def speeds(one: Subject, precision: str, device: str) -> tuple[float, float, float, float]:
    """Images a second, share of the bare passes, of the ceiling; images a second by default."""
    fixed = AttributionSettings(
        n_steps=STEPS, rule="trapezoid", path="uniform", precision=precision
    )
    default = AttributionSettings(precision=precision)
    bare = seconds(partial(floor, one, STEPS, precision=precision), device)
    mine, whole = (
        seconds(partial(attribute, one.model, one.images, settings), device)
        for settings in (fixed, default)
    )
    with FlopCounterMode(display=False) as counter:
        floor(one, STEPS, precision=precision)
    share = counter.get_total_flops() / mine / ceiling(precision, device)
    n = len(one.images)
    return n / mine, bare / mine, share, n / whole


def busy(name: str, folder: Path, n_images: int, precision: str, device: str) -> float:
    """Share of the time in which the accelerator computes, from the first cell's begin."""
    weights = folder / f"{name}.safetensors"
    if not weights.exists():
        save_file(open_clip.create_model(name).state_dict(), weights)
    tasks = TaskCatalog(tasks=(TaskSpec(name="photos", images=str(folder / "photos")),))
    zoo = Zoo(models=(ModelSpec(model=name, pretrained="random", weights=str(weights)),))
    want = Want(Profile(settings=AttributionSettings(precision=precision)), n_images)
    options = RunOptions(device=device, verify=False)
    store = str(folder / f"store-{name}-{precision}")
    plan = plan_measurements(zoo, tasks, Store(store), [want], options=options)
    ends: list[tuple[float, CellOutcome]] = []
    done = run_local(
        plan, store, device=device, on_outcome=lambda o: ends.append((time.perf_counter(), o))
    )
    assert not done.n_failures, done.failures
    first, outcome = ends[0]
    compute = sum(outcome.seconds for _, outcome in ends)
    return compute / (ends[-1][0] - (first - outcome.seconds))


def draw_photos(folder: Path, n: int) -> None:
    """Noise under a gradient: as slow to decode as a photograph."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(n):
        light = np.linspace(0, 160, PIXELS[1], dtype=np.uint8)[None, :, None]
        pixels = draw.integers(0, 90, PIXELS, dtype=np.uint8) + light
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=512, help="streamed from disk, JPEG")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU here: --device cpu tries the table on a small model")
    torch.backends.cudnn.allow_tf32 = False  # as in attribution: fp32 means fp32
    console, device = Console(), options.device
    what = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    table = Table(
        title=f"{what}, batch {options.batch}, {STEPS} gradients, torch {torch.__version__}"
    )
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in COLUMNS[:2] else "right")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_photos(folder / "photos", options.images)
        for model in options.models:
            for precision in DTYPES:
                one = subject(model, options.batch, device)
                rate, bare, share, whole = speeds(one, precision, device)
                del one
                streaming = busy(model, folder, options.images, precision, device)
                shares = [f"{value:.0%}" for value in (bare, share, streaming)]
                table.add_row(
                    model, precision, f"{rate:.1f}", *shares[:2], f"{whole:.1f}", shares[2]
                )
                console.print(f"{model} {precision}: done")
            (folder / f"{model}.safetensors").unlink()
    console.print(table)


if __name__ == "__main__":
    main()

"""How well an accelerator is used: speed, share of its ceiling, and busy time while shards stream.

    python bench/throughput.py                                        # on a GPU, five models
    python bench/throughput.py --device cpu --models ViT-S-32-alt --batch 2 --images 40

The ceiling is the speed of a large matrix product in the same precision, measured in the same run.
Weights are random: the cost does not depend on them. The speeds of all models come first, then
what streams. Each row is printed, and added to `--out` as a line of JSON, when it is measured, and
again with its streaming: a model that fails is a row that says so. A batch that does not fit in
memory is halved until it does.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
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
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vlmsel.attribution import attribute
from vlmsel.attribution.block_scores import profile_distance
from vlmsel.errors import VlmselError, first_line
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
# Repeats of a measurement: so many, but no further one after so many seconds.
REPEATS, REPEAT_S = 3, 4.0
PIXELS = (480, 640, 3)
SHARD = 32
GB = 2**30


@dataclass(frozen=True)
class Row:
    """Speed of one model in one precision.

    Attributes:
        rate: images per second at a fixed number of gradients.
        of_floor: seconds of as many bare passes over those of the attribution.
        of_ceiling: operations of the bare passes per second over those of a matrix product.
        default_rate: images per second under the default settings.
        off_fp32: largest L1 distance of a profile under the default settings to that in fp32.
        peak_gb: most memory that the device's allocator held, in 2^30 bytes; 0 on a CPU.
        busy: share of the time in which the device computes while shards stream.
        n_streamed: images of that.
        fault: why there is no more of the row.
    """

    model: str
    precision: str
    batch: int
    rate: float | None = None
    of_floor: float | None = None
    of_ceiling: float | None = None
    default_rate: float | None = None
    off_fp32: float | None = None
    peak_gb: float | None = None
    busy: float | None = None
    n_streamed: int = 0
    fault: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row as the table shows it."""
        shown = (
            _shown(self.rate, ".1f"),
            _shown(self.of_floor, ".0%"),
            _shown(self.of_ceiling, ".0%"),
            _shown(self.default_rate, ".1f"),
            _shown(self.off_fp32, ".2%"),
            _shown(self.peak_gb, ".1f"),
            _shown(self.busy, ".0%"),
        )
        return (self.model, self.precision, str(self.batch), *shown, self.fault)


COLUMNS = (
    "model",
    "precision",
    "batch",
    "images/s",
    "of the bare passes",
    "of the ceiling",
    "default images/s",
    "L1 off fp32",
    "peak GB",
    "busy while streaming",
    "fault",
)
# Block scores in fp32 by model and number of images; both precisions have the same images.
Exact = dict[tuple[str, int], Tensor]
FAULTS = (RuntimeError, VlmselError, AssertionError, OSError, ValueError)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def seconds(run: Callable[[], object], device: str, *, warm_up: bool = True) -> float:
    """Median wall time, the device's queue empty before and after; a warm-up not counted."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    if warm_up:
        run()
    taken: list[float] = []
    while len(taken) < REPEATS and sum(taken) < REPEAT_S:
        wait()
        start = time.perf_counter()
        run()
        wait()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def ceiling(precision: str, device: str) -> float:
    """Operations per second of a large matrix product."""
    n = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(n, n, device=device, dtype=DTYPES[precision]) for _ in range(2))
    return 2 * n**3 / seconds(lambda: left @ right, device)


def make_subject(name: str, batch: int, device: str) -> Subject:
    """Draw weights on the device itself, which for large models saves most of a minute."""
    with torch.device(device):
        return subject(name, batch, device)


def speeds(row: Row, small: Subject, device: str, exact: Exact) -> Row:
    """Measure everything but the streaming.

    Args:
        row: what is measured.
        small: the model and images.
        device: where.
        exact: block scores in fp32, which is measured first; they are added here.
    """
    precision, n = row.precision, len(small.images)
    fixed = AttributionSettings(
        n_steps=STEPS, rule="trapezoid", path="uniform", precision=precision
    )
    default = AttributionSettings(precision=precision)
    found: list[Tensor] = []
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    bare = seconds(partial(floor, small, STEPS, precision=precision), device)
    mine = seconds(partial(attribute, small.model, small.images, fixed), device)
    whole = seconds(
        lambda: found.append(attribute(small.model, small.images, default).scores),
        device,
        warm_up=False,  # the same kernels as just before
    )
    peak = torch.cuda.max_memory_allocated() / GB if device == "cuda" else 0.0
    with FlopCounterMode(display=False) as counter:
        floor(small, STEPS, precision=precision)
    share = counter.get_total_flops() / mine / ceiling(precision, device)
    if precision == "fp32":
        exact[row.model, n] = found[-1]
    reference = exact.get((row.model, n))
    return replace(
        row,
        rate=n / mine,
        of_floor=bare / mine,
        of_ceiling=share,
        default_rate=n / whole,
        off_fp32=None if reference is None else _largest_distance(found[-1], reference),
        peak_gb=peak,
    )


def _largest_distance(scores: Tensor, others: Tensor) -> float:
    return float(profile_distance(scores, others).max())


def busy(name: str, folder: Path, n_images: int, precision: str, device: str) -> float:
    """Share of the time in which the accelerator computes, from the first cell's begin."""
    weights = folder / f"{name}.safetensors"
    if not weights.exists():
        with torch.device(device):
            save_random(open_clip.create_model(name, device=device), weights)
        release_memory(device)
    tasks = TaskCatalog(tasks=(TaskSpec(name="photos", images=str(folder / "photos")),))
    # The tag names the preprocessing; the weights are random.
    tags = open_clip.list_pretrained_tags_by_model(name)
    plain = (t for t in tags if not open_clip.get_pretrained_cfg(name, t).get("quick_gelu"))
    tag = next(plain, "random")
    zoo = Zoo(models=(ModelSpec(model=name, pretrained=tag, weights=str(weights)),))
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


def save_random(model: nn.Module, path: Path) -> None:
    """Save random weights of which no block is silent, as some are that wait to be trained."""
    for key, parameter in model.named_parameters():
        if parameter.ndim == 1 and "logit" not in key:
            parameter.data += 0.1 * torch.randn_like(parameter)
    state = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(state, path)


def release_memory(device: str) -> None:
    """Give back what the allocator keeps, so that the next model has all of it."""
    if device == "cuda":
        torch.cuda.empty_cache()


def measure_speeds(row: Row, device: str, exact: Exact) -> Row:
    """Measure with the largest batch that fits, or say why nothing was measured."""
    batch = row.batch
    while True:
        try:
            small = make_subject(row.model, batch, device)
            return speeds(replace(row, batch=batch), small, device, exact)
        except torch.OutOfMemoryError as error:
            if batch == 1:
                return replace(row, batch=1, fault=first_line(error))
        except FAULTS as error:
            return replace(row, batch=batch, fault=first_line(error))
        # Outside of the handler, which holds the frames and with them the tensors.
        small = None
        release_memory(device)
        batch //= 2


def measure_stream(row: Row, folder: Path, most: int, stream_s: float, device: str) -> Row:
    """Stream as many images as take so many seconds, in whole shards, two at least."""
    wished = int((row.default_rate or 0.0) * stream_s) // SHARD * SHARD
    n_images = min(most, max(2 * SHARD, wished))
    try:
        share = busy(row.model, folder, n_images, row.precision, device)
    except FAULTS as error:
        return replace(row, fault=f"streaming: {first_line(error)}")
    finally:
        release_memory(device)
    return replace(row, busy=share, n_streamed=n_images)


def draw_photos(folder: Path, n: int) -> None:
    """Noise under a gradient: as slow to decode as a photograph."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(n):
        light = np.linspace(0, 160, PIXELS[1], dtype=np.uint8)[None, :, None]
        pixels = draw.integers(0, 90, PIXELS, dtype=np.uint8) + light
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)


def measure_all(options: argparse.Namespace, console: Console) -> list[Row]:
    """Measure the speeds of all rows, then what streams; a row is printed when it is there."""
    device = options.device
    exact: Exact = {}
    rows: list[Row] = []
    for model in options.models:
        for precision in DTYPES:
            row = measure_speeds(Row(model, precision, options.batch), device, exact)
            release_memory(device)
            rows.append(row)
            note(row, options.out, console)
    if options.stream_s > 0:
        with tempfile.TemporaryDirectory() as name:
            stream_all(rows, Path(name), options, console)
    return rows


def stream_all(
    rows: list[Row], folder: Path, options: argparse.Namespace, console: Console
) -> None:
    """Stream the rows that have speeds; a model's weights are deleted after its last."""
    draw_photos(folder / "photos", options.images)
    for number, row in enumerate(rows):
        if row.fault:
            continue
        rows[number] = measure_stream(row, folder, options.images, options.stream_s, options.device)
        note(rows[number], options.out, console)
        if row.model not in [later.model for later in rows[number + 1 :]]:
            (folder / f"{row.model}.safetensors").unlink(missing_ok=True)


def note(row: Row, out: Path | None, console: Console) -> None:
    """Print a row, and add it to the file."""
    console.print(" | ".join(row.cells()), soft_wrap=True)
    if out:
        with out.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=512, help="streamed from disk, JPEG, at most")
    parser.add_argument("--stream-s", type=float, default=20.0, help="seconds to stream; 0: none")
    parser.add_argument("--out", type=Path, help="a line of JSON per row")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU here: --device cpu tries the table on a small model")
    torch.backends.cudnn.allow_tf32 = False  # as in attribution: fp32 means fp32
    console = Console()
    what = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    table = Table(
        title=f"{what}, batch {options.batch}, {STEPS} gradients, torch {torch.__version__}"
    )
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("model", "precision") else "right")
    for row in measure_all(options, console):
        table.add_row(*row.cells())
    console.print(table)


if __name__ == "__main__":
    main()

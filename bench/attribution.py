"""What attribution costs: bare passes, this package, and captum block by block, in one run.

    python bench/attribution.py                  # CPU time per image
    python bench/attribution.py --quick          # fewer repeats, captum at few steps only
    python bench/attribution.py --memory RN50x64 # peak memory of one image, fp32, on a CPU

Time is the process's CPU time on one thread, so other work on the machine hardly shows.
Weights are random: the cost does not depend on them.
"""

import argparse
import math
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from captum.attr import LayerConductance as CaptumConductance
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from vlmsel.attribution import attribute, conductance, layer_conductance, make_objective
from vlmsel.attribution.block_scores import profile_distance
from vlmsel.attribution.exactness import converged
from vlmsel.attribution.memory import GB
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_untrained

CPU_MODELS = ("ViT-B-32", "RN50", "convnext_tiny", "ViT-B-16-SigLIP")
TWELVE_BLOCKS = "ViT-B-32"
STEPS = 5
CAPTUM_STEPS = 50
TARGET_FLOOR, TARGET_SPEEDUP, TARGET_ERROR = 1.05, 20.0, 0.01


@dataclass(frozen=True)
class Subject:
    """A model, its blocks and objective, and images."""

    model: LoadedModel
    objective: Callable[[Tensor], Tensor]
    blocks: list[tuple[str, nn.Module]]
    images: Tensor


def subject(name: str, n_images: int, device: str) -> Subject:
    torch.manual_seed(0)
    model = load_untrained(name, device=device)
    for parameter in model.visual.parameters():
        if parameter.ndim < 2:
            parameter.add_(0.1 * torch.randn_like(parameter))
    images = torch.randn(n_images, 3, *model.image_size, device=device)
    objective = make_objective("l2", model.encode_image)
    return Subject(model, objective, functional_blocks(model.visual), images)


def floor(one: Subject, steps: int, *, precision: str = "fp32") -> None:
    """Bare forward and backward passes, the gradient taken to the images."""
    objective = make_objective("l2", one.model.encode_image, precision=precision)
    for k in range(steps):
        images = one.images.clone().requires_grad_()
        torch.autograd.grad(objective(images * (k / max(1, steps - 1))).sum(), images)


def ours(one: Subject, steps: int) -> None:
    layer_conductance(
        one.objective, one.images, one.blocks, n_steps=steps, rule="trapezoid", path="uniform"
    )


def captum(one: Subject, steps: int) -> Tensor:
    """Every block in turn; captum evaluates one point more than its steps. Scores (N, blocks)."""
    scores = []
    for _, module in one.blocks:
        units = CaptumConductance(one.objective, module).attribute(one.images, n_steps=steps)
        # captum's result holds its whole graph: without detach, one graph a block stays in memory.
        scores.append(units.detach().abs().flatten(1).mean(1).double())
    return torch.stack(scores, dim=1)


def cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median CPU time of the process."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def cpu_row(name: str, repeats: int) -> tuple[str, ...]:
    one = subject(name, 2, "cpu")
    ours(one, 2)  # first calls set up kernels
    # Alternating, so that a change of the machine's pace meets both alike.
    pairs = [
        (cpu_seconds(partial(floor, one, STEPS), 1), cpu_seconds(partial(ours, one, STEPS), 1))
        for _ in range(repeats)
    ]
    bare, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    theirs = cpu_seconds(partial(captum, one, STEPS - 1), 1)
    n = len(one.images)
    return (
        name,
        str(len(one.blocks)),
        f"{bare / n:.3f}",
        f"{mine / n:.3f}",
        f"{theirs / n:.2f}",
        f"{ratio:.2f}" + ("" if ratio <= TARGET_FLOOR else " (!)"),
        f"{theirs / mine:.1f}",
    )


def cpu_table(repeats: int, console: Console) -> None:
    table = Table(title=f"CPU time per image, {STEPS} gradient evaluations, one thread")
    columns = ("model", "blocks", "floor s", "ours s", "captum s", "ours / floor", "captum / ours")
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for name in CPU_MODELS:
        table.add_row(*cpu_row(name, repeats))
        console.print(f"{name}: done")
    console.print(table)


def default_against_captum(console: Console) -> None:
    """The default setting against captum at its default of 50 steps, on a 12-block ViT."""
    one = subject(TWELVE_BLOCKS, 1, "cpu")
    settings = AttributionSettings()
    ours(one, 2)
    mine = cpu_seconds(partial(attribute, one.model, one.images, settings), 3)
    start = time.process_time()
    their_scores = captum(one, CAPTUM_STEPS)
    theirs = time.process_time() - start
    found = attribute(one.model, one.images, settings)
    exact = attribute(one.model, one.images, converged())
    error = float(profile_distance(found.scores, exact.scores).max())
    captum_error = float(profile_distance(their_scores, exact.scores).max())
    table = Table(title=f"{TWELVE_BLOCKS}, {len(one.blocks)} blocks, one image, CPU time")
    for column in ("", "s per image", "L1 error of the profile"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row(f"captum, {CAPTUM_STEPS} steps", f"{theirs:.2f}", f"{captum_error:.2%}")
    table.add_row(f"default ({int(found.n_gradients)} gradients)", f"{mine:.2f}", f"{error:.2%}")
    console.print(table)
    met = theirs / mine >= TARGET_SPEEDUP and error <= TARGET_ERROR
    console.print(
        f"{theirs / mine:.0f} times faster (target {TARGET_SPEEDUP:.0f} at {TARGET_ERROR:.0%}): "
        f"{'met' if met else 'missed'}"
    )


def memory_row(name: str, bound_gb: float, steps: int | None) -> None:
    """Peak memory of this process, imports and weights included, for one image."""
    settings = AttributionSettings()
    if steps is not None:
        settings = settings.model_copy(update={"n_steps": steps})
        conductance.TOLERANCE = math.inf  # refining takes longer, but holds no more at once
    model = load_untrained(name)
    image = torch.randn(1, 3, *model.image_size)
    start = time.perf_counter()
    found = attribute(model, image, settings, max_memory_gb=bound_gb)
    seconds = time.perf_counter() - start
    weights = sum(p.nbytes for p in model.visual.parameters()) / GB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB
    print(
        f"{name}: {weights:.1f} GB of weights, {len(found.names)} blocks, max_memory {bound_gb:g} "
        f"GB, peak {peak:.1f} GB, {int(found.n_gradients)} gradients in {seconds:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one repeat, no long captum run")
    parser.add_argument("--memory", metavar="MODEL", help="peak memory of one image, in fp32")
    parser.add_argument(
        "--max-memory", type=float, default=20.0, help="for --memory, in 2^30 bytes"
    )
    parser.add_argument("--steps", type=int, help="for --memory: gradients, not refined")
    options = parser.parse_args()
    console = Console()
    repeats = 1 if options.quick else 5
    torch.set_num_threads(1)
    if options.memory:
        memory_row(options.memory, options.max_memory, options.steps)
        return
    cpu_table(repeats, console)
    if not options.quick:
        default_against_captum(console)


if __name__ == "__main__":
    main()

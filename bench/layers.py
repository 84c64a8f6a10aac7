"""Cost of silencing every layer once, in plain forward passes, and the memory it takes.

A visual tower of 12 blocks (ViT-S-32-alt, random weights) on the CPU: process time of a probe of
all layers over that of one forward pass, by way, best of several; and the peak of memory above what
the process held before. Counted in block calls: plain L (L + 1), shared L + L (L - 1) / 2.

    python bench/layers.py [--images 16] [--repeat 5] [--part block]
    python bench/layers.py --device cuda --model ViT-B-32 --images 64 --at-once 64 2

On a GPU the time is wall time with the device's queue empty before and after, and the memory that
of the device's allocator. `--at-once` cuts the images into batches, as a probe does, which takes
batches of 32 / (L + 1) images of 224 x 224: several numbers make a table each.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.probes.silenced_layers import Silenced, Way, growing, plain, resumed
from vlmsel.zoo.blocks import Blocks, functional_blocks
from vlmsel.zoo.layer_name import Part
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_untrained

Encode = Callable[[Tensor], Tensor]
WAYS: dict[str, Way] = {"plain": plain, "resumed": resumed, "growing": growing}


def best_seconds(work: Callable[[], object], repeat: int, device: str) -> float:
    """Best of several, on a CPU in process time: other work on the machine counts less."""
    clock = time.process_time if device == "cpu" else device_clock
    best = float("inf")
    for _ in range(repeat):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def device_clock() -> float:
    """Wall time with nothing left in the device's queue."""
    torch.cuda.synchronize()
    return time.perf_counter()


def peak_mib(device: str) -> float:
    """Most memory so far, in MiB."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return torch.cuda.max_memory_allocated() / 2**20


def held_mib(device: str) -> float:
    """Memory to measure a peak from: on a GPU a new peak begins with what is held now."""
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return peak_mib(device)


def largest_gap(found: Silenced, expected: Silenced) -> float:
    """Largest difference of the embeddings over their largest value."""
    pairs = [(found.base, expected.base)]
    pairs += [(found.outputs[number], expected.outputs[number]) for number in expected.outputs]
    scale = expected.base.abs().max()
    return max(float((one - other).abs().max() / scale) for one, other in pairs)


def probe_all(
    way: Way, batches: Sequence[Tensor], encode: Encode, blocks: Blocks, part: Part
) -> None:
    """Silence every layer on every batch."""
    for batch in batches:
        way(partial(encode, batch), blocks, part)


def show_ways(asked: argparse.Namespace, model: LoadedModel, images: Tensor, size: int) -> None:
    """Print the time and memory of every way with batches of so many images."""
    device, part = asked.device, asked.part
    blocks, encode = functional_blocks(model.visual), model.encode_image
    batches = images.split(size)
    n_layers = len(blocks)
    probe_all(plain, batches[:1], encode, blocks[:1], part)
    forward = best_seconds(lambda: [encode(batch) for batch in batches], asked.repeat, device)
    clock = "process time" if device == "cpu" else "wall time"
    print(f"\n{asked.model}: {n_layers} blocks, {len(images)} images, {size} at once, part {part}")
    print(f"one forward pass of all images {1000 * forward:.1f} ms of {clock}")
    expected = plain(partial(encode, batches[0]), blocks, part)
    chosen = WAYS if asked.way == "all" else {asked.way: WAYS[asked.way]}
    for name, way in chosen.items():
        gap = largest_gap(way(partial(encode, batches[0]), blocks, part), expected)
        before = held_mib(device)
        probe = partial(probe_all, way, batches, encode, blocks, part)
        seconds = best_seconds(probe, asked.repeat, device)
        passes = seconds / forward
        print(
            f"{name:8} {passes:5.2f} forward passes, {passes / (n_layers + 1):.2f} of "
            f"{n_layers + 1} plain ones, {len(images) / seconds:.1f} images/s, peak memory "
            f"+{peak_mib(device) - before:.0f} MiB, largest difference {gap:.1g}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", default="ViT-S-32-alt")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--at-once", type=int, nargs="+", help="images per batch; all by default")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--part", default="block")
    parser.add_argument("--way", choices=[*WAYS, "all"], default="all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = load_untrained(asked.model, device=asked.device)
    images = torch.randn(asked.images, 3, *model.image_size, device=asked.device)
    with torch.inference_mode(), ieee_float32():
        for size in asked.at_once or [asked.images]:
            show_ways(asked, model, images, size)


if __name__ == "__main__":
    main()

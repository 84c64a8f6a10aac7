"""Cost of silencing every layer once, in plain forward passes, and the memory it takes.

A visual tower of 12 blocks (ViT-S-32-alt, random weights) on the CPU: process time of a probe of
all layers over that of one forward pass, by way, best of several; and the peak of memory above what
the process held before. Counted in block calls: plain L (L + 1), shared L + L (L - 1) / 2.

    python bench/layers.py [--images 16] [--repeat 5] [--part block]
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from vlmsel.probes.silenced_layers import growing, plain, resumed
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.loader import load_untrained

WAYS = {"plain": plain, "resumed": resumed, "growing": growing}


def process_seconds(work: Callable[[], object], repeat: int) -> float:
    """Best of several, in process time: other people's work on the machine counts less."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ViT-S-32-alt")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--part", default="block")
    parser.add_argument("--way", choices=[*WAYS, "all"], default="all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = load_untrained(asked.model)
    blocks = functional_blocks(model.visual)
    images = torch.randn(asked.images, 3, *model.image_size)
    n_layers = len(blocks)

    def run(batch: Tensor = images) -> Tensor:
        return model.encode_image(batch)

    with torch.inference_mode():
        run()
        forward = process_seconds(run, asked.repeat)
        print(f"{asked.model}: {n_layers} blocks, {asked.images} images, part {asked.part}")
        print(f"one forward pass {1000 * forward:.0f} ms of process time")
        chosen = WAYS if asked.way == "all" else {asked.way: WAYS[asked.way]}
        for name, way in chosen.items():
            before = peak_mib()
            seconds = process_seconds(partial(way, run, blocks, asked.part), asked.repeat)
            passes = seconds / forward
            print(
                f"{name:8} {passes:5.2f} forward passes, {passes / (n_layers + 1):.2f} of "
                f"{n_layers + 1} plain ones, peak memory +{peak_mib() - before:.0f} MiB"
            )


if __name__ == "__main__":
    main()

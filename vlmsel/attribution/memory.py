"""Bounds what is held at once: how many images, and how many blocks, go into one pass."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from vlmsel.attribution.block_scores import LayerConductance, join_images
from vlmsel.attribution.integral import Groups, Weights
from vlmsel.attribution.path import Quadrature
from vlmsel.attribution.recorder import BlockRecorder, Blocks, Objective
from vlmsel.errors import MemoryLimitError

GB = 1024**3
# How torch says it where it has no class for it: the CPU, cuBLAS, and calls outside its allocator.
NO_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
SLACK = 1.15  # allocator rounding and the workspaces of convolutions


class BlockScorer(Protocol):
    """Block scores of a batch, the blocks in groups."""

    def __call__(self, images: Tensor, *, groups: Groups) -> LayerConductance:
        """(B, ...) images to the scores of B images."""
        ...


@dataclass(frozen=True)
class ImageFootprint:
    """Memory that one image needs, in bytes.

    Attributes:
        weights: parameters and buffers of the visual encoder, whatever the batch.
        graph: what the forward pass keeps for the backward pass, per image.
        blocks: per block its output in float32, per image.
    """

    weights: int
    graph: int
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """Images per pass, and the block numbers of each pass over them."""

    batch: int
    groups: tuple[tuple[int, ...], ...]


def measure(
    objective: Objective, image: Tensor, blocks: Blocks, resident: Iterable[Tensor]
) -> ImageFootprint:
    """The footprint of one image (1, ...), by one forward and backward and one forward pass.

    The backward pass goes to the first block alone: with gradients of all of them, measuring could
    take more than the passes it is to bound.

    Args:
        objective: F.
        image: one preprocessed image.
        blocks: all blocks.
        resident: parameters and buffers, which are there anyway.
    """
    weights = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in resident}
    saved: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor):
        BlockRecorder(objective, blocks[:1]).gradients(image, find_cuts=True)
    outputs = BlockRecorder(objective, blocks).glimpses(image, lambda h: h.to("meta"))
    return ImageFootprint(
        weights=sum(weights.values()),
        graph=sum(size for pointer, size in saved.items() if pointer not in weights),
        blocks=tuple(4 * h.numel() for h in outputs),
    )


def copies_held(rule: Quadrature | None) -> int:
    """Count the copies of every block's output held at once: outputs, gradients and sums."""
    if rule is None:
        return 3
    sums = [rule.weights] if rule.coarse is None else [rule.weights, rule.coarse]
    most = max(sum(map(len, _held(sums, k))) for k in range(len(rule.points)))
    return most + len(sums) + 1  # and the change that is being added


def _held(sums: list[Weights], k: int) -> tuple[set[int], set[int]]:
    """The points whose outputs, and whose gradients, are there right after point k was run."""
    outputs, gradients = {k}, {k}
    for weights in sums:
        waiting = [r for r in range(k) if weights[r, k:].any()]
        needed = np.any(weights[[*waiting, *range(k, len(weights))], :k], axis=0)
        outputs |= set(np.flatnonzero(needed).tolist())
        gradients |= set(waiting)
    return outputs, gradients


def plan_split(
    footprint: ImageFootprint, n_images: int, copies: int, max_memory_gb: float
) -> Split:
    """The largest batch that fits; where one image does not, as few passes over it as fit.

    Raises:
        MemoryLimitError: not even one block of one image fits.
    """
    room = max_memory_gb * GB / SLACK - footprint.weights
    per_image = footprint.graph + copies * sum(footprint.blocks)
    everything = tuple(range(len(footprint.blocks)))
    if per_image <= room:
        return Split(min(n_images, int(room // per_image)), (everything,))
    room_for_blocks = room - footprint.graph
    least = copies * max(footprint.blocks)
    if least > room_for_blocks:
        needed = (footprint.weights + footprint.graph + least) * SLACK / GB
        raise MemoryLimitError(
            f"one image needs {needed:.3g} GB and max_memory is {max_memory_gb:g} GB: "
            "raise max_memory or use a smaller model"
        )
    return Split(1, _groups(footprint.blocks, room_for_blocks / copies))


def _groups(sizes: tuple[int, ...], room: float) -> tuple[tuple[int, ...], ...]:
    """Neighbouring blocks together, as many as fit."""
    groups: list[list[int]] = [[]]
    for block, size in enumerate(sizes):
        if groups[-1] and sum(sizes[b] for b in groups[-1]) + size > room:
            groups.append([])
        groups[-1].append(block)
    return tuple(tuple(group) for group in groups)


def run_split(score: BlockScorer, images: Tensor, split: Split) -> LayerConductance:
    """`score` over all images, in the passes of `split`.

    Out of memory halves the batch and goes on from there.

    Raises:
        MemoryLimitError: out of memory with one image.
    """
    parts: list[LayerConductance] = []
    batch, start = split.batch, 0
    while start < len(images):
        some = images[start : start + batch]
        found = _try(score, some, split.groups)
        if found is not None:
            parts.append(found)
            start += len(some)
            continue
        if len(some) == 1:
            raise MemoryLimitError(
                f"out of memory on {images.device.type} with one image of shape "
                f"{tuple(some.shape[1:])}: set max_memory, or use a larger device"
            )
        batch = len(some) // 2
        # Not before the error is gone, whose traceback holds what the passes held.
        _release(images.device.type)
    return join_images(parts)


def _try(score: BlockScorer, images: Tensor, groups: Groups) -> LayerConductance | None:
    try:
        return score(images, groups=groups)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    return None


def _is_out_of_memory(error: RuntimeError) -> bool:
    message = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(sign in message for sign in NO_MEMORY)


def _release(device: str) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()

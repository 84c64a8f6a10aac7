"""Blocks of different models matched by what they give for the same images: linear CKA.

Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations Revisited" (2019).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey

# Fewer images than these match blocks by chance; more change little and cost their square.
MIN_SHARED = 10
MOST_SHARED = 256
TIE_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class BlockOutputs:
    """Outputs of every block of one model on some images, averaged over positions.

    Attributes:
        images: names of the images, no two alike.
        vectors: (images, blocks, width); zeros behind what a narrower block gives.
    """

    images: tuple[str, ...]
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class BlockMatches:
    """The block of one model that is most like each block of another.

    Attributes:
        nearest: by (donor, recipient), the donor's block number for every block of the recipient.
    """

    nearest: Mapping[tuple[ModelKey, ModelKey], np.ndarray]

    def n_blocks(self, model: ModelKey) -> int | None:
        """Blocks of a model; None where its blocks are not matched."""
        matched = self.nearest.get((model, model))
        return None if matched is None else len(matched)


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Compare two representations of the same images, 0 (unlike) to 1 (alike up to a rotation).

    CKA = ||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F) with centred columns; 0 where one does not vary.

    Args:
        x: (images, p).
        y: (images, q).
    """
    return float(np.vdot(_unit_gram(x), _unit_gram(y)))


def match_blocks(outputs: Mapping[ModelKey, BlockOutputs]) -> BlockMatches:
    """Match the blocks of every pair of models, on the images that all of them share.

    Args:
        outputs: of every model.

    Raises:
        SelectionError: the models share fewer than `MIN_SHARED` images.
    """
    grams = {model: _grams(blocks) for model, blocks in _select_shared(outputs).items()}
    nearest = {
        # Rounded, so that of equal blocks the first counts.
        (donor, recipient): (grams[donor] @ grams[recipient].T).round(TIE_DECIMALS).argmax(axis=0)
        for donor in grams
        for recipient in grams
    }
    # Two blocks of one model can be equal; each is its own match none the less.
    for model, found in grams.items():
        nearest[model, model] = np.arange(len(found))
    return BlockMatches(nearest)


def split_blocks(vectors: np.ndarray, n_blocks: int) -> np.ndarray:
    """Stored embeddings of every block as (images, blocks, width).

    Args:
        vectors: (images, blocks x width).
        n_blocks: of the model.

    Raises:
        SelectionError: the vectors are not made of so many blocks.
    """
    if n_blocks < 1 or vectors.shape[1] % n_blocks:
        raise SelectionError(
            f"{vectors.shape[1]} numbers are no embeddings of {n_blocks} blocks: measure profiles "
            "and `embedding --set layer=every-block` with the same blocks"
        )
    return vectors.reshape(len(vectors), n_blocks, -1)


def _select_shared(outputs: Mapping[ModelKey, BlockOutputs]) -> dict[ModelKey, BlockOutputs]:
    if not outputs:
        raise SelectionError("no model has embeddings of its blocks")
    sets = [set(blocks.images) for blocks in outputs.values()]
    shared = sorted(set.intersection(*sets))
    if len(shared) < MIN_SHARED:
        fewest = min(outputs, key=lambda model: len(outputs[model].images))
        raise SelectionError(
            f"{len(outputs)} models share {len(shared)} images with embeddings of every block, and "
            f"{MIN_SHARED} are needed to match blocks ({'/'.join(fewest)} has "
            f"{len(outputs[fewest].images)}): measure `embedding --set layer=every-block` of all "
            "models on the same images"
        )
    chosen = _space_evenly(shared)
    found = {}
    for model, blocks in outputs.items():
        row_of = {image: row for row, image in enumerate(blocks.images)}
        rows = [row_of[image] for image in chosen]
        found[model] = BlockOutputs(tuple(chosen), blocks.vectors[rows])
    return found


def _space_evenly(images: Sequence[str]) -> list[str]:
    """At most `MOST_SHARED` images at even distances, so that every task has its share."""
    n_chosen = min(len(images), MOST_SHARED)
    return [images[i * len(images) // n_chosen] for i in range(n_chosen)]


def _grams(outputs: BlockOutputs) -> np.ndarray:
    """(blocks, images^2), unit length: their products are CKA."""
    blocks = np.moveaxis(outputs.vectors, 1, 0)
    return np.stack([_unit_gram(block).ravel() for block in blocks])


def _unit_gram(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=0)
    gram = centred @ centred.T
    length = np.linalg.norm(gram)
    return gram / length if length > 0 else np.zeros_like(gram)

"""Blocks matched by linear CKA."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.errors import SelectionError
from vlmsel.selection.block_matches import (
    MOST_SHARED,
    BlockOutputs,
    linear_cka,
    match_blocks,
    split_blocks,
)

A, B = ("a", "x"), ("b", "x")


def reference(x, y):
    """By Hilbert-Schmidt independence: tr(KHLH) / sqrt(tr(KHKH) tr(LHLH))."""
    n = len(x)
    centre = np.eye(n) - np.ones((n, n)) / n
    k, other = x @ x.T, y @ y.T

    def hsic(p, q):
        return np.trace(p @ centre @ q @ centre)

    return hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_cka_is_that_of_hsic_and_knows_no_rotation_scale_or_shift(seed, p, q):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(12, p)), rng.normal(size=(12, q))
    found = linear_cka(x, y)
    assert found == pytest.approx(reference(x, y))
    assert 0 <= found <= 1
    turned = np.linalg.qr(rng.normal(size=(p, p)))[0]
    assert linear_cka(3 * x @ turned + 5, x) == pytest.approx(1)
    assert linear_cka(y, x) == pytest.approx(found)


def test_cka_by_hand():
    x = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    y = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert linear_cka(x, y) == 0
    # (x'(x + y))^2 / (x'x (x+y)'(x+y)) = 4^2 / (4 x 8)
    assert linear_cka(x, x + y) == pytest.approx(0.5)
    assert linear_cka(x, np.ones((4, 3))) == 0


def outputs(rng, columns, images=30, names=None):
    """Blocks made of some columns of one table, each turned."""
    table = np.random.default_rng(0).normal(size=(images, 8))
    blocks = [
        table[:, chosen] @ np.linalg.qr(rng.normal(size=(len(chosen),) * 2))[0]
        for chosen in columns
    ]
    width = max(block.shape[1] for block in blocks)
    padded = [np.pad(block, ((0, 0), (0, width - block.shape[1]))) for block in blocks]
    ids = tuple(names or (f"i{i:03}" for i in range(images)))
    return BlockOutputs(ids, np.stack(padded, axis=1))


def test_each_block_finds_its_like_in_another_architecture():
    rng = np.random.default_rng(1)
    few = outputs(rng, [[0, 1], [2, 3, 4]])
    many = outputs(rng, [[0, 1], [0, 1], [2, 3, 4], [2, 3, 4]])
    found = match_blocks({A: few, B: many})
    assert found.nearest[A, B].tolist() == [0, 0, 1, 1]
    assert found.nearest[B, A].tolist() == [0, 2]
    assert found.nearest[B, B].tolist() == [0, 1, 2, 3]
    assert (found.n_blocks(A), found.n_blocks(B), found.n_blocks(("c", "x"))) == (2, 4, None)


def test_images_are_matched_by_name():
    rng = np.random.default_rng(1)
    blocks = outputs(rng, [[0, 1], [2, 3, 4]])
    shuffled = rng.permutation(30)
    names = tuple(blocks.images[i] for i in shuffled)
    other = BlockOutputs(names, blocks.vectors[shuffled][:, ::-1])
    assert match_blocks({A: blocks, B: other}).nearest[A, B].tolist() == [1, 0]


def test_of_many_images_some_are_taken_at_even_distances():
    blocks = outputs(np.random.default_rng(1), [[0, 1], [2, 3, 4]], images=2 * MOST_SHARED)
    # The blocks change places; on the images in between, which are not taken, they do not.
    vectors = blocks.vectors[:, ::-1].copy()
    vectors[1::2] = 100 * blocks.vectors[1::2]
    other = BlockOutputs(blocks.images, vectors)
    assert match_blocks({A: blocks, B: other}).nearest[A, B].tolist() == [1, 0]


def test_models_that_share_no_images_are_named():
    rng = np.random.default_rng(1)
    first = outputs(rng, [[0], [1]])
    second = outputs(rng, [[0], [1]], images=12, names=[f"j{i}" for i in range(12)])
    with pytest.raises(SelectionError, match=r"2 models share 0 images .*b/x has 12\): measure"):
        match_blocks({A: first, B: second})
    with pytest.raises(SelectionError, match="no model has embeddings"):
        match_blocks({})


def test_stored_vectors_are_split_by_blocks():
    vectors = np.arange(12.0).reshape(2, 6)
    assert split_blocks(vectors, 3).tolist()[1] == [[6, 7], [8, 9], [10, 11]]
    with pytest.raises(SelectionError, match="6 numbers are no embeddings of 4 blocks"):
        split_blocks(vectors, 4)

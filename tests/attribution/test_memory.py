import pytest
import torch

from tests.attribution.conftest import named_blocks
from tests.attribution.test_block_scores import some
from vlmsel.attribution.memory import (
    GB,
    SLACK,
    ImageFootprint,
    Split,
    copies_held,
    measure,
    plan_split,
    run_split,
)
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.path import quadrature
from vlmsel.errors import AttributionError

FOOTPRINT = ImageFootprint(weights=100, graph=50, blocks=(10, 10, 20))


def gigabytes(size):
    """A bound that leaves exactly `size` bytes."""
    return size * SLACK / GB * (1 + 1e-9)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # An image needs 50 + 3 * 40 = 170 bytes beside the 100 of the weights.
        (100 + 170 * 8, Split(8, ((0, 1, 2),))),
        (100 + 170 * 3 + 169, Split(3, ((0, 1, 2),))),
        (100 + 170, Split(1, ((0, 1, 2),))),
        # Half the blocks at once: 50 + 3 * 20.
        (100 + 110, Split(1, ((0, 1), (2,)))),
    ],
)
def test_the_largest_split_that_fits(size, expected):
    assert plan_split(FOOTPRINT, 8, 3, gigabytes(size)) == expected


def test_small_blocks_go_one_by_one():
    footprint = ImageFootprint(weights=0, graph=10, blocks=(20, 20, 20))
    assert plan_split(footprint, 8, 2, gigabytes(50)) == Split(1, ((0,), (1,), (2,)))


def test_what_cannot_fit_says_how_much_it_needs():
    with pytest.raises(AttributionError, match=r"needs \d.*e-\d+ GB and max_memory is"):
        plan_split(FOOTPRINT, 8, 3, gigabytes(100 + 109))


def test_a_footprint_by_hand():
    """Linear 4 -> 6 keeps nothing for the backward pass; the square keeps its input."""
    block = torch.nn.Linear(4, 6).eval().requires_grad_(False)
    image = torch.randn(1, 4)
    found = measure(
        lambda x: block(x).square().sum(1), image, [("b", block)], list(block.parameters())
    )
    assert found.weights == 4 * (24 + 6)
    assert found.blocks == (4 * 6,)
    assert 4 * 6 <= found.graph <= 4 * 6 + 4 * 4


def test_measuring_asks_for_the_gradient_of_one_block_only(tiny, images, monkeypatch):
    asked = []
    grad = torch.autograd.grad

    def note(outputs, inputs, **options):
        asked.append(len(inputs))
        return grad(outputs, inputs, **options)

    monkeypatch.setattr(torch.autograd, "grad", note)
    found = measure(make_objective("l2", tiny), images[:1], named_blocks(tiny), tiny.parameters())
    assert asked == [1]
    assert len(found.blocks) == 3


def test_measuring_changes_nothing(tiny, images):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    first = measure(objective, images[:1], blocks, tiny.parameters())
    assert measure(objective, images[:1], blocks, tiny.parameters()) == first
    assert not any(module._forward_hooks for _, module in blocks)


@pytest.mark.parametrize(
    ("rule", "n_steps", "copies"),
    [
        # left: outputs k-1, k and gradients k-1, k; the sum and the change being added.
        ("left", 5, 6),
        # trapezoid: outputs k-2, k-1, k and gradients k-1, k.
        ("trapezoid", 5, 7),
        # refined: outputs k-4, k-2, k-1, k, gradients k-2, k-1, k; two sums and the change.
        ("refined", 9, 10),
    ],
)
def test_copies_by_hand(rule, n_steps, copies):
    assert copies_held(quadrature(rule, n_steps)) == copies


def test_a_gradient_holds_output_gradient_and_product():
    assert copies_held(None) == 3


def test_images_come_back_in_order():
    seen = []

    def score(images, *, groups):
        seen.append((len(images), groups))
        return some(len(images), float(images[0]))

    found = run_split(score, torch.arange(5.0), Split(2, ((0,), (1,))))
    assert seen == [(2, ((0,), (1,))), (2, ((0,), (1,))), (1, ((0,), (1,)))]
    assert found.objective.tolist() == [0, 0, 2, 2, 4]


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("x: can't allocate memory: y")],
)
def test_out_of_memory_halves_the_batch_and_goes_on(error):
    seen = []

    def score(images, *, groups):
        seen.append(len(images))
        if len(images) > 3:
            raise error
        return some(len(images), float(images[0]))

    found = run_split(score, torch.arange(13.0), Split(13, ((0, 1),)))
    assert seen == [13, 6, 3, 3, 3, 3, 1]
    assert found.objective.tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12]


def test_out_of_memory_with_one_image_is_an_error():
    def score(images, *, groups):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(AttributionError, match=r"out of memory on cpu with one image of shape"):
        run_split(score, torch.zeros(4, 3, 8, 8), Split(4, ((0,),)))


def test_other_errors_are_not_hidden():
    def score(images, *, groups):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run_split(score, torch.zeros(4, 3), Split(4, ((0,),)))

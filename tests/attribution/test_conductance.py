import copy

import pytest
import torch
from captum.attr import LayerConductance as CaptumConductance
from captum.attr import LayerGradientXActivation
from torch import nn

from tests.attribution.conftest import named_blocks
from vlmsel.attribution.block_scores import profile_distance
from vlmsel.attribution.conductance import (
    TOLERANCE,
    gradient,
    gradient_x_activation,
    layer_conductance,
)
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.path import spacing
from vlmsel.errors import AttributionError

RULES = ("captum", "left", "right", "midpoint", "trapezoid", "refined")
PATHS = ("uniform", "graded", "adaptive")


def slow_reference(net, images, baseline, alphas, block):
    """The trapezoid for one block in plain autograd, image by image, block by block."""
    units = []
    for x, x0 in zip(images, baseline, strict=True):
        h, g = [], []
        for alpha in alphas:
            value = (x0 + alpha * (x - x0))[None]
            for inner in net.blocks[: block + 1]:
                value = inner(value)
            value = value.detach().requires_grad_()
            rest = value
            for inner in net.blocks[block + 1 :]:
                rest = inner(rest)
            net.head(rest.mean(dim=(2, 3))).norm().backward()
            h.append(value.detach())
            g.append(value.grad)
        steps = range(len(alphas) - 1)
        units.append(sum((g[k] + g[k + 1]) / 2 * (h[k + 1] - h[k]) for k in steps))
    return torch.cat(units)


@pytest.mark.parametrize("path", ["uniform", "graded"])
def test_equals_plain_autograd_block_by_block(tiny, images, path):
    baseline = images.flip(0) * 0.3
    found = layer_conductance(
        make_objective("l2", tiny),
        images,
        named_blocks(tiny),
        baseline=baseline,
        n_steps=5,
        rule="trapezoid",
        path=path,
    )
    alphas = [spacing(path)(k / 4) for k in range(5)]
    for block in range(3):
        units = slow_reference(tiny, images, baseline, alphas, block)
        expected = units.abs().flatten(1).mean(1)
        torch.testing.assert_close(found.scores[:, block], expected, rtol=1e-12, atol=0)


def test_equals_captum(tiny, images):
    objective = make_objective("l2", tiny)
    found = layer_conductance(
        objective, images, named_blocks(tiny), n_steps=4, rule="captum", path="uniform"
    )
    for block, (_, module) in enumerate(named_blocks(tiny)):
        expected = CaptumConductance(objective, module).attribute(images, n_steps=4)
        expected = expected.abs().flatten(1).mean(1)
        torch.testing.assert_close(found.scores[:, block], expected, rtol=1e-9, atol=0)


def test_gradient_x_activation_equals_captum(tiny, images):
    objective = make_objective("l2", tiny)
    found = gradient_x_activation(objective, images, named_blocks(tiny))
    for block, (_, module) in enumerate(named_blocks(tiny)):
        expected = LayerGradientXActivation(objective, module).attribute(images)
        expected = expected.abs().flatten(1).mean(1)
        torch.testing.assert_close(found.scores[:, block], expected, rtol=1e-9, atol=0)


def test_gradient_equals_plain_autograd(tiny, images):
    found = gradient(make_objective("l2", tiny), images, named_blocks(tiny))
    for block in range(3):
        h = images
        for inner in tiny.blocks[: block + 1]:
            h = inner(h)
        h = h.detach().requires_grad_()
        rest = h
        for inner in tiny.blocks[block + 1 :]:
            rest = inner(rest)
        tiny.head(rest.mean(dim=(2, 3))).norm(dim=1).sum().backward()
        expected = h.grad.abs().flatten(1).mean(1)
        torch.testing.assert_close(found.scores[:, block], expected, rtol=1e-12, atol=0)


def linear_network():
    """h1 = A x, h2 = B h1, F = w h2."""
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    first.weight.data = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    second.weight.data = torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    net = nn.Sequential(first, second).eval().requires_grad_(False)
    return net, lambda x: net(x) @ torch.tensor([1.0, -2.0])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "captum"])
def test_linear_network_by_hand(rule, path):
    net, objective = linear_network()
    blocks = [("first", net[0]), ("second", net[1])]
    x, x0 = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 3.0]])
    found = layer_conductance(objective, x, blocks, baseline=x0, n_steps=3, rule=rule, path=path)
    # x - x0 = (1, -2): A(x - x0) = (-3, 2), dF/dh1 = B^T w = (1, -1): a = (-3, -2).
    # BA(x - x0) = (-7, -1), dF/dh2 = w = (1, -2): a = (-7, 2).
    torch.testing.assert_close(found.scores, torch.tensor([[2.5, 4.5]]).double())
    # F(x) = w BA x = w B (4, -1) = w (11, 3) = 5, F(x0) = w B (7, -3) = w (18, 4) = 10.
    assert found.objective.tolist() == [5.0]
    assert found.objective_at_baseline.tolist() == [10.0]
    assert found.completeness_error.item() == pytest.approx(0, abs=1e-6)


def test_a_square_by_hand():
    """F = |c x|^2 / 2: the conductance of unit i is c^2 (x_i^2 - x0_i^2) / 2, by the trapezoid."""
    block = nn.Linear(2, 2, bias=False).eval().requires_grad_(False)
    block.weight.data = 3 * torch.eye(2)
    x, x0 = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 0.0]])
    found = layer_conductance(
        lambda v: block(v).square().sum(1) / 2,
        x,
        [("b", block)],
        baseline=x0,
        n_steps=2,
        rule="trapezoid",
        path="uniform",
    )
    assert found.scores.item() == pytest.approx((abs(9 * (1 - 4) / 2) + abs(9 * 4 / 2)) / 2)


@pytest.mark.parametrize("path", PATHS)
def test_signed_sum_is_the_change_of_the_objective(tiny, images, path):
    objective = make_objective("l2", tiny)
    coarse, fine = (
        layer_conductance(
            objective, images, named_blocks(tiny), n_steps=n, rule="trapezoid", path=path
        )
        for n in (9, 129)
    )
    assert fine.cuts == (True, True, True)
    assert fine.completeness_error.max() < 1e-3
    assert fine.completeness_error.max() < coarse.completeness_error.max()


def test_all_rules_have_one_limit(tiny, images):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    best = layer_conductance(objective, images[:1], blocks, n_steps=257, rule="trapezoid")
    for rule in RULES:
        found = layer_conductance(objective, images[:1], blocks, n_steps=129, rule=rule)
        assert profile_distance(found.scores, best.scores).max() < 0.02, rule


def test_the_profile_follows_the_order_of_the_images(tiny, images):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    found = layer_conductance(objective, images, blocks)
    turned = layer_conductance(objective, images[[2, 0, 3, 1]], blocks)
    torch.testing.assert_close(turned.scores, found.scores[[2, 0, 3, 1]], rtol=1e-10, atol=0)


@pytest.mark.parametrize("attribution", [layer_conductance, gradient, gradient_x_activation])
def test_scores_scale_with_the_objective(tiny, images, attribution):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    found = attribution(objective, images, blocks)
    scaled = attribution(lambda x: 2.5 * objective(x), images, blocks)
    torch.testing.assert_close(scaled.scores, 2.5 * found.scores, rtol=1e-10, atol=0)


@pytest.mark.parametrize("path", PATHS)
def test_an_image_equal_to_its_baseline_scores_zero(tiny, images, path):
    found = layer_conductance(
        make_objective("l2", tiny), images, named_blocks(tiny), baseline=images, path=path
    )
    assert found.scores.abs().max() == 0
    assert found.completeness_error.max() == 0


class LastThree(nn.Module):
    def forward(self, value):
        return value[:, 3:]


def test_units_that_do_not_reach_the_objective_score_zero(tiny, images):
    """Half of the last block's channels go nowhere: without them the mean is twice as large."""
    tiny.head.weight.data[:, :3] = 0
    options = {"n_steps": 5, "rule": "trapezoid", "path": "uniform"}
    wide = layer_conductance(make_objective("l2", tiny), images, named_blocks(tiny), **options)
    narrow = copy.deepcopy(tiny)
    narrow.blocks[2] = nn.Sequential(narrow.blocks[2], LastThree()).eval()
    narrow.head.weight.data = tiny.head.weight[:, 3:]
    found = layer_conductance(make_objective("l2", narrow), images, named_blocks(narrow), **options)
    torch.testing.assert_close(found.scores[:, 2], 2 * wide.scores[:, 2], rtol=1e-12, atol=0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rule", ["refined", "midpoint"])
def test_values_do_not_depend_on_batch_or_groups(tiny, images, rule, path):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    whole = layer_conductance(objective, images, blocks, rule=rule, path=path)
    for i in range(len(images)):
        single = layer_conductance(objective, images[i : i + 1], blocks, rule=rule, path=path)
        torch.testing.assert_close(single.scores[0], whole.scores[i], rtol=1e-6, atol=0)
    groups = layer_conductance(
        objective, images, blocks, rule=rule, path=path, groups=[[0], [1, 2]]
    )
    torch.testing.assert_close(groups.scores, whole.scores, rtol=1e-12, atol=0)
    assert groups.names == whole.names
    torch.testing.assert_close(groups.completeness_error, whole.completeness_error)


def test_gradients_in_groups(tiny, images):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    whole = gradient(objective, images, blocks)
    groups = gradient(objective, images, blocks, groups=[[0, 1], [2]])
    torch.testing.assert_close(groups.scores, whole.scores, rtol=1e-12, atol=0)
    assert whole.completeness_error.isnan().all()


def test_refining_spends_steps_only_where_needed():
    """A gentle image stops at the first number of steps, one across kinks goes on."""
    block = nn.Linear(16, 16).eval().requires_grad_(False)
    torch.manual_seed(0)
    block.weight.data, block.bias.data = torch.randn(16, 16), torch.randn(16)
    second = nn.Sequential(nn.ReLU(), nn.Linear(16, 16), nn.ReLU()).eval().requires_grad_(False)

    def objective(x):
        return second(block(x)).norm(dim=1)

    x = torch.cat([torch.full((1, 16), 1e-3), 20 * torch.randn(1, 16)])
    blocks = [("first", block), ("second", second)]
    found = layer_conductance(objective, x, blocks, n_steps=5)
    assert found.n_gradients[0] == 5
    assert found.n_gradients[1] > 5
    best = layer_conductance(objective, x, blocks, n_steps=1001, rule="trapezoid")
    assert (found.step_error <= TOLERANCE).all()
    assert profile_distance(found.scores, best.scores).max() < 2 * TOLERANCE


def test_a_single_precision_network_sums_in_single_precision(tiny, images):
    half = tiny.bfloat16()
    objective = make_objective("l2", half)
    found = layer_conductance(objective, images.bfloat16(), named_blocks(half), n_steps=5)
    assert found.scores.dtype == torch.float64
    assert torch.isfinite(found.scores).all()


@pytest.mark.parametrize("options", [{"rule": "simpson"}, {"path": "curved"}])
def test_unknown_rule_or_path_says_what_is_known(tiny, images, options):
    with pytest.raises(AttributionError, match="known are"):
        layer_conductance(make_objective("l2", tiny), images, named_blocks(tiny), **options)

import weakref

import numpy as np
import pytest
import torch

from tests.attribution.conftest import named_blocks
from vlmsel.attribution import integral
from vlmsel.attribution.block_scores import profile_distance
from vlmsel.attribution.integral import integrate
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.path import Quadrature, quadrature
from vlmsel.attribution.recorder import BlockRecorder


def test_any_matrix_of_weights_is_summed_as_it_says(tiny, images):
    """A full matrix needs all points at once; the sum is written out here."""
    weights = np.random.default_rng(0).normal(size=(4, 4))
    rule = Quadrature((0.0, 0.3, 0.6, 1.0), weights)
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    found = integrate(objective, lambda k: rule.points[k] * images, blocks, rule)
    recorder = BlockRecorder(objective, blocks)
    points = [recorder.gradients(s * images) for s in rule.points]
    for block in range(3):
        units = sum(
            weights[k, j] * points[k].gradients[block] * points[j].activations[block]
            for k in range(4)
            for j in range(4)
        )
        expected = units.abs().flatten(1).mean(1)
        torch.testing.assert_close(found.scores[:, block], expected, rtol=1e-10, atol=0)


def test_the_estimate_is_half_the_distance_to_every_second_point(tiny, images):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)

    def along(name, n_steps):
        rule = quadrature(name, n_steps)
        return integrate(objective, lambda k: rule.points[k] * images, blocks, rule)

    fine, coarse = along("refined", 9), along("trapezoid", 5)
    expected = profile_distance(fine.scores, coarse.scores) / 2
    torch.testing.assert_close(fine.step_error, expected)
    assert coarse.step_error.isnan().all()


def test_the_objective_is_taken_at_both_ends(tiny, images):
    objective, blocks = make_objective("l2", tiny), named_blocks(tiny)
    rule = quadrature("captum", 3)
    found = integrate(objective, lambda k: rule.points[k] * images, blocks, rule)
    torch.testing.assert_close(found.objective, objective(images))
    torch.testing.assert_close(found.objective_at_baseline, objective(0 * images))


def test_only_the_blocks_of_one_group_are_held(tiny, images, monkeypatch):
    alive, most = weakref.WeakSet(), []

    class Sum(integral._Sum):
        def __init__(self, weights):
            super().__init__(weights)
            alive.add(self)

    def objective(x):
        most.append(sum(1 for rule_sum in alive if rule_sum._units))
        return make_objective("l2", tiny)(x)

    rule, blocks = quadrature("refined", 5), named_blocks(tiny)
    whole = integrate(objective, lambda k: rule.points[k] * images, blocks, rule)
    monkeypatch.setattr(integral, "_Sum", Sum)
    most.clear()
    groups = [[0], [1], [2]]
    found = integrate(objective, lambda k: rule.points[k] * images, blocks, rule, groups=groups)
    torch.testing.assert_close(found.scores, whole.scores)
    torch.testing.assert_close(found.step_error, whole.step_error)
    assert max(most) == 2, "the fine and the coarse sum of one group"


@pytest.mark.parametrize("where", [0, 1, 2])
def test_the_first_block_that_is_not_finite_is_named(tiny, images, where):
    bright = torch.tensor([1.0, 100.0, 1.0, 1.0]).double()[:, None, None, None]
    too_bright = torch.zeros(1)

    def look(_module, inputs):
        too_bright.data = inputs[0].abs().amax(dim=(1, 2, 3)) > 50

    def overflow(_module, _inputs, out):
        return torch.where(too_bright.bool()[:, None, None, None], torch.inf, out)

    tiny.register_forward_pre_hook(look)
    tiny.blocks[where].register_forward_hook(overflow)
    images = images.clamp(-3, 3) * bright
    rule = quadrature("trapezoid", 3)
    found = integrate(
        make_objective("l2", tiny), lambda k: rule.points[k] * images, named_blocks(tiny), rule
    )
    assert found.spoilt == {1: f"blocks.{where}"}
    assert torch.isfinite(found.scores[[0, 2, 3]]).all()

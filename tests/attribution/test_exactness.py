import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.attribution.conftest import Tiny, frozen
from vlmsel.attribution.exactness import (
    FULL_GRID,
    Case,
    converged,
    cost,
    step_settings,
    study,
)
from vlmsel.attribution.model_attribution import attribute
from vlmsel.errors import AttributionError
from vlmsel.settings import AttributionSettings


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(0)
    net = frozen(Tiny(width=4))
    return Case("tiny", "conv", net, net, torch.randn(2, 3, 4, 4))


@pytest.fixture(scope="module")
def records(case):
    return list(study(case, replace(FULL_GRID, reference_steps=65)))


def test_every_setting_is_measured_once(records):
    steps = [r.setting for r in records if r.kind == "steps"]
    assert len(steps) == len(set(steps)) == len(step_settings())
    assert len(records) == FULL_GRID.n_records
    assert {r.kind for r in records} == {"reference", "steps", "target", "baseline", "precision"}


def test_the_default_is_among_the_settings():
    assert AttributionSettings() in step_settings()


def test_the_reference_has_converged(records):
    (reference,) = (r for r in records if r.kind == "reference")
    assert reference.worst < 1e-3


def test_more_steps_are_nearer(records):
    error = {r.setting: r.mean for r in records}
    for path in ("uniform", "graded", "adaptive"):
        assert error[f"trapezoid/{path}/33"] < error[f"trapezoid/{path}/3"]


def test_means_lie_below_the_worst_and_tasks_below_the_mean(records):
    for r in records:
        assert 0 <= r.mean <= r.worst <= 2
        # A mean profile is nearer than profiles are: the triangle inequality, up to each
        # image's weight in the mean.
        assert r.task <= 2 * r.worst


def test_the_cost_counts_passes(case):
    settings = AttributionSettings(n_steps=4, rule="midpoint", path="uniform")
    found = attribute(case, case.images, settings)
    assert cost(settings, found) == 4 + 5 / 2
    settings = converged(n_steps=7)
    found = attribute(case, case.images, settings)
    assert cost(settings, found) == 7 + 8 / 2


def test_the_cost_of_refining_is_what_was_spent(case):
    settings = AttributionSettings(n_steps=3, path="uniform")
    found = attribute(case, case.images, settings)
    spent = replace(found, n_gradients=torch.tensor([3, 3 + 5]))
    assert cost(settings, spent) == 5.5


def test_a_constant_case_cannot_be_studied(case):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = case.visual.blocks

        def forward(self, images):
            for block in self.blocks:
                images = block(images)
            return nn.functional.normalize(images.mean(dim=(2, 3)), dim=1)

    constant = Constant().eval()
    with pytest.raises(AttributionError, match="does not depend on the image"):
        next(study(replace(case, visual=constant, encode_image=constant)))


def test_there_is_no_cost_where_none_was_counted(records):
    assert all(math.isnan(r.cost) for r in records if r.kind == "target")

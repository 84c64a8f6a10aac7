from dataclasses import replace

import pytest
import torch

from tests.attribution.test_scores import some
from vlmsel.attribution.numerics import check_depends_on_image, find_failures, inexact_images
from vlmsel.errors import AttributionError


def scores(values, **changes):
    table = torch.tensor(values, dtype=torch.float64)
    ones = torch.ones(len(table), dtype=torch.float64)
    names = tuple(f"block{i}" for i in range(table.shape[1]))
    return replace(some(len(table), 1), scores=table, objective=ones, names=names, **changes)


def test_good_images_do_not_fail():
    assert find_failures(scores([[1.0, 2.0], [1e-30, 3.0]]), precision="fp32") == {}


def test_an_activation_that_is_not_finite_is_named():
    found = find_failures(
        scores([[1.0, 2.0], [torch.nan, torch.nan]], spoilt={1: "block0"}), precision="fp32"
    )
    assert found == {1: "block block0 gives values that are not finite (NaN or infinity)"}


def test_a_gradient_that_is_not_finite_is_traced_to_the_last_block_it_spoils():
    found = find_failures(scores([[torch.nan, torch.inf, 2.0]]), precision="fp32")
    assert found == {0: "the gradient at block block1 is not finite (NaN or infinity)"}


def test_an_objective_that_is_not_finite():
    bad = replace(scores([[1.0, 2.0]]), objective=torch.tensor([torch.inf]))
    assert find_failures(bad, precision="fp32") == {0: "the objective is not finite at the image"}


@pytest.mark.parametrize(("precision", "advice"), [("bf16", "fp32"), ("fp32", "no gradient")])
def test_a_zero_block_is_named(precision, advice):
    found = find_failures(scores([[0.0, 2.0], [1.0, 0.0]]), precision=precision)
    assert "block0 scores zero" in found[0]
    assert "block1 scores zero" in found[1]
    assert advice in found[0]


def test_an_image_equal_to_its_baseline_is_not_measured():
    found = find_failures(scores([[0.0, 0.0]]), precision="fp32")
    assert "equals its baseline" in found[0]


def test_a_constant_objective_is_refused():
    def normalised(images):
        return torch.nn.functional.normalize(images.flatten(1), dim=1).norm(dim=1)

    images = torch.randn(3, 3, 4, 4)
    with pytest.raises(AttributionError, match="does not depend on the image"):
        check_depends_on_image(normalised, images[:1], normalised(images).double())


def test_equal_images_are_not_taken_for_a_constant_objective():
    def mean(images):
        return images.flatten(1).mean(1)

    image = torch.full((1, 3, 4, 4), 0.7)
    check_depends_on_image(mean, image, mean(image).double().repeat(5))


def test_values_that_are_not_finite_say_nothing_about_the_objective():
    def mean(images):
        return images.flatten(1).mean(1)

    image = torch.randn(1, 3, 4, 4)
    check_depends_on_image(mean, image, torch.full((3,), torch.nan))


def test_inexact_images_are_listed():
    error = torch.tensor([0.01, 0.5, torch.nan, 0.3])
    assert inexact_images(replace(some(4, 1), completeness_error=error)) == [1, 3]
    assert inexact_images(replace(some(4, 1), completeness_error=error), limit=0.4) == [1]

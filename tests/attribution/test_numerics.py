from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.attribution.test_block_scores import some
from vlmsel.attribution.numerics import (
    check_depends_on_image,
    find_failures,
    find_inexact_images,
    name_equal_to_baseline,
)
from vlmsel.attribution.objective import make_objective
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


def test_all_zero_says_so():
    assert "all blocks score zero" in find_failures(scores([[0.0, 0.0]]), precision="fp32")[0]


def test_an_image_equal_to_its_baseline_up_to_rounding_is_named():
    images = torch.rand(4, 3, 4, 4)
    images[2] = 0
    baseline = images + 1e-6
    baseline[1] = 0
    baseline[3, 0, 0, 0] += 0.01  # one pixel by less than a step of 8 bits
    baseline[2] = 0
    found = name_equal_to_baseline(images, baseline)
    assert sorted(found) == [0, 2]
    assert "equals its baseline" in found[0]


def make(embed):
    """Objectives over an embedding, as `check_depends_on_image` wants them."""
    return partial(make_objective, encode_image=embed)


def flat(images):
    return images.flatten(1)


def check(embed, images, *, name="l2", precision="fp32", values=None):
    values = make(embed)(name)(images).double() if values is None else values
    check_depends_on_image(name, make(embed), images, values, precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_constant_objective_is_refused_in_any_precision(precision):
    def normalised(images):
        return torch.nn.functional.normalize(images.flatten(1), dim=1)

    images = torch.randn(3, 3, 4, 4)
    values = torch.ones(3) + (0.004 * torch.randn(3) if precision == "bf16" else 0)
    with pytest.raises(AttributionError, match="does not depend on the image"):
        check(normalised, images, precision=precision, values=values)


def test_equal_or_blank_images_are_not_taken_for_a_constant_objective():
    image = torch.full((1, 3, 4, 4), 0.7)
    check(flat, image.repeat(5, 1, 1, 1))
    # Blind to brightness and contrast: only noise tells.
    check(lambda images: images.diff(dim=3).flatten(1) + 0.3, image)


def test_a_weak_dependence_is_none_the_less_one():
    def weak(images):
        return 1 + 1e-5 * images.flatten(1).mean(1, keepdim=True)

    check(weak, torch.randn(2, 3, 4, 4))
    # Its entropy is log D for float32, and yet it depends.
    check(lambda images: 1e-4 * images.flatten(1), torch.randn(2, 3, 4, 4), name="entropy")


def test_values_that_are_not_finite_say_nothing_about_the_objective():
    images = torch.randn(2, 3, 4, 4)
    check(flat, images, values=torch.full((3,), torch.nan))
    images[0] = torch.nan
    check(flat, images)
    check(flat, images[:1])


def test_inexact_images_are_listed():
    error = torch.tensor([0.01, 0.5, torch.nan, 0.3])
    assert find_inexact_images(replace(some(4, 1), completeness_error=error)) == [1, 3]
    assert find_inexact_images(replace(some(4, 1), completeness_error=error), limit=0.4) == [1]

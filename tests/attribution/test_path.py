import numpy as np
import pytest
import torch
from captum.attr._utils.approximation_methods import approximation_parameters

from vlmsel.attribution.path import (
    BASELINES,
    RULES,
    SPACINGS,
    baseline_images,
    quadrature,
    spacing,
)
from vlmsel.errors import AttributionError


def integral(rule, g, h):
    """sum_kj B_kj g(s_k) h(s_j)."""
    s = np.array(rule.points)
    return float(g(s) @ rule.weights @ h(s))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n_steps", [2, 5, 8])
def test_points_rise_between_both_ends_and_rows_sum_to_zero(name, n_steps):
    rule = quadrature(name, n_steps)
    assert rule.points[0] == 0
    assert rule.points[-1] == 1
    assert (np.diff(rule.points) > 0).all()
    np.testing.assert_allclose(rule.weights.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in RULES if name != "refined"])
def test_n_steps_counts_gradients(name):
    assert quadrature(name, 6).n_gradients == 6


@pytest.mark.parametrize(("asked", "taken"), [(1, 3), (3, 3), (4, 5), (9, 9)])
def test_refined_takes_an_odd_number_of_gradients(asked, taken):
    rule = quadrature("refined", asked)
    assert rule.n_gradients == taken
    assert rule.coarse is not None
    assert int(rule.coarse.any(axis=1).sum()) == (taken + 1) // 2


@pytest.mark.parametrize("name", [name for name in RULES if name != "captum"])
def test_a_constant_gradient_gives_the_change_of_h(name):
    rule = quadrature(name, 5)
    assert integral(rule, np.ones_like, np.cos) == pytest.approx(np.cos(1) - 1)


def test_left_and_right_by_hand():
    # g = s, h = s^2 on the points 0, 1/2, 1: steps of h are 1/4 and 3/4.
    assert integral(quadrature("left", 2), lambda s: s, np.square) == pytest.approx(3 / 8)
    assert integral(quadrature("right", 2), lambda s: s, np.square) == pytest.approx(7 / 8)
    assert integral(quadrature("trapezoid", 3), lambda s: s, np.square) == pytest.approx(5 / 8)
    # Midpoints 1/4 and 3/4 with the same steps of h.
    assert integral(quadrature("midpoint", 2), lambda s: s, np.square) == pytest.approx(5 / 8)


@pytest.mark.parametrize(("name", "order"), [("left", 1), ("trapezoid", 2), ("midpoint", 2)])
def test_order_of_convergence(name, order):
    exact = (np.e**3 - 1) / 3  # the integral of e^2s d(e^s)
    errors = [
        abs(integral(quadrature(name, n), lambda s: np.exp(2 * s), np.exp) - exact)
        for n in (33, 65)
    ]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.1)


def test_the_coarse_rule_is_the_trapezoid_on_every_second_point():
    fine, half = quadrature("refined", 9), quadrature("trapezoid", 5)
    assert fine.coarse is not None
    np.testing.assert_allclose(fine.coarse[::2, ::2], half.weights)
    assert fine.points[::2] == half.points


def test_captum_uses_captums_nodes():
    _, alphas = approximation_parameters("gausslegendre")
    assert quadrature("captum", 7).points[1:-1] == pytest.approx(alphas(8))


@pytest.mark.parametrize("name", SPACINGS)
def test_spacings_rise_from_zero_to_one(name):
    alpha = [spacing(name)(s) for s in np.linspace(0, 1, 11)]
    assert alpha[0] == 0
    assert alpha[-1] == 1
    assert (np.diff(alpha) > 0).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_depends_on_its_own_image_alone(name):
    images = torch.randn(3, 3, 12, 16, dtype=torch.float64)
    together = baseline_images(name, images)
    assert together.shape == images.shape
    for i in range(3):
        alone = baseline_images(name, images[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_mean_image_is_the_mean_colour():
    images = torch.arange(24.0).reshape(1, 2, 3, 4)
    found = baseline_images("mean-image", images)
    assert (found[0, 0] == 5.5).all()
    assert (found[0, 1] == 17.5).all()


def test_blur_keeps_constants_and_spreads_a_point_evenly():
    flat = torch.full((1, 3, 20, 30), 0.7)
    torch.testing.assert_close(baseline_images("blur", flat), flat)
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    blurred = baseline_images("blur", point)[0, 0]
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(blurred, blurred.T)
    torch.testing.assert_close(blurred, blurred.flip(0))
    # Gaussian of sigma 4.1 pixels: at distance d the value falls by exp(-d^2 / (2 sigma^2)).
    ratio = float(blurred[20, 24] / blurred[20, 20])
    assert ratio == pytest.approx(np.exp(-0.5 * (4 / 4.1) ** 2), rel=1e-4)


def test_too_few_steps_are_refused():
    with pytest.raises(AttributionError, match="needs n_steps >= 2"):
        quadrature("trapezoid", 1)


@pytest.mark.parametrize("call", [lambda: spacing("x"), lambda: quadrature("x", 3)])
def test_unknown_names_say_what_is_known(call):
    with pytest.raises(AttributionError, match="known are"):
        call()


def test_an_unknown_baseline_says_what_is_known():
    with pytest.raises(AttributionError, match="known are zeros"):
        baseline_images("white", torch.zeros(1, 3, 4, 4))

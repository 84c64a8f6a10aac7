import pytest
import torch
from torch import nn

from tests.attribution.conftest import named_blocks
from vlmsel.attribution.adaptive import SCAN_ROUNDS, Movement, _sketch, scan
from vlmsel.attribution.block_scores import profile_distance
from vlmsel.attribution.conductance import layer_conductance
from vlmsel.attribution.objective import make_objective


class Saturating(nn.Module):
    """Nearly all of its change happens before the first hundredth of the path."""

    def __init__(self, sharpness):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, x):
        return torch.tanh(self.sharpness * x)


def look(block, images):
    return scan(
        lambda x: block(x).square().sum(1),
        lambda alpha: alpha[:, None].to(images) * images,
        len(images),
        [("block", block.eval())],
    )


def test_points_are_put_where_the_block_moves():
    movement = look(Saturating(300.0), torch.ones(1, 8))
    # tanh(300 alpha) = s at the share s of the movement.
    for share in (0.25, 0.5, 0.75):
        exact = float(torch.atanh(torch.tensor(share))) / 300
        assert float(movement.alpha(share)) == pytest.approx(exact, rel=0.5)


def test_an_even_path_stays_about_even():
    movement = look(nn.Identity(), torch.ones(1, 8))
    for share in (0.25, 0.5, 0.75):
        assert float(movement.alpha(share)) == pytest.approx(share, abs=0.1)


def test_both_ends_are_exact():
    movement = look(Saturating(30.0), torch.randn(3, 8))
    assert movement.alpha(0.0).tolist() == [0.0] * 3
    assert movement.alpha(1.0).tolist() == [1.0] * 3


def test_each_image_has_its_own_points():
    block = Saturating(50.0)
    images = torch.tensor([[1.0], [0.1]])
    together = look(block, images)
    for i in range(2):
        alone = look(block, images[i : i + 1])
        torch.testing.assert_close(together.alpha(0.5)[i], alone.alpha(0.5)[0])
    assert together.alpha(0.5)[1] > 3 * together.alpha(0.5)[0]


def test_a_path_without_movement_is_even_in_u():
    movement = look(Saturating(0.0), torch.ones(2, 4))
    assert movement.at(0.5).tolist() == pytest.approx([0.5, 0.5])


def test_a_block_that_overflows_does_not_decide():
    class Overflow(nn.Module):
        def forward(self, x):
            return x / 0

    net = nn.Sequential(Saturating(300.0), Overflow()).eval()
    images = torch.ones(1, 4)
    blocks = [("fine", net[0]), ("overflow", net[1])]
    found = scan(lambda x: net(x).sum(1), lambda a: a[:, None].to(images) * images, 1, blocks)
    assert float(found.alpha(0.5)) < 0.01


def test_the_scan_costs_what_it_says(tiny, images):
    calls = []
    tiny.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    scan(
        make_objective("l2", tiny),
        lambda alpha: alpha.reshape(-1, 1, 1, 1) * images,
        len(images),
        named_blocks(tiny),
    )
    assert calls == [False] * (2 + sum(SCAN_ROUNDS))


def test_a_share_lies_where_the_sum_says():
    positions = torch.tensor([[0.0], [0.2], [1.0]], dtype=torch.float64)
    movement = Movement(positions, torch.tensor([[3.0], [1.0]], dtype=torch.float64))
    assert float(movement.at(0.75)) == pytest.approx(0.2)
    assert float(movement.at(0.375)) == pytest.approx(0.1)
    assert float(movement.alpha(0.75)) == pytest.approx(0.2**4)


def test_a_network_that_saturates_early_needs_it():
    """Evenly spaced points miss the start of the path; the adaptive ones do not."""
    torch.manual_seed(0)
    first, second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6)
    net = nn.Sequential(first, Saturating(400.0), second, Saturating(2.0))
    net = net.eval().requires_grad_(False).double()
    blocks = [("first", first), ("tanh", net[1]), ("last", net[3])]
    images = torch.randn(3, 6, dtype=torch.float64)

    def objective(x):
        return net(x).norm(dim=1)

    exact = layer_conductance(objective, images, blocks, n_steps=1001, rule="trapezoid")
    error = {
        path: profile_distance(
            layer_conductance(
                objective, images, blocks, n_steps=17, rule="trapezoid", path=path
            ).scores,
            exact.scores,
        ).max()
        for path in ("uniform", "graded", "adaptive")
    }
    assert error["adaptive"] < 0.8 * error["graded"]
    assert error["adaptive"] < 0.1 * error["uniform"]
    refined = layer_conductance(objective, images, blocks)
    assert profile_distance(refined.scores, exact.scores).max() < 0.01


def test_a_look_keeps_no_block_output_alive():
    output = torch.randn(2, 3, 100, 100)
    sketch = _sketch(output)
    assert sketch.untyped_storage().nbytes() == 4 * sketch.numel() < output.nbytes / 10

import weakref

import pytest
import torch
from torch import nn

from tests.attribution.conftest import named_blocks
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.recorder import BlockRecorder
from vlmsel.errors import AttributionError


class InPlace(nn.Module):
    """The ReLU writes into the output of the first block."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(3, 4), nn.Sequential(nn.ReLU(inplace=True))])

    def forward(self, x):
        return self.blocks[1](self.blocks[0](x))


class Branches(nn.Module):
    """Two blocks beside each other, then one behind both; a skip goes round the first."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(3, 3)
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x):
        x = self.stem(x)
        return self.blocks[2](self.blocks[0](x) + self.blocks[1](x))


def recorder(net, blocks=None):
    net.eval().requires_grad_(False)
    return BlockRecorder(lambda x: net(x).square().sum(1), blocks or named_blocks(net))


def test_a_network_that_writes_in_place_gives_the_blocks_own_output():
    net = InPlace()
    x = torch.randn(5, 3)
    for found in (recorder(net).values(x), recorder(net).gradients(x)):
        torch.testing.assert_close(found.activations[0], net.blocks[0](x))
        assert (found.activations[0] < 0).any()


def test_gradients_past_an_in_place_write():
    net = InPlace()
    x = torch.randn(5, 3)
    found = recorder(net).gradients(x)
    torch.testing.assert_close(found.gradients[0], 2 * net.blocks[0](x).relu())


def test_blocks_beside_each_other_get_their_gradients_and_do_not_cut():
    net = Branches()
    x = torch.randn(5, 3)
    found = recorder(net).gradients(x, find_cuts=True)
    assert found.cuts == (False, False, True)
    out = net(x)
    expected = 2 * out @ net.blocks[2].weight
    for block in (0, 1):
        torch.testing.assert_close(found.gradients[block], expected)
    torch.testing.assert_close(found.gradients[2], 2 * out)
    plain = recorder(net).gradients(x)
    torch.testing.assert_close(plain.gradients, found.gradients)


def test_the_part_before_the_first_block_is_not_recorded(tiny, images):
    seen = []
    tiny.blocks[0][0].register_forward_hook(lambda _m, _i, out: seen.append(out.requires_grad))
    once = recorder(tiny)
    first, second = once.gradients(images), once.gradients(images)
    assert seen == [True, False]
    torch.testing.assert_close(first.gradients, second.gradients)


def test_hooks_are_gone_afterwards(tiny, images):
    recorder(tiny).gradients(images)
    with pytest.raises(ZeroDivisionError):
        BlockRecorder(lambda _: 1 / 0, named_blocks(tiny)).values(images)
    assert not any(block._forward_hooks for _, block in named_blocks(tiny))


def test_a_training_network_is_refused(tiny):
    tiny.blocks[1].train()
    with pytest.raises(AttributionError, match=r"blocks.1 is in training mode: call eval"):
        BlockRecorder(lambda x: x, named_blocks(tiny))


def test_no_blocks_are_refused():
    with pytest.raises(AttributionError, match="no blocks"):
        BlockRecorder(lambda x: x, [])


def test_two_blocks_of_one_name_are_refused(tiny):
    blocks = [("a", tiny.blocks[0]), ("a", tiny.blocks[1])]
    with pytest.raises(AttributionError, match="same name"):
        BlockRecorder(lambda x: x, blocks)


def test_a_block_that_does_not_run_is_named(tiny, images):
    stray = ("stray", nn.Linear(2, 2).eval())
    with pytest.raises(AttributionError, match="stray did not run"):
        recorder(tiny, [*named_blocks(tiny), stray]).values(images)


def test_a_block_that_runs_twice_is_named():
    net = nn.Linear(3, 3)
    twice = BlockRecorder(lambda x: net(net(x)).sum(1), [("layer", net.eval())])
    with pytest.raises(AttributionError, match="layer runs twice"):
        twice.values(torch.randn(2, 3))


def test_a_block_that_gives_several_tensors_is_named():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    pair = Pair().eval()
    with pytest.raises(AttributionError, match="pair gives a tuple"):
        BlockRecorder(lambda x: pair(x)[0].sum(1), [("pair", pair)]).values(torch.randn(2, 3))


def test_a_block_without_the_images_first_is_named():
    class Turned(nn.Module):
        def forward(self, x):
            return x.T

    turned = Turned().eval()
    with pytest.raises(AttributionError, match=r"turned gives shape \(3, 2\) for 2 images"):
        BlockRecorder(lambda x: turned(x).sum(0), [("turned", turned)]).values(torch.randn(2, 3))


def test_an_objective_without_one_number_per_image_is_refused(tiny, images):
    wrong = BlockRecorder(tiny, named_blocks(tiny))
    with pytest.raises(AttributionError, match=r"shape \(4, 5\) for 4 images"):
        wrong.values(images)


def test_an_objective_beside_the_blocks_is_refused(tiny, images):
    def beside(x):
        with torch.no_grad():
            return tiny(x).sum(1)

    with pytest.raises(AttributionError, match="does not depend on the blocks"):
        BlockRecorder(beside, named_blocks(tiny)).gradients(images)


def test_glimpses_hold_no_two_outputs_at_once(tiny, images):
    blocks = named_blocks(tiny)
    seen, dead = [], []

    def see(output):
        dead.extend(ref() is None for ref in seen[:-1])
        seen.append(weakref.ref(output))
        return output.sum(dim=1)

    found = BlockRecorder(make_objective("l2", tiny), blocks).glimpses(images, see)
    expected = BlockRecorder(make_objective("l2", tiny), blocks).values(images).activations
    for glimpse, output in zip(found, expected, strict=True):
        torch.testing.assert_close(glimpse, output.sum(dim=1))
    assert dead
    assert all(dead)


def test_blocks_in_another_order_than_they_run_are_refused(tiny, images):
    first, second, *rest = named_blocks(tiny)
    recorder = BlockRecorder(make_objective("l2", tiny), [second, first, *rest])
    with pytest.raises(AttributionError, match=f"block {first[0]} runs before block {second[0]}"):
        recorder.values(images)

"""Three ways to silence every layer: equal numbers, counted calls, and the fallback."""

import pytest
import torch
from torch import nn

from tests.attribution.test_families import build
from vlmsel.errors import ModelError
from vlmsel.probes.silenced_layers import (
    NOT_RUN,
    Silenced,
    choose_way,
    growing,
    plain,
    resumed,
)
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.loaded_model import ImageEncoder

L, ROWS = 5, 3


class Counted(nn.Module):
    """A block that counts calls and the rows of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Linear(4, 4)
        self.calls: list[int] = []

    def forward(self, x):
        self.calls.append(len(x))
        return x + self.mlp(x).tanh()


@pytest.fixture
def blocks():
    torch.manual_seed(0)
    return [(f"blocks.{n}", Counted().eval().requires_grad_(False)) for n in range(L)]


@pytest.fixture
def run(blocks):
    x = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(1))

    def forward():
        y = x
        for number, (_, block) in enumerate(blocks):
            # As DeepStack: something is added between the layers.
            y = block(y) + 0.1 * number
        return y

    return forward


def rows(blocks):
    return sum(n for _, block in blocks for n in block.calls)


@pytest.mark.parametrize("part", ["block", "mlp"])
@pytest.mark.parametrize("way", [resumed, growing])
def test_the_ways_agree_with_one_hooked_pass_per_layer(way, part, run, blocks):
    expected = plain(run, blocks, part)
    found = way(run, blocks, part)
    assert torch.equal(found.base, expected.base)
    assert sorted(found.outputs) == sorted(expected.outputs) == list(range(L))
    for number, output in found.outputs.items():
        torch.testing.assert_close(output, expected.outputs[number], rtol=0, atol=1e-6)
    assert torch.equal(run(), expected.base)


@pytest.mark.parametrize(
    ("way", "part", "n_calls"),
    [
        (plain, "block", L + L * L),
        (resumed, "block", L + L * (L - 1) // 2),
        (growing, "block", L + L * (L - 1) // 2),
        (resumed, "mlp", L + L * (L - 1) // 2 + L),
        (growing, "mlp", L + L * (L - 1) // 2 + L),
    ],
)
def test_calls_of_layers_are_counted_not_timed(way, part, n_calls, run, blocks):
    way(run, blocks, part)
    assert rows(blocks) == n_calls * ROWS


def test_a_layer_off_the_path_does_not_run(run, blocks):
    idle = ("blocks.9", Counted())
    for way in (plain, resumed, growing):
        found = way(run, [*blocks, idle], "mlp")
        assert found.reasons == {L: NOT_RUN}
        assert sorted(found.outputs) == list(range(L))


def test_a_block_that_runs_twice_is_left_to_the_plain_way(blocks):
    x = torch.ones(2, 4)

    def twice():
        return blocks[0][1](blocks[0][1](x))

    for way in (resumed, growing):
        with pytest.raises(ModelError, match="runs twice"):
            way(twice, blocks[:1], "block")
    assert choose_way(twice, blocks[:1], "block", (growing, resumed)) is plain


def test_a_tower_that_knows_its_batch_falls_back_and_one_that_lies_too(run, blocks):
    x = torch.randn(2, 4)

    def knows():
        y = x
        for _, block in blocks:
            y = block(y)
        # CLIP's text tower picks a token per text so.
        return y + x

    assert choose_way(knows, blocks, "block", (growing, resumed)) is resumed
    assert choose_way(run, blocks, "block", (growing, resumed)) is growing

    def wrong(run, blocks, part):
        found = plain(run, blocks, part)
        return Silenced(found.base, {n: 1.001 * out for n, out in found.outputs.items()})

    assert choose_way(run, blocks, "block", (wrong, resumed)) is resumed


@pytest.mark.parametrize("family", ["ViT", "ModifiedResNet", "ConvNeXt"])
def test_the_ways_agree_in_real_towers(family):
    visual, images = build(family)
    encode = ImageEncoder(visual)
    # The whole tower runs; three of its blocks are enough to compare.
    blocks = functional_blocks(visual)[-3:]
    part = "branch" if family == "ModifiedResNet" else "block"
    with torch.inference_mode():

        def run():
            return encode(images)

        base = run()
        expected = plain(run, blocks, part)
        for way in (resumed, growing):
            found = way(run, blocks, part)
            assert found.outputs.keys() == expected.outputs.keys()
            for number, output in found.outputs.items():
                gap = (output - expected.outputs[number]).abs().max()
                assert gap <= 1e-5 * expected.outputs[number].abs().max()
        assert expected.outputs
        assert torch.equal(run(), base)

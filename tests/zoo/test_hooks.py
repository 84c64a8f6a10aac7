"""Silencing a block or a part of it: what it gives, and that nothing stays changed."""

import pytest
import torch
from torch import nn

from tests.attribution.test_families import FAMILIES, build
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.hooks import BypassError, hooked, replace_forward, silenced
from vlmsel.zoo.loaded_model import ImageEncoder


class Residual(nn.Module):
    """A transformer block in small, every part with a bias and a tuple where real ones have one."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(4, 2, batch_first=True)
        self.mlp = nn.Linear(4, 4)

    def forward(self, x):
        x = x + self.attn(x, x, x, need_weights=False)[0]
        return x + self.mlp(x)


@pytest.fixture
def block():
    torch.manual_seed(0)
    module = Residual().eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.normal_()
    return module


@pytest.fixture
def x():
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))


def test_parts_are_what_is_left_without_them(block, x):
    attention = block.attn(x, x, x, need_weights=False)[0]
    wanted = {
        "block": x,
        "attention": x + block.mlp(x),
        "mlp": x + attention,
        "branch": x,
    }
    for part, expected in wanted.items():
        with silenced(block, part) as seen:
            torch.testing.assert_close(block(x), expected)
        assert seen.n_calls >= 1


def test_uniform_weights_are_one_over_the_outputs_and_put_back(block, x):
    before = {name: value.clone() for name, value in block.state_dict().items()}
    with silenced(block, "uniform-weights"):
        # The stacked projection of query, key and value has three outputs' worth of rows.
        assert (block.attn.in_proj_weight == 0.25).all()
        assert (block.attn.out_proj.weight == 0.25).all()
        changed = block(x)
    assert all(torch.equal(before[name], value) for name, value in block.state_dict().items())
    assert not torch.equal(changed, block(x))


@pytest.mark.parametrize("part", ["block", "attention", "mlp", "branch", "uniform-weights"])
def test_everything_is_restored_whatever_happens(block, x, part):
    before = block(x)
    with pytest.raises(ZeroDivisionError), silenced(block, part):
        raise ZeroDivisionError
    assert torch.equal(block(x), before)
    assert not block._forward_hooks
    assert "forward" not in block.__dict__


def test_a_part_that_is_not_there_or_another_shape_is_said(x):
    with (
        pytest.raises(BypassError, match="Linear has no attention"),
        silenced(nn.Linear(4, 4), "attention"),
    ):
        pass
    wider = nn.Linear(4, 6)
    with silenced(wider, "block"), pytest.raises(BypassError, match="takes 3x5x4 and gives 3x5x6"):
        wider(x)


def test_a_forward_that_another_library_set_is_put_back(block, x):
    def other(x):
        return x

    block.forward = other
    with replace_forward(block, lambda _: lambda x: 2 * x):
        assert torch.equal(block(x), 2 * x)
    assert block.forward is other


def test_a_library_that_collects_states_by_hooks_sees_the_silenced_one_only_with_prepend(block, x):
    """Read hidden states as LLaVA does: hooks collect them, set up before the knockout."""
    collected = []
    block.register_forward_hook(lambda _m, _i, output: collected.append(output))
    with silenced(block, "block"):
        block(x)
    with hooked([(block, lambda _m, args, _k, _o: args[0])], prepend=False):
        block(x)
    assert torch.equal(collected[0], x)
    assert not torch.equal(collected[1], x)


@pytest.mark.parametrize("family", [*FAMILIES, "Swin"])
def test_the_block_is_bypassed_in_every_family(family):
    """Every last block of equal shapes acts, and the embedding is bit-equal afterwards."""
    visual, images = build(family)
    encode = ImageEncoder(visual)
    with torch.no_grad():
        before = encode(images)
        changed = {}
        for part in ("block", "branch"):
            for name, block in functional_blocks(visual)[-2:]:
                try:
                    with silenced(block, part) as seen:
                        output = encode(images)
                except BypassError:
                    continue
                if seen.n_calls:
                    changed[part, name] = not torch.equal(output, before)
        assert changed
        assert all(changed.values())
        assert torch.equal(encode(images), before)


@pytest.mark.parametrize("family", ["ViT", "EVA"])
def test_a_bypassed_block_is_all_its_output_projections_zeroed_with_biases(family):
    """Zeroing weights without biases is another thing in vision towers."""
    visual, images = build(family)
    encode = ImageEncoder(visual)
    _, block = functional_blocks(visual)[0]
    ends = {
        name: parameter
        for name, parameter in block.named_parameters()
        if any(part in name for part in ("out_proj", "attn.proj", "c_proj", "fc2"))
    }
    assert {name.rpartition(".")[2] for name in ends} == {"weight", "bias"}
    with torch.no_grad(), silenced(block, "block"):
        bypassed = encode(images)
    with torch.no_grad():
        for name, parameter in ends.items():
            if name.endswith("weight"):
                parameter.zero_()
        without_biases = encode(images)
        for parameter in ends.values():
            parameter.zero_()
        assert torch.equal(encode(images), bypassed)
    assert (without_biases - bypassed).abs().max() > 1e-3


def test_parts_of_berts_blocks_keep_their_shortcut():
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLayer

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=8,
        intermediate_size=16,
        num_attention_heads=2,
        attn_implementation="eager",
    )
    block = BertLayer(config).eval().requires_grad_(False)
    x = torch.randn(2, 5, 8)

    def give():
        output = block(x)
        return output[0] if isinstance(output, tuple) else output

    attended = block.attention(x)
    attended = attended[0] if isinstance(attended, tuple) else attended
    first, second = block.attention.output.LayerNorm, block.output.LayerNorm
    wanted = {
        "attention": block.output(block.intermediate(first(x)), first(x)),
        "mlp": second(attended),
        "branch": second(first(x)),
    }
    for part, expected in wanted.items():
        with silenced(block, part) as seen:
            torch.testing.assert_close(give(), expected)
        assert seen.n_calls >= 1

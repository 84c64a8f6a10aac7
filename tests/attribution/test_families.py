"""Agreement with captum on one architecture of every family of open_clip's visual towers."""

import pytest
import timm
import torch
from captum.attr import LayerConductance, LayerGradientXActivation
from torch import nn

from tests.attribution.conftest import Model
from tests.towers import build_short
from vlmsel.attribution.conductance import gradient_x_activation, layer_conductance
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.objective import make_objective
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.loaded_model import ImageEncoder

# Family: architecture, and an image size that its tower takes and that is quick.
FAMILIES = {
    "ViT": ("ViT-S-32-alt", 64),
    "ModifiedResNet": ("RN50", 32),
    "ConvNeXt": ("convnext_tiny", 32),
    "EVA": ("EVA02-B-16", 32),
    "SigLIP": ("ViT-B-16-SigLIP", 32),
    "CoCa": ("coca_ViT-B-32", 64),
    "MobileCLIP": ("MobileCLIP2-S0", 32),
    "ViTamin": ("ViTamin-S", 32),
    "PE-Core": ("PE-Core-T-16-384", 32),
}
STEPS = 2


def _tower(family):
    if family != "Swin":
        name, size = FAMILIES[family]
        return build_short(name, size), size
    # The tower's own modules, smaller: shrinking the input of a full one resamples its tables.
    cut = {"img_size": 112, "depths": (2, 1, 1, 1), "embed_dim": 32, "num_heads": (1, 2, 4, 8)}
    return timm.create_model("swin_base_patch4_window7_224", num_classes=16, **cut), 112


def build(family):
    """A tower with random norms and biases: fresh ones are ones and zeros, which hide mistakes."""
    torch.manual_seed(0)
    visual, size = _tower(family)
    visual = visual.eval().requires_grad_(False)
    for parameter in visual.parameters():
        if parameter.ndim < 2:
            parameter.add_(0.1 * torch.randn_like(parameter))
    for module in visual.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_(0, 0.1)
    return visual, torch.randn(2, 3, size, size)


def relative(found, expected):
    return float((found / expected.detach().abs().flatten(1).mean(1) - 1).abs().max())


@pytest.mark.parametrize("family", [*FAMILIES, "Swin"])
def test_equals_captum_on_first_middle_and_last_block(family):
    visual, images = build(family)
    blocks = functional_blocks(visual)
    objective = make_objective("l2", ImageEncoder(visual))
    found = layer_conductance(
        objective, images, blocks, n_steps=STEPS, rule="captum", path="uniform"
    )
    product = gradient_x_activation(objective, images, blocks)
    for block in (0, len(blocks) // 2, len(blocks) - 1):
        module = blocks[block][1]
        expected = LayerConductance(objective, module).attribute(images, n_steps=STEPS)
        assert relative(found.scores[:, block], expected) < 1e-5
        expected = LayerGradientXActivation(objective, module).attribute(images)
        assert relative(product.scores[:, block], expected) < 1e-5
    assert all(found.cuts)


@pytest.mark.parametrize("family", ["ViT", "ModifiedResNet"])
def test_a_real_tower_in_small_batches_and_groups(family):
    visual, images = build(family)
    objective = make_objective("l2", ImageEncoder(visual))
    blocks = functional_blocks(visual)
    options = {"n_steps": 3, "rule": "trapezoid"}
    whole = layer_conductance(objective, images, blocks, **options)
    halves = [list(range(len(blocks) // 2)), list(range(len(blocks) // 2, len(blocks)))]
    for i in range(len(images)):
        single = layer_conductance(objective, images[i : i + 1], blocks, groups=halves, **options)
        torch.testing.assert_close(single.scores[0], whole.scores[i], rtol=1e-5, atol=0)


def test_coca_is_attributed_before_its_normalisation():
    visual, images = build("CoCa")

    class CoCa(Model):
        encode_image = staticmethod(ImageEncoder(visual))

    found = attribute(CoCa(visual), images, AttributionSettings(attribution="gradient"))
    assert found.failures == {}
    assert (found.scores > 0).all()

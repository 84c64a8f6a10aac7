"""Agreement with captum on every trained model of the embedded zoo, on every block."""

import pytest
import torch
from captum.attr import LayerConductance

from vlmsel.attribution import layer_conductance
from vlmsel.attribution.objective import make_objective
from vlmsel.demo.demo_tasks import demo_tasks, draw
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.catalog import load_zoo
from vlmsel.zoo.loader import load_model

ZOO = load_zoo("demo")
STEPS = 5


@pytest.mark.parametrize("spec", ZOO.models, ids=[spec.model for spec in ZOO.models])
def test_equals_captum_on_all_blocks(spec):
    model = load_model(spec)
    pictures = [draw(task, split="test", n=1, seed=3)[0][0] for task in demo_tasks()[::8]]
    # In double precision, so that only a difference of method could be seen.
    images = torch.stack([model.transform(picture) for picture in pictures]).double()
    visual = model.visual.double()
    objective = make_objective("l2", model.encode_image)
    blocks = functional_blocks(visual)
    found = layer_conductance(
        objective, images, blocks, n_steps=STEPS, rule="captum", path="uniform"
    )
    for number, (name, module) in enumerate(blocks):
        units = LayerConductance(objective, module).attribute(images, n_steps=STEPS)
        expected = units.flatten(1).abs().mean(dim=1)
        assert expected.min() > 0, f"{name} moves, or the check is vacuous"
        torch.testing.assert_close(found.scores[:, number], expected, rtol=1e-5, atol=0)

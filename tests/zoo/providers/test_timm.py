"""Image towers of timm, tiny and saved to disk."""

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.models import save_for_hf

from vlmsel.errors import ModelError
from vlmsel.zoo import functional_blocks, identify, load_model
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec

NAME = "test_vit"


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return timm.create_model(NAME, num_classes=3).eval()


@pytest.mark.parametrize("layout", ["folder", "file"])
def test_embeddings_are_those_of_the_tower(tower, tmp_path, layout):
    if layout == "folder":
        save_for_hf(tower, tmp_path / "m", safe_serialization=True)
        spec = ModelSpec(model="mine", pretrained="local", weights=str(tmp_path / "m"))
    else:
        save_file(tower.state_dict(), tmp_path / "m.safetensors")
        weights = str(tmp_path / "m.safetensors")
        spec = ModelSpec(model=NAME, pretrained="local", weights=weights, provider="timm")
    loaded = load_model(spec)
    assert loaded.capabilities == {Capability.image_embedding, Capability.blocks}
    assert loaded.encode_text is None
    image = loaded.transform(Image.new("RGB", (200, 180), (9, 99, 199)))[None]
    assert tuple(image.shape[2:]) == loaded.image_size
    with torch.no_grad():
        expected = tower.forward_head(tower.forward_features(image), pre_logits=True)
        torch.testing.assert_close(loaded.encode_image(image), expected, rtol=1e-6, atol=1e-6)
    assert len(functional_blocks(loaded.visual)) == len(tower.blocks)
    assert loaded.identity == identify(spec)


def test_identity_changes_with_the_weights(tower, tmp_path):
    digests = set()
    for number in range(2):
        torch.nn.init.constant_(tower.norm.bias, number)
        path = tmp_path / f"{number}.safetensors"
        save_file(tower.state_dict(), path)
        spec = ModelSpec(model=NAME, pretrained="local", weights=str(path), provider="timm")
        digests.add(identify(spec).digest)
    assert len(digests) == 2


def test_what_cannot_be_had(tower, tmp_path):
    path = tmp_path / "m.safetensors"
    state = tower.state_dict()
    del state["norm.weight"]
    save_file(state, path)

    def spec(**fields):
        return ModelSpec(**{"model": NAME, "pretrained": "x", "provider": "timm", **fields})

    with pytest.raises(ModelError, match=r"missing norm\.weight"):
        load_model(spec(weights=str(path)))
    with pytest.raises(ModelError, match="knows no architecture"):
        identify(spec(model="vit_bse_patch16_224"))
    with pytest.raises(ModelError, match="has no such tag"):
        identify(spec(model="vit_base_patch16_224"))

import logging
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image

from vlmsel.errors import ModelError
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import identify
from vlmsel.zoo.loaded_model import ImageEncoder
from vlmsel.zoo.loader import load_model, load_untrained

State = dict[str, torch.Tensor]


@pytest.fixture
def spec(tiny_dir: Path) -> ModelSpec:
    return ModelSpec(model="tiny", pretrained="own", weights=str(tiny_dir))


def test_a_local_directory_is_loaded_ready_to_attribute(spec: ModelSpec, tiny_state: State) -> None:
    model = load_model(spec)
    assert model.identity == identify(spec)
    assert model.image_size == (32, 32)
    assert not model.visual.training
    assert all(p.dtype == torch.float32 for p in model.visual.parameters())
    assert not any(p.requires_grad for p in model.visual.parameters())
    loaded = model.visual.state_dict()
    assert all(torch.equal(v, tiny_state[f"visual.{k}"].half().float()) for k, v in loaded.items())
    assert len(functional_blocks(model.visual)) == 4


def test_the_image_embedding_is_not_normalised(spec: ModelSpec) -> None:
    model = load_model(spec)
    reference, *_ = open_clip.create_model_and_transforms(f"local-dir:{spec.weights}")
    reference.eval()
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            model.encode_image(images), reference.encode_image(images, normalize=False)
        )
        norms = model.encode_image(images).norm(dim=-1)
    assert (norms - 1).abs().min() > 1e-3


def test_the_transform_is_that_of_the_configuration(spec: ModelSpec) -> None:
    model = load_model(spec)
    pixels = model.transform(Image.new("RGB", (50, 40), (255, 0, 128)))
    assert pixels.shape == (3, 32, 32)
    expected = [(v / 255 - 0.5) / 0.25 for v in (255, 0, 128)]
    torch.testing.assert_close(pixels.mean(dim=(1, 2)), torch.tensor(expected))


def test_a_checkpoint_file_with_an_architectures_name(tmp_path: Path) -> None:
    torch.manual_seed(1)
    made = open_clip.create_model("ViT-S-32-alt", pretrained_text=False)
    torch.save({"state_dict": made.state_dict()}, tmp_path / "epoch_1.pt")
    spec = ModelSpec(model="ViT-S-32-alt", pretrained="own", weights=str(tmp_path / "epoch_1.pt"))
    model = load_model(spec)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(model.encode_image(images), made.eval().encode_image(images))


def test_coca_gives_its_embedding_before_normalisation() -> None:
    class Tower(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.sum(dim=(2, 3)), images

    assert ImageEncoder(Tower())(torch.ones(2, 3, 4, 4)).tolist() == [[16.0] * 3] * 2


@pytest.mark.parametrize("model", ["coca_ViT-B-32", "xlm-roberta-base-ViT-B-32"])
def test_untrained_towers_need_no_network(model: str) -> None:
    loaded = load_untrained(model, image_size=64)
    assert loaded.image_size == (64, 64)
    assert loaded.identity is None
    assert loaded.encode_text is None
    images = loaded.transform(Image.new("RGB", (80, 70))).unsqueeze(0)
    embedding = loaded.encode_image(images)
    assert embedding.shape == (1, 512)
    assert not torch.isclose(embedding.norm(), torch.tensor(1.0))


def test_untrained_timm_towers_take_another_size() -> None:
    loaded = load_untrained("vit_medium_patch16_gap_256", image_size=64)
    assert loaded.encode_image(torch.zeros(1, 3, 64, 64)).shape == (1, 512)


@pytest.mark.parametrize(
    ("device", "reason"), [("gpu", "unknown device 'gpu'"), ("cuda", "torch sees no CUDA")]
)
def test_devices_that_are_not_there(
    spec: ModelSpec, device: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=reason):
        load_model(spec, device=device)


def test_a_tag_that_cannot_be_downloaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlmsel.zoo.identity.hub_sha256", lambda *_: "0" * 64)

    def refuse(_: object) -> str:
        raise FileNotFoundError("Failed to download file\nand more")

    monkeypatch.setattr("vlmsel.zoo.providers.open_clip.download_pretrained", refuse)
    with pytest.raises(ModelError, match="Failed to download file; set `weights`") as caught:
        load_model(ModelSpec(model="ViT-B-32", pretrained="laion2b_e16"))
    assert "\n" not in str(caught.value)


def test_open_clip_says_nothing(
    spec: ModelSpec, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        load_model(spec)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_the_zoo_imports_no_torch_until_a_model_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys, vlmsel.zoo, vlmsel.zoo.identity\n"
        "from vlmsel.zoo import load_zoo\n"
        "load_zoo('paper')\n"
        "sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])

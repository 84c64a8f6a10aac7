import re
import sys
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from vlmsel.errors import ModelError
from vlmsel.measurements import Prediction
from vlmsel.probes.batch import Batch
from vlmsel.probes.probe_registry import make_probe
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.identity import identify
from vlmsel.zoo.loader import load_model

DOCS = Path(__file__).parents[2] / "docs" / "guide" / "zoo.md"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registered encoders of docs/guide/zoo.md as an importable file."""
    (block,) = re.findall(r"```python\n# my_encoders\.py\n(.*?)```", DOCS.read_text(), re.DOTALL)
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "my_encoders.py").write_text(block)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "my_encoders", raising=False)
    return folder / "my_encoders.py"


def spec_of(function: str, **more: str) -> ModelSpec:
    return ModelSpec(model="test_vit", pretrained="own", encoder=function, **more)


def outputs_of_blocks(visual: nn.Module, images: Tensor) -> list[object]:
    seen: list[object] = []
    for _, block in functional_blocks(visual):
        block.register_forward_hook(lambda *io: seen.append(io[2]))
    visual(images)
    return seen


def test_the_documented_timm_encoder(tmp_path: Path, module: Path) -> None:
    made = timm.create_model("test_vit")
    weights = tmp_path / "weights.safetensors"
    save_file(made.state_dict(), weights)
    model = load_model(spec_of("my_encoders:from_timm", weights=str(weights)))
    images = model.transform(Image.new("RGB", (200, 180), (10, 200, 30))).unsqueeze(0)
    assert images.shape[2:] == model.image_size
    made.eval().reset_classifier(0)
    with torch.no_grad():
        torch.testing.assert_close(model.encode_image(images), made(images))
    assert not any(p.requires_grad for p in model.visual.parameters())
    assert len(outputs_of_blocks(model.visual, images)) == len(made.blocks)


def test_the_documented_transformers_encoder(tmp_path: Path, module: Path) -> None:
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14
    )
    Dinov2Model(config).save_pretrained(tmp_path / "dino")
    spec = spec_of("my_encoders:from_transformers", weights=str(tmp_path / "dino"))
    model = load_model(spec)
    images = model.transform(Image.new("RGB", (50, 40))).unsqueeze(0)
    assert model.encode_image(images).shape == (1, 32)
    seen = outputs_of_blocks(model.visual, images)
    assert len(seen) == 3
    assert all(isinstance(output, Tensor) for output in seen)


def test_its_code_weights_and_configuration_are_its_identity(tmp_path: Path, module: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"1")
    (folder / "config.json").write_text("{}")
    spec = spec_of("my_encoders:from_transformers", weights=str(folder))
    seen = {identify(spec).digest}
    (folder / "model.safetensors").write_bytes(b"22")
    seen.add(identify(spec).digest)
    (folder / "config.json").write_text('{"layers": 2}')
    seen.add(identify(spec).digest)
    module.write_text(module.read_text() + "\nCHANGED = True\n")
    seen.add(identify(spec).digest)
    seen.add(identify(spec_of("my_encoders:from_timm", weights=str(folder))).digest)
    assert len(seen) == 5


def test_another_transform_is_another_preprocessing(module: Path) -> None:
    spec = spec_of("my_encoders:from_timm")
    before = identify(spec).preprocessing
    assert identify(spec).preprocessing == before
    module.write_text(module.read_text().replace("transform", "transform ", 1) + "\nMEAN = 0.4\n")
    assert identify(spec).preprocessing != before


def test_without_weights_the_label_is_the_version(module: Path) -> None:
    spec = spec_of("my_encoders:from_timm")
    two = spec.model_copy(update={"pretrained": "v2"})
    assert identify(spec).weights_sha256 != identify(two).weights_sha256


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        (
            "no_such_module:build",
            "no encoder module 'no_such_module'; put its folder on PYTHONPATH",
        ),
        ("no.such.module:build", "no encoder module 'no.such.module'"),
        ("broken:nothing", "'broken' has no function 'nothing'"),
        ("broken:number", "gave a int, not a module"),
        ("broken:cruel", r"broken:cruel raised KeyError: 'no such'$"),
        ("worse:build", "'worse' cannot be imported: KeyError"),
        ("broken:bare", "gave a bare Linear; only timm models say their preprocessing"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str, reason: str
) -> None:
    (tmp_path / "broken.py").write_text(
        "from torch import nn\ndef number(spec): return 3\ndef bare(spec): return nn.Linear(1, 1)\n"
        "def cruel(spec): return {}['no such']\n"
    )
    (tmp_path / "worse.py").write_text("raise KeyError\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(ModelError, match=reason):
        load_model(spec_of(encoder))


WITH_TEXT = """
import torch
from torch import nn
from torchvision.transforms.functional import to_tensor
from vlmsel.zoo import Encoder


def build(spec):
    torch.manual_seed(0)
    visual = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten())
    words = nn.Sequential(nn.Embedding(128, 4), nn.Dropout(0.9))

    def encode_text(texts):
        rows = [words(torch.tensor([ord(c) for c in text])).mean(0) for text in texts]
        return nn.functional.normalize(torch.stack(rows), dim=-1)

    def transform(image):
        return to_tensor(image.resize((8, 8)))

    return Encoder(visual, transform, 8, encode_text=encode_text, logit_scale=50.0,
                   logit_bias=-2.0, text_tower=words)
"""


def test_an_encoder_with_a_text_tower_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "encoders_with_text.py").write_text(WITH_TEXT)
    monkeypatch.syspath_prepend(tmp_path)
    model = load_model(spec_of("encoders_with_text:build"))
    assert Capability.text_embedding in model.capabilities
    assert model.text_tower is not None
    assert not model.text_tower.training
    assert not any(weight.requires_grad for weight in model.text_tower.parameters())
    images = torch.stack(
        [model.transform(Image.new("RGB", (9, 7), colour)) for colour in ("red", "blue", "white")]
    )
    prompts = ClassPrompts(("cat", "dog", "ox"), ("a {}.", "the {}!"))
    batch = Batch(model, images, ["a", "b", "c"], prompts=prompts)
    rows = make_probe(Prediction()).measure(batch).columns
    # By hand: the mean of a class's prompts, scaled and shifted cosines.
    assert model.encode_text is not None
    classes = torch.stack(
        [nn.functional.normalize(model.encode_text(prompts.texts(n)).mean(0), dim=-1)
         for n in prompts.classnames]
    )  # fmt: skip
    cosine = nn.functional.normalize(model.encode_image(images), dim=-1) @ classes.T
    logits = 50.0 * cosine - 2.0
    torch.testing.assert_close(
        torch.tensor(rows["log_sum_exp"].to_pylist()), torch.logsumexp(logits, 1)
    )
    assert rows["argmax"].to_pylist() == logits.argmax(1).tolist()

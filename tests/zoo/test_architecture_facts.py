import open_clip
import pytest

from vlmsel.zoo.architecture_facts import describe_architectures, describe_model, family
from vlmsel.zoo.open_clip_tables import architecture_config


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("RN50", "ModifiedResNet"), ("ViT-B-32", "ViT"), ("coca_ViT-L-14", "CoCa ViT"),
        ("ViT-B-16-SigLIP", "SigLIP"), ("EVA02-B-16", "EVA"), ("MobileCLIP-S1", "FastViT"),
        ("MobileCLIP-B", "MobileCLIP ViT"), ("ViTamin-S", "ViTamin"), ("PE-Core-B-16", "PE"),
        ("swin_base_patch4_window7_224", "Swin"), ("convnext_base", "ConvNeXt"),
        ("MobileCLIP2-L-14", "timm ViT"),
    ],
)  # fmt: skip
def test_families(model: str, expected: str) -> None:
    assert family(architecture_config(model)) == expected


def test_no_family_is_left_without_a_name() -> None:
    assert "timm" not in {family(architecture_config(m)) for m in open_clip.list_models()}


def test_a_description_agrees_with_the_model_itself() -> None:
    real = open_clip.create_model("ViT-S-32-alt", pretrained_text=False)
    found = describe_model("ViT-S-32-alt")
    assert found.parameters == sum(p.numel() for p in real.visual.parameters())
    assert found.image_size == (224, 224)
    assert found.n_blocks == len(found.block_names) == len(real.visual.transformer.resblocks)


def test_descriptions_come_one_at_a_time() -> None:
    found = list(describe_architectures(["RN50", "convnext_tiny"], granularity="stage"))
    assert [(d.model, d.n_blocks) for d in found] == [("RN50", 4), ("convnext_tiny", 4)]

import pytest

from vlmsel.selection.tower_families import family_of


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("demo-efficientnet-signs", "efficientnet"),
        ("demo-vit-land", "vit"),
        ("demo-resnet-cells", "resnet"),
        ("demo-convnext-counting", "convnext"),
        ("RN50x64", "resnet"),
        ("RN101-quickgelu", "resnet"),
        ("xlm-roberta-base-ViT-B-32", "vit"),
        ("coca_ViT-B-32", "vit"),
        ("nllb-clip-base", "vit"),
        ("convnext_large_d", "convnext"),
        ("EVA02-L-14", "eva"),
        ("ViTamin-S", "vitamin"),
        ("MobileCLIP-S1", "fastvit"),
        ("turn-of-phrase", "other"),
    ],
)
def test_family_by_name(model, family):
    assert family_of(model) == family

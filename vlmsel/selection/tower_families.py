"""Families of visual towers, by a model's name."""

import re

# The first that matches; names are compared in lower case.
FAMILIES = (
    ("efficientnet", "efficientnet"),
    ("convnext", "convnext"),
    (r"(?:^|[-_])rn\d|resnet", "resnet"),
    ("swin", "swin"),
    ("vitamin", "vitamin"),
    ("mobileclip|fastvit", "fastvit"),
    ("eva", "eva"),
    # NLLB-CLIP's image tower is a ViT-B-32 or ViT-L-14.
    ("vit|siglip|nllb-clip|pe-core", "vit"),
)
OTHER = "other"


def family_of(model: str) -> str:
    """Family of a model's visual tower, such as `vit` for `coca_ViT-B-32`; `other` if unknown."""
    name = model.lower()
    return next((family for part, family in FAMILIES if re.search(part, name)), OTHER)

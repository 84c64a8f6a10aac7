"""Open_clip's architectures on the meta device: family, blocks, parameters, input size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.open_clip_tables import Config, architecture_config, architectures
from vlmsel.zoo.towers import build_meta_visual, input_size

# First match wins; names of timm towers.
TIMM_FAMILIES = (
    ("convnext", "ConvNeXt"),
    ("eva", "EVA"),
    ("fastvit", "FastViT"),
    ("swin", "Swin"),
    ("vitamin", "ViTamin"),
    ("vit_pe_", "PE"),
    ("siglip", "SigLIP"),
    ("_mci_", "MobileCLIP ViT"),
    ("vit_", "timm ViT"),
)


@dataclass(frozen=True)
class ModelDescription:
    """One architecture's visual tower.

    Attributes:
        model: open_clip's name.
        family: kind of visual tower.
        n_blocks: functional blocks at the granularity asked for.
        parameters: of the visual tower.
        image_size: height and width of the input in pixels.
        block_names: in the order in which they run.
    """

    model: str
    family: str
    n_blocks: int
    parameters: int
    image_size: tuple[int, int]
    block_names: tuple[str, ...]


def describe_model(model: str, granularity: str = "block") -> ModelDescription:
    """Describe one architecture; costs no memory and no weights.

    Raises:
        ModelError: unknown architecture or granularity.
    """
    visual = build_meta_visual(model)
    names = tuple(name for name, _ in functional_blocks(visual, granularity))
    parameters = sum(p.numel() for p in visual.parameters())
    return ModelDescription(
        model, family(architecture_config(model)), len(names), parameters,
        input_size(visual), names,
    )  # fmt: skip


def describe_architectures(
    models: Iterable[str] | None = None, granularity: str = "block"
) -> Iterator[ModelDescription]:
    """Describe many architectures, by default all of open_clip's, lazily (about 0.1 s each)."""
    for model in architectures() if models is None else models:
        yield describe_model(model, granularity)


def family(config: Config) -> str:
    """The family of visual tower that a model configuration builds."""
    vision = config["vision_cfg"]
    if name := vision.get("timm_model_name"):
        return next((label for part, label in TIMM_FAMILIES if part in name), "timm")
    if "multimodal_cfg" in config:
        return "CoCa ViT"
    return "ModifiedResNet" if isinstance(vision.get("layers"), list) else "ViT"

import json
import re
from collections import Counter

import open_clip
import pytest
import torch
from torch import Tensor, nn

from tests.towers import shorten
from vlmsel.errors import ModelError
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.towers import build_meta_visual, build_visual, input_size

GRANULARITIES = ("block", "stage", "published")
# Numbers of a configuration that change neither which modules a tower has nor their order: sizes,
# and how often an encoder repeats one layer.
NUMBERS = ("image_size", "width", "patch_size", "head_width", "mlp_ratio", "layers")


def shape_of_tower(model: str) -> str:
    """Return what distinguishes an architecture's visual tower, without sizes and text."""
    vision = open_clip.get_model_config(model)["vision_cfg"]
    name = re.sub(r"patch\d+|_\d+$", "", vision.get("timm_model_name", ""))
    kept = {
        key: value
        for key, value in vision.items()
        if key not in NUMBERS or not isinstance(value, (int, float))
    }
    return json.dumps(kept | {"timm_model_name": name}, sort_keys=True)


# Of 144 names each distinct tower, under the first name that has it.
TOWERS = {shape_of_tower(model): model for model in reversed(open_clip.list_models())}


@pytest.mark.parametrize("model", sorted(TOWERS.values()))
def test_every_block_of_every_architecture_runs_once_in_order_and_gives_one_tensor(
    model: str,
) -> None:
    visual = build_meta_visual(model).eval()
    for granularity in GRANULARITIES:
        names = [name for name, _ in functional_blocks(visual, granularity)]
        assert len(set(names)) == len(names)
    shorten(visual)
    lists = {g: functional_blocks(visual, g) for g in GRANULARITIES}
    ran: list[nn.Module] = []

    def note(module: nn.Module, _: object, output: object) -> None:
        assert isinstance(output, Tensor)
        assert output.is_floating_point()
        ran.append(module)

    for module in {id(m): m for blocks in lists.values() for _, m in blocks}.values():
        module.register_forward_hook(note)
    with torch.no_grad():
        visual(torch.zeros(1, 3, *input_size(visual), device="meta"))
    for granularity, blocks in lists.items():
        modules = [module for _, module in blocks]
        assert [m for m in ran if any(m is b for b in modules)] == modules, granularity
    assert len(lists["block"]) >= len(lists["stage"]) >= 3


@pytest.mark.parametrize(
    ("model", "granularity", "names"),
    [
        ("RN50", "published", ["layer1", "layer2", "layer3", "layer4", "attnpool"]),
        ("RN50", "stage", ["layer1", "layer2", "layer3", "layer4"]),
        ("ViT-B-32", "published", [f"resblock_{i}" for i in range(12)]),
        ("coca_ViT-B-32", "published", [f"resblock_{i}" for i in range(12)]),
        (
            "ViT-B-32",
            "stage",
            [f"transformer.resblocks.{r}" for r in ("0-2", "3-5", "6-8", "9-11")],
        ),
        ("ViT-B-16-SigLIP", "published", [*(f"block_{i}" for i in range(12)), "attn_pool"]),
        ("EVA02-B-16", "published", [*(f"block_{i}" for i in range(12)), "head"]),
        ("convnext_tiny", "published", [*(f"stage_{i}" for i in range(4)), "clip_visual_head"]),
        ("swin_base_patch4_window7_224", "stage", [f"trunk.layers.{i}.blocks" for i in range(4)]),
    ],
)
def test_names_by_granularity(model: str, granularity: str, names: list[str]) -> None:
    visual = build_meta_visual(model)
    assert [name for name, _ in functional_blocks(visual, granularity)] == names


@pytest.mark.parametrize("model", ["RN50", "ViT-B-32", "ViT-L-14", "convnext_base", "ViTamin-B"])
def test_the_number_of_blocks_is_the_depth_of_the_configuration(model: str) -> None:
    depth = {"RN50": 3 + 4 + 6 + 3, "ViT-B-32": 12, "ViT-L-14": 24, "convnext_base": 3 + 3 + 27 + 3}
    blocks = functional_blocks(build_meta_visual(model))
    # ViTamin-B: convolution stages of 2 and 4, then 14 transformer blocks.
    assert len(blocks) == depth.get(model, 2 + 4 + 14)


def test_a_stage_is_its_last_block() -> None:
    visual = build_visual("RN50", image_size=64).eval()
    kept: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda *io: kept.update({name: io[2]}))

    for name, block in functional_blocks(visual, "stage"):
        keep(f"block of {name}", block)
        keep(name, visual.get_submodule(name))
    with torch.no_grad():
        visual(torch.randn(1, 3, 64, 64))
    for name, _ in functional_blocks(visual, "stage"):
        assert torch.equal(kept[name], kept[f"block of {name}"])


def test_quarters_cover_all_blocks_evenly() -> None:
    visual = nn.Module()
    visual.blocks = nn.ModuleList(nn.Identity() for _ in range(27))
    names = [name for name, _ in functional_blocks(visual, "stage")]
    parts = [tuple(map(int, name.removeprefix("blocks.").split("-"))) for name in names]
    covered = Counter(i for a, b in parts for i in range(a, b + 1))
    assert covered == Counter(range(27))
    sizes = [b - a + 1 for a, b in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_shallow_tower_has_as_many_stages_as_blocks() -> None:
    visual = nn.Module()
    visual.blocks = nn.ModuleList([nn.Identity(), nn.Identity()])
    assert [n for n, _ in functional_blocks(visual, "stage")] == ["blocks.0-0", "blocks.1-1"]


def test_a_block_inside_a_block_is_part_of_it() -> None:
    outer = nn.Module()
    outer.blocks = nn.ModuleList([nn.Linear(1, 1)])
    visual = nn.Module()
    visual.blocks = nn.ModuleList([outer, nn.Linear(1, 1)])
    assert [n for n, _ in functional_blocks(visual)] == ["blocks.0", "blocks.1"]


def test_a_module_may_bring_its_own_pattern() -> None:
    visual = nn.Module()
    visual.steps = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    with pytest.raises(ModelError, match=r"no functional block in Module.*set `block_pattern`"):
        functional_blocks(visual)
    visual.block_pattern = r"^steps\.\d+$"
    assert [n for n, _ in functional_blocks(visual)] == ["steps.0", "steps.1"]


def test_an_unknown_granularity_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'layer'; known: block, stage, published"):
        functional_blocks(nn.Module(), "layer")

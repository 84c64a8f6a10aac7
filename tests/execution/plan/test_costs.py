import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vlmsel.execution.plan.costs import forward_gflops, seconds_per_image
from vlmsel.measurements import Embedding, Prediction, Profile
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.open_clip_tables import architecture_config
from vlmsel.zoo.towers import build_meta_visual, to_pair


def vision(model: str) -> dict[str, object]:
    return architecture_config(model)["vision_cfg"]


@pytest.mark.parametrize(
    "model", ["ViT-B-32", "ViT-L-14", "RN50", "RN50x4", "convnext_base_w", "ViT-B-16-SigLIP"]
)
def test_estimates_are_right_within_a_factor_of_one_and_a_half(model: str) -> None:
    visual = build_meta_visual(model).eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        visual(torch.empty(1, 3, *to_pair(visual.image_size), device="meta"))
    counted = counter.get_total_flops() / 1e9
    assert 1 / 1.5 < forward_gflops(vision(model)) / counted < 1.5


def test_an_unknown_tower_is_neither_free_nor_huge() -> None:
    middling = forward_gflops({})
    assert forward_gflops(vision("ViT-B-32")) < middling < forward_gflops(vision("ViT-L-14"))


def test_a_profile_costs_three_forwards_a_point_and_the_other_kinds_one() -> None:
    spec = ModelSpec(model="own", pretrained="x", encoder="package.module:build")
    path = Profile(settings=AttributionSettings(n_steps=9))
    gradient = Profile(settings=AttributionSettings(attribution="gradient"))
    once = seconds_per_image(spec, Prediction(), "cpu")
    assert seconds_per_image(spec, Embedding(), "cpu") == once
    assert seconds_per_image(spec, path, "cpu") == pytest.approx(30 * once)
    assert seconds_per_image(spec, gradient, "cpu") == pytest.approx(3 * once)
    assert seconds_per_image(spec, Prediction(), "cuda") < once

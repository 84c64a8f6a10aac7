"""The zoo: which models there are, what they are, and how to load them.

    catalog (YAML -> ModelSpec) -> identity (who it is, no model built)
                                -> loader (encoder, text, transform) -> blocks

`registry` knows open_clip's tables, `weights` where checkpoints lie, `checkpoint` whether they fit,
`encoders` the user's own modules, `describe` lists architectures. Exports are lazy: names that need
torch import it when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from vlmsel.zoo.catalog import ModelSpec, Zoo, load_zoo

if TYPE_CHECKING:
    from vlmsel.zoo.blocks import functional_blocks
    from vlmsel.zoo.describe import ModelDescription, describe_architectures, describe_model
    from vlmsel.zoo.encoders import Encoder
    from vlmsel.zoo.identity import ModelIdentity, identify
    from vlmsel.zoo.loader import LoadedModel, load_model, load_untrained

_LAZY = {
    "Encoder": "encoders",
    "LoadedModel": "loader",
    "ModelDescription": "describe",
    "ModelIdentity": "identity",
    "describe_architectures": "describe",
    "describe_model": "describe",
    "functional_blocks": "blocks",
    "identify": "identity",
    "load_model": "loader",
    "load_untrained": "loader",
}

__all__ = [
    "Encoder",
    "LoadedModel",
    "ModelDescription",
    "ModelIdentity",
    "ModelSpec",
    "Zoo",
    "describe_architectures",
    "describe_model",
    "functional_blocks",
    "identify",
    "load_model",
    "load_untrained",
    "load_zoo",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"vlmsel.zoo.{_LAZY[name]}"), name)

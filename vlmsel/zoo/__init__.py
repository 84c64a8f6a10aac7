"""The zoo: which models there are, what they are, and how to load them.

    catalog (YAML -> ModelSpec) -> identity (who it is, no model built)
                                -> loader (encoder, text, transform) -> blocks

`open_clip_tables` knows open_clip's tables, `weights` where checkpoints lie, `checkpoint` whether
they fit, `encoders` the user's own modules, `architecture_facts` lists architectures. Exports are
lazy: names that need torch import it when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from vlmsel.zoo.catalog import ModelSpec, Zoo, load_zoo

if TYPE_CHECKING:
    from vlmsel.zoo.architecture_facts import (
        ModelDescription,
        describe_architectures,
        describe_model,
    )
    from vlmsel.zoo.blocks import functional_blocks
    from vlmsel.zoo.encoders import Encoder
    from vlmsel.zoo.identity import ModelIdentity, identify
    from vlmsel.zoo.loaded_model import LoadedModel
    from vlmsel.zoo.loader import load_model, load_untrained

_LAZY = {
    "Encoder": "encoders",
    "LoadedModel": "loaded_model",
    "ModelDescription": "architecture_facts",
    "ModelIdentity": "identity",
    "describe_architectures": "architecture_facts",
    "describe_model": "architecture_facts",
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

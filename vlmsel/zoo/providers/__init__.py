"""Providers: the libraries that models come from, each imported when a model of it is loaded.

    open_clip      names and tags, directories and checkpoints of open_clip
    transformers   folders of dual encoders, or repositories of the hub
    timm           image towers without text
    own            registered encoders, with a text tower or without

A provider is a module with `load(spec, identity, device)`; `folders` says which one a spec is of.
"""

from importlib import import_module
from typing import Any, Protocol, cast

from vlmsel.errors import ModelError
from vlmsel.extras import LIBRARIES, has_extra, missing_extra
from vlmsel.zoo.catalog import ModelSpec


class Provider(Protocol):
    """Interface of a provider's module."""

    def load(self, spec: ModelSpec, identity: Any, device: Any) -> Any:
        """The model, loaded strictly: a `LoadedModel` of a `ModelIdentity`, on a torch device.

        Their modules import torch, so that this one does not name them.
        """
        ...


def require_package(spec: ModelSpec, provider: str) -> None:
    """Refuse a model whose provider's package is not installed.

    Raises:
        ModelError: it is not; says how to install it.
    """
    if provider in LIBRARIES and not has_extra(provider):
        raise ModelError(missing_extra(f"{spec.name}, a model of {provider},", provider))


def open_provider(spec: ModelSpec, provider: str) -> Provider:
    """The module of a provider.

    Raises:
        ModelError: its package is not installed.
    """
    require_package(spec, provider)
    return cast(Provider, import_module(f"vlmsel.zoo.providers.{provider}"))

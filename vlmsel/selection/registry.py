"""Selectors by name."""

import importlib
import logging
import pkgutil
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from vlmsel.errors import SelectionError
from vlmsel.selection.plugins import load_plugin, register_entry_points
from vlmsel.selection.selector import BaseSelector
from vlmsel.suggest import nearest

log = logging.getLogger(__name__)

PACKAGE = "vlmsel.selection.selectors"

Registered = TypeVar("Registered", bound=type[BaseSelector])

_known: dict[str, type[BaseSelector]] = {}


def register(selector: Registered) -> Registered:
    """Make a selector known under its name; a class decorator.

    Raises:
        SelectionError: another selector has that name.
    """
    other = _known.setdefault(selector.name, selector)
    if other.__qualname__ != selector.__qualname__ or other.__module__ != selector.__module__:
        raise SelectionError(
            f"the selector {selector.name} of {selector.__module__} exists already in "
            f"{other.__module__}; choose another name"
        )
    return selector


def selector_names() -> tuple[str, ...]:
    """Return the names of all selectors, those of installed plug-ins among them, sorted."""
    _load()
    return tuple(sorted(_known))


def selector_classes() -> dict[str, type[BaseSelector]]:
    """Return the selectors by name, with what each needs (`needs`) and its options as fields."""
    return {name: _known[name] for name in selector_names()}


def selector_class(name: str) -> type[BaseSelector]:
    """Return the class of a selector.

    Args:
        name: one of `selector_names()`, or ``module:Class`` of one's own.

    Raises:
        SelectionError: there is none of that name, or the module or class is no selector.
    """
    names = selector_names()
    if ":" in name:
        found = load_plugin(name)
        if _known.get(found.name, found) is not found:
            raise SelectionError(
                f"selector {name} calls itself {found.name}, as one that exists already; rename it"
            )
        return found
    if name in names:
        return _known[name]
    if name in _broken_plugins():
        raise SelectionError(_broken_plugins()[name])
    hint = nearest(name, names) or f"; known are {', '.join(names)}"
    raise SelectionError(f"there is no selector {name!r}{hint} (module:Class for one's own)")


def make_selector(name: str, **options: Any) -> BaseSelector:
    """Make a selector.

    Args:
        name: one of `selector_names()`, or ``module:Class`` of one's own.
        options: its fields.

    Raises:
        SelectionError: the name is unknown, or an option is unknown or out of range.
    """
    found = selector_class(name)
    try:
        return found(**options)
    except ValidationError as error:
        raise SelectionError(f"selector {name}: {_first_fault(error, found)}") from error


def _first_fault(error: ValidationError, selector: type[BaseSelector]) -> str:
    """Say the first fault in one line."""
    fault = error.errors()[0]
    option = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        options = ", ".join(selector.model_fields) or "none"
        return f"unknown option {option}; its options are: {options}"
    return f"option {option}={fault['input']!r}: {fault['msg'].lower()}"


@cache
def _load() -> None:
    """Import every module of the selectors' package, which registers what it holds."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{PACKAGE}.{module.name}")
    for reason in _broken_plugins().values():
        log.warning("%s", reason)


@cache
def _broken_plugins() -> dict[str, str]:
    """Register the selectors of installed plug-ins; those that fail, each with the reason."""
    return register_entry_points(_known)

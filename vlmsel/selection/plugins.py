"""Selectors from outside: ``module:Class`` on the command line, or an installed entry point.

A plug-in is a subclass of `BaseSelector` in an importable module: it sees what every selector sees,
and is judged by the same leave-one-out. Importing it runs its code, so only what the user names, or
has installed under the entry point group, is imported; a broken plug-in is named and left out.
"""

import importlib
import inspect
import re
from importlib.metadata import EntryPoint, entry_points

from vlmsel.errors import SelectionError
from vlmsel.selection.selector import BaseSelector

GROUP = "vlmsel.selectors"
# The same rule as for encoders: two dotted names.
REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


def load_plugin(reference: str) -> type[BaseSelector]:
    """Import a selector class.

    Args:
        reference: ``module:Class``; the module must be importable (PYTHONPATH, or installed).

    Raises:
        SelectionError: it cannot be imported, or is no selector.
    """
    if not REFERENCE.fullmatch(reference):
        raise SelectionError(
            f"selector {reference!r}: write a selector of your own as module:Class, "
            "e.g. my_package.my_module:MySelector"
        )
    module_name, _, class_name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except MemoryError:
        raise
    except Exception as error:
        raise SelectionError(
            f"selector {reference}: module '{module_name}' cannot be imported: {_line(error)} "
            "(is its folder on PYTHONPATH?)"
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise SelectionError(f"selector {reference}: '{module_name}' has no class '{class_name}'")
    return _check_selector(found, reference)


def register_entry_points(known: dict[str, type[BaseSelector]]) -> dict[str, str]:
    """Add the selectors of installed packages to those known.

    Args:
        known: selectors by name; one that is there already stays.

    Returns:
        The entry points that give no selector, each with the reason.
    """
    broken: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            found = _load_entry_point(point)
        except SelectionError as error:
            broken[point.name] = str(error)
            continue
        other = known.setdefault(found.name, found)
        if other is not found:
            broken[point.name] = (
                f"selector {found.name} of {point.value} exists already in {other.__module__}; "
                "the plug-in is left out"
            )
    return broken


def _load_entry_point(point: EntryPoint) -> type[BaseSelector]:
    found = load_plugin(point.value)
    if found.name != point.name:
        raise SelectionError(
            f"entry point {point.name} = {point.value}: its class calls itself {found.name}; "
            "give both one name"
        )
    return found


def _check_selector(found: object, reference: str) -> type[BaseSelector]:
    if not (inspect.isclass(found) and issubclass(found, BaseSelector)):
        raise SelectionError(
            f"selector {reference} is no subclass of vlmsel.selection.selector.BaseSelector"
        )
    if inspect.isabstract(found) or found.prepare is BaseSelector.prepare:
        raise SelectionError(f"selector {reference} has no method prepare(problem) of its own")
    name = getattr(found, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SelectionError(
            f"selector {reference}: its `name` is {name!r}; small letters, digits and hyphens"
        )
    return found


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())

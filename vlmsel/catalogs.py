"""Read a YAML catalog (`key:` and a list of entries); every mistake becomes one line."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from vlmsel.errors import CatalogError

Entry = TypeVar("Entry", bound=BaseModel)


def nearest(name: str, known: Iterable[str], n: int = 3) -> str:
    """`; did you mean A, B?` for a misspelt name, or the empty string when nothing is near."""
    by_folded = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), list(by_folded), n=n, cutoff=0.6)
    return f"; did you mean {', '.join(by_folded[f] for f in found)}?" if found else ""


def read_entries(path: Path, key: str, schema: type[Entry], name_key: str) -> tuple[Entry, ...]:
    """The entries of the one list in the catalog at `path`.

    Args:
        path: YAML file holding a mapping with the single key `key`.
        key: name of the list, `models` or `tasks`.
        schema: what one entry must be.
        name_key: the field that names an entry in messages.

    Raises:
        CatalogError: the file is missing, no YAML, or an entry does not fit; one line that names
            file, entry and key.
    """
    document = _read_yaml(path)
    if not isinstance(document, dict):
        msg = f"{path}: a catalog is a mapping with the key '{key}', not {_kind(document)}"
        raise CatalogError(msg)
    for found in document:
        if found != key:
            raise CatalogError(f"{path}: unknown key '{found}'{_nearest_or_all(str(found), [key])}")
    entries = document.get(key)
    if not isinstance(entries, list) or not entries:
        msg = f"{path}: '{key}' must be a list with at least one entry, not {_kind(entries)}"
        raise CatalogError(msg)
    return tuple(_entry(path, key, i, e, schema, name_key) for i, e in enumerate(entries))


def one_line(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first problem of a pydantic error, `key 'x': what is wrong`, with the nearest key."""
    found = error.errors(include_url=False, include_context=False)
    # A misspelt key is also a missing one; the misspelling says more.
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}'{_nearest_or_all(where, list(schema.model_fields))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"key '{where}': {message}" if where else message


def _entry(
    path: Path, key: str, number: int, entry: object, schema: type[Entry], name_key: str
) -> Entry:
    place = f"{path}: {key}[{number}]"
    if not isinstance(entry, dict):
        raise CatalogError(f"{place} must be a mapping, not {_kind(entry)}")
    if name := entry.get(name_key):
        place = f"{place} ({name})"
    try:
        return schema.model_validate(entry)
    except ValidationError as error:
        raise CatalogError(f"{place}: {one_line(error, schema)}") from None


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CatalogError(f"catalog {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"catalog {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise CatalogError(f"{path}:{line} not valid YAML: {problem}") from None


def _nearest_or_all(name: str, known: list[str]) -> str:
    return nearest(name, known, n=1) or f"; known keys: {', '.join(known)}"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"

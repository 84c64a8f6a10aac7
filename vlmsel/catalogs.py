"""Read a YAML catalog (`key:` and a list of entries); every mistake becomes one line."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vlmsel.documents import MAX_YAML_BYTES, parse_yaml
from vlmsel.errors import CatalogError
from vlmsel.suggest import nearest

Entry = TypeVar("Entry", bound=BaseModel)
# A name or key in a message is cut here: it may be a whole document.
MAX_SHOWN = 80


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
            shown = str(found)[:MAX_SHOWN]
            raise CatalogError(f"{path}: unknown key '{shown}'{_nearest_or_all(shown, [key])}")
    entries = document.get(key)
    if not isinstance(entries, list) or not entries:
        msg = f"{path}: '{key}' must be a list with at least one entry, not {_kind(entries)}"
        raise CatalogError(msg)
    return tuple(_entry(path, key, i, e, schema, name_key) for i, e in enumerate(entries))


def first_problem(error: ValidationError, schema: type[BaseModel]) -> str:
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
    if isinstance(name := entry.get(name_key), str | int | float) and name:
        place = f"{place} ({str(name)[:MAX_SHOWN]})"
    try:
        return schema.model_validate(entry)
    except ValidationError as error:
        raise CatalogError(f"{place}: {first_problem(error, schema)}") from None


def _read_yaml(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_YAML_BYTES + 1)
        return parse_yaml(data.decode("utf-8-sig"))
    except FileNotFoundError:
        raise CatalogError(f"catalog {path} does not exist") from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"catalog {path} cannot be read: {error}") from None
    except OSError as error:
        raise CatalogError(f"catalog {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise CatalogError(f"{path}: not valid YAML: {error}") from None


def _nearest_or_all(name: str, known: list[str]) -> str:
    return nearest(name, known, n=1) or f"; known keys: {', '.join(known)}"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"

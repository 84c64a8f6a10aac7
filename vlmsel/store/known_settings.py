"""Which settings a store holds: ``settings.json`` beside the cells, and words for differences."""

from collections.abc import Mapping

from pydantic import ValidationError

from vlmsel.errors import StoreError
from vlmsel.measurements.measurement import Measurement
from vlmsel.measurements.registry import measurement_class
from vlmsel.settings import SCHEMA_VERSION
from vlmsel.store.cells import settings_folder
from vlmsel.store.filesystem import Folder

SETTINGS_FILE = "settings.json"


def write(folder: Folder, measurement: Measurement, *, again: bool = False) -> None:
    """Note the settings, unless they are noted already; `again` writes them in any case."""
    path = settings_folder(measurement.kind, measurement.digest)
    if again or SETTINGS_FILE not in folder.names(path):
        data = measurement.model_dump_json(indent=1).encode()
        folder.write_atomic(f"{path}/{SETTINGS_FILE}", data)


def read(folder: Folder, kind: str) -> dict[str, Measurement]:
    """Measurements of a kind by the digest of their settings.

    Raises:
        StoreError: a settings file is damaged or from another version.
    """
    found: dict[str, Measurement] = {}
    for digest in sorted(folder.folders(kind)):
        path = settings_folder(kind, digest)
        if SETTINGS_FILE not in folder.names(path):
            continue
        measurement = _parse(kind, folder.read(f"{path}/{SETTINGS_FILE}"))
        if measurement is not None and _is_earlier(measurement, digest):
            # `vlmsel store migrate` brings its cells under this version.
            continue
        if measurement is None or measurement.digest != digest:
            raise StoreError(
                f"{folder.address}/{path}/{SETTINGS_FILE} is damaged or of another version: "
                f"delete this one file, the next `vlmsel measure {kind}` writes it again"
            )
        found[digest] = measurement
    return found


def _is_earlier(measurement: Measurement, digest: str) -> bool:
    """Whether a digest is that of the same settings under an earlier schema version."""
    return any(measurement.digest_under(schema) == digest for schema in range(1, SCHEMA_VERSION))


def read_earlier(folder: Folder, kind: str) -> dict[int, list[Measurement]]:
    """Measurements of a kind that the store holds under earlier schema versions, by version."""
    found: dict[int, list[Measurement]] = {}
    for digest in sorted(folder.folders(kind)):
        path = settings_folder(kind, digest)
        if SETTINGS_FILE not in folder.names(path):
            continue
        measurement = _parse(kind, folder.read(f"{path}/{SETTINGS_FILE}"))
        for schema in range(1, SCHEMA_VERSION):
            if measurement is not None and measurement.digest_under(schema) == digest:
                found.setdefault(schema, []).append(measurement)
    return found


def _parse(kind: str, data: bytes) -> Measurement | None:
    try:
        return measurement_class(kind).model_validate_json(data)
    except (ValidationError, RecursionError):
        return None


def differences(stored: Measurement, asked: Measurement) -> str:
    """Such as ``n_steps 50 (store) vs 16 (asked), rule captum (store) vs trapezoid (asked)``."""
    old, new = flat(stored), flat(asked)
    return ", ".join(
        f"{name} {old[name]} (store) vs {new[name]} (asked)"
        for name in old
        if old[name] != new[name]
    )


def explain(present: Mapping[str, Measurement], asked: Measurement) -> str:
    """How each of the store's settings differs from those asked for."""
    if not present:
        return f"it holds no {asked.kind} at all"
    return "; or ".join(
        differences(stored, asked) or f"schema version of {d}" for d, stored in present.items()
    )


def flat(measurement: Measurement) -> dict[str, object]:
    """Settings by name, those of a nested model among them."""
    found: dict[str, object] = {}
    for name, value in measurement.model_dump().items():
        found.update(value if isinstance(value, dict) else {name: value})
    return found

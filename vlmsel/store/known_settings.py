"""Settings that a store holds: ``settings.json`` beside the cells, and words for differences."""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from vlmsel.errors import StoreError
from vlmsel.measurements.kinds import measurement_class
from vlmsel.measurements.measurement import Measurement
from vlmsel.settings import SCHEMA_VERSION
from vlmsel.store.cells import settings_folder
from vlmsel.store.filesystem import Folder

SETTINGS_FILE = "settings.json"
# Versions after this one that are known for newer.
FARTHEST = SCHEMA_VERSION + 100


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
    for digest, measurement in _read_noted(folder, kind):
        schema = None if measurement is None else _schema_of(measurement, digest)
        if measurement is None or schema is None:
            path = settings_folder(kind, digest)
            raise StoreError(
                f"{folder.address}/{path}/{SETTINGS_FILE} is damaged or of another version: "
                "install the vlmsel that wrote it; if it is damaged, delete this one file, and "
                f"the next `vlmsel measure {kind}` writes it again"
            )
        # `vlmsel store migrate` brings cells of earlier versions under this one.
        if schema == SCHEMA_VERSION:
            found[digest] = measurement
    return found


def read_earlier(folder: Folder, kind: str) -> dict[int, list[Measurement]]:
    """Measurements of a kind that the store holds under earlier schema versions, by version."""
    found: dict[int, list[Measurement]] = {}
    for digest, measurement in _read_noted(folder, kind):
        schema = None if measurement is None else _schema_of(measurement, digest)
        if measurement is not None and schema is not None and schema < SCHEMA_VERSION:
            found.setdefault(schema, []).append(measurement)
    return found


def readable_digests(folder: Folder, kind: str) -> set[str]:
    """Digests of the settings of a kind that are of this schema version or an earlier one."""
    return {
        digest
        for digest, measurement in _read_noted(folder, kind)
        if measurement is not None
        and (schema := _schema_of(measurement, digest)) is not None
        and schema <= SCHEMA_VERSION
    }


def _read_noted(folder: Folder, kind: str) -> Iterator[tuple[str, Measurement | None]]:
    """Every digest with a settings file, and what it says; None where it cannot be read."""
    for digest in sorted(folder.folders(kind)):
        path = settings_folder(kind, digest)
        if SETTINGS_FILE in folder.names(path):
            yield digest, _parse(kind, folder.read(f"{path}/{SETTINGS_FILE}"))


def _schema_of(measurement: Measurement, digest: str) -> int | None:
    """The schema version under which these settings have a digest; None where none is known."""
    versions = (SCHEMA_VERSION, *range(1, SCHEMA_VERSION), *range(SCHEMA_VERSION + 1, FARTHEST))
    return next((v for v in versions if measurement.digest_under(v) == digest), None)


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
    """Say how each of the store's settings differs from those asked for."""
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

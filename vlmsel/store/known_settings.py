"""Which settings a store holds: ``settings.json`` beside the cells, and words for differences."""

from pydantic import ValidationError

from vlmsel.errors import StoreError
from vlmsel.settings import AttributionSettings
from vlmsel.store.cells import PROFILES
from vlmsel.store.filesystem import Folder

SETTINGS_FILE = "settings.json"


def write(folder: Folder, settings: AttributionSettings) -> None:
    """Note the settings, unless they are noted already."""
    path = f"{PROFILES}/{settings.digest}"
    if SETTINGS_FILE not in folder.names(path):
        folder.write_atomic(f"{path}/{SETTINGS_FILE}", settings.model_dump_json(indent=1).encode())


def read(folder: Folder) -> dict[str, AttributionSettings]:
    """Settings by digest.

    Raises:
        StoreError: a settings file is damaged or from another version.
    """
    found: dict[str, AttributionSettings] = {}
    for digest in sorted(folder.folders(PROFILES)):
        path = f"{PROFILES}/{digest}"
        if SETTINGS_FILE not in folder.names(path):
            continue
        try:
            settings = AttributionSettings.model_validate_json(
                folder.read(f"{path}/{SETTINGS_FILE}")
            )
        except ValidationError as error:
            raise StoreError(
                f"{folder.address}/{path}/{SETTINGS_FILE} is damaged or of another version: "
                "delete this one file, the next `vlmsel profile` writes it again"
            ) from error
        found[digest] = settings
    return found


def differences(stored: AttributionSettings, asked: AttributionSettings) -> str:
    """Such as ``n_steps 50 (store) vs 16 (asked), rule captum (store) vs trapezoid (asked)``."""
    pairs = (
        (name, getattr(stored, name), getattr(asked, name))
        for name in AttributionSettings.model_fields
    )
    return ", ".join(
        f"{name} {old} (store) vs {new} (asked)" for name, old, new in pairs if old != new
    )


def explain(present: dict[str, AttributionSettings], asked: AttributionSettings) -> str:
    """How each of the store's settings differs from those asked for."""
    if not present:
        return "it holds no profiles at all"
    return "; or ".join(
        differences(stored, asked) or f"schema version of {d}" for d, stored in present.items()
    )


def describe(address: str, present: dict[str, AttributionSettings], asked: str | None) -> str:
    """The message when no settings were named (`asked` is None) or those named are not here."""
    if not present:
        return f"store {address} holds no profiles: run `vlmsel profile` first"
    shared = [
        n
        for n in AttributionSettings.model_fields
        if len({getattr(s, n) for s in present.values()}) == 1
    ]
    varying = [n for n in AttributionSettings.model_fields if n not in shared] or list(shared)
    words = "; ".join(
        f"{digest}: " + ", ".join(f"{name} {getattr(settings, name)}" for name in varying)
        for digest, settings in present.items()
    )
    if asked is None:
        return f"store {address} holds profiles under {len(present)} settings, name one: {words}"
    return f"store {address} was written under other settings than {asked}; it holds {words}"

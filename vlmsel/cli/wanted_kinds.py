"""The wanted measurements, from the options of the command line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlmsel.addresses import absolute_path
from vlmsel.cli.options import AttributionChoice, Preset
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.measurements.measurement import Measurement
    from vlmsel.tasks.task_catalog import TaskCatalog


@dataclass(frozen=True)
class MeasurementOptions:
    """Options about measurements, by kind; see `vlmsel.api.workspace.open_workspace`."""

    measurements: dict[str, "Measurement"]
    n_images: dict[str, int | None]


def read_wants(
    kinds: Iterable[str],
    *,
    preset: Preset | None = None,
    attribution: AttributionChoice | None = None,
    setting: Sequence[str] | None = None,
    n_images: Sequence[str] | None = None,
    counted: Iterable[str] | None = None,
) -> MeasurementOptions:
    """Read the measurements whose settings were given, and numbers of images.

    Args:
        kinds: those that are measured.
        preset: of the profiles.
        attribution: of the profiles.
        setting: ``KEY=VALUE``; every key belongs to one kind.
        n_images: ``N``, ``all`` or ``KIND=N``.
        counted: kinds that a number without a kind is for; all of them by default.

    Raises:
        SettingsError: a key, value or kind that does not exist, with what may be given.
    """
    names = tuple(kinds)
    measurements = _measurements(preset, attribution, setting or ())
    for kind in measurements:
        if kind not in names:
            raise SettingsError(
                f"{kind} is not measured here, but {', '.join(names)}: leave out its settings"
            )
    numbers = _numbers(names, names if counted is None else tuple(counted), n_images or ())
    return MeasurementOptions(measurements, numbers)


def _measurements(
    preset: Preset | None, attribution: AttributionChoice | None, setting: Sequence[str]
) -> dict[str, "Measurement"]:
    from vlmsel.measurements.kinds import measurement_class, measurement_kinds
    from vlmsel.measurements.profile import Profile
    from vlmsel.settings import AttributionSettings, make_settings

    values: dict[str, dict[str, object]] = {}
    kind_of = {
        key: kind
        for kind in measurement_kinds()
        for key in measurement_class(kind).model_fields
        if kind != Profile.kind
    }
    for item in setting:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise SettingsError(f"--set {item}: write it as KEY=VALUE, e.g. --set n_steps=32")
        key = key.replace("-", "_")
        values.setdefault(kind_of.get(key, Profile.kind), {})[key] = value
    if attribution is not None:
        values.setdefault(Profile.kind, {})["attribution"] = attribution.value
    found: dict[str, Measurement] = {}
    if preset is not None or Profile.kind in values:
        name = "paper" if preset is Preset.paper else "default"
        fields: dict[str, object] = AttributionSettings.preset(name).model_dump()
        fields |= values.pop(Profile.kind, {})
        found[Profile.kind] = Profile(settings=make_settings(fields))
    for kind, fields in values.items():
        found[kind] = _make_measurement(kind, fields)
    return found


def _make_measurement(kind: str, fields: dict[str, object]) -> "Measurement":
    from pydantic import ValidationError

    from vlmsel.measurements.kinds import measurement_class

    try:
        return measurement_class(kind).model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else kind
        raise SettingsError(f"{kind} setting {key}={fields.get(key)!r}: {first['msg']}") from None


def _numbers(
    kinds: Sequence[str], counted: Sequence[str], numbers: Sequence[str]
) -> dict[str, int | None]:
    from vlmsel.measurements.kinds import measurement_class

    found: dict[str, int | None] = {}
    for item in numbers:
        kind, equals, text = item.rpartition("=")
        number = None if text == "all" else _number(text, item)
        if equals:
            if measurement_class(kind).of_texts:
                raise SettingsError(f"--n-images {item}: {kind} is measured of all texts")
            if kind not in kinds:
                raise SettingsError(f"--n-images {item}: {kind} is not measured here")
            found[kind] = number
        else:
            images = [kind for kind in counted if not measurement_class(kind).of_texts]
            if not images:
                raise SettingsError(f"--n-images {item}: {' and '.join(counted)} reads no images")
            found = {**dict.fromkeys(images, number), **found}
    return found


def _number(text: str, item: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:10]) < 10**9:
        raise SettingsError(f"--n-images {item}: give a number of at least 1, all, or KIND=N")
    return int(text)


def labels_by_task(tasks: "TaskCatalog", items: Sequence[str] | None) -> dict[str, str]:
    """Absolute paths of the labels files that were named on the command line.

    Args:
        tasks: the catalog.
        items: ``FILE``, where it has one task, or ``TASK=FILE``.

    Raises:
        SettingsError: a file without a task where there are several, or two for one task.
        TaskError: there is no such task.
    """
    files: dict[str, str] = {}
    names = {spec.name for spec in tasks.tasks}
    for item in items or ():
        task, equals, file = item.partition("=")
        if not equals or (task not in names and Path(item).exists()):
            if len(names) > 1:
                raise SettingsError(
                    f"--labels {item}: the catalog has {len(names)} tasks, say which: TASK={item}"
                )
            task, file = next(iter(names)), item
        tasks.find(task)
        if task in files:
            raise SettingsError(f"--labels {item}: task {task} has {files[task]} already")
        files[task] = str(absolute_path(file, "--labels", SettingsError))
    return files

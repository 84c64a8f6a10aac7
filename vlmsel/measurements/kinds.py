"""Kinds of measurement by name."""

from vlmsel.errors import SettingsError
from vlmsel.measurements.embedding import Embedding
from vlmsel.measurements.knockout import Knockout
from vlmsel.measurements.measurement import Measurement
from vlmsel.measurements.prediction import Prediction
from vlmsel.measurements.profile import Profile
from vlmsel.measurements.text import Text
from vlmsel.suggest import nearest

_CLASSES: dict[str, type[Measurement]] = {}


def register_measurement(measurement: type[Measurement]) -> type[Measurement]:
    """Make a kind known by its name; usable as a decorator.

    Raises:
        SettingsError: another class has this kind.
    """
    known = _CLASSES.setdefault(measurement.kind, measurement)
    if known is not measurement:
        raise SettingsError(f"kind {measurement.kind!r} is {known.__name__} already")
    return measurement


def measurement_kinds() -> tuple[str, ...]:
    """Names of all kinds, in the order in which they were registered."""
    return tuple(_CLASSES)


def measurement_class(kind: str) -> type[Measurement]:
    """The class of a kind.

    Raises:
        SettingsError: there is none, with the nearest names.
    """
    if kind not in _CLASSES:
        hint = nearest(kind, _CLASSES) or f"; there are: {', '.join(_CLASSES)}"
        raise SettingsError(f"there is no measurement {kind!r}{hint}")
    return _CLASSES[kind]


for _class in (Profile, Prediction, Embedding, Knockout, Text):
    register_measurement(_class)

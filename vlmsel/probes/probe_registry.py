"""Probes by the kind of measurement that they compute."""

from collections.abc import Callable
from typing import Any

from vlmsel.errors import SettingsError
from vlmsel.measurements.measurement import Measurement
from vlmsel.probes.embedding_probe import EmbeddingProbe
from vlmsel.probes.knockout_probe import KnockoutProbe
from vlmsel.probes.prediction_probe import PredictionProbe
from vlmsel.probes.profile_probe import ProfileProbe
from vlmsel.probes.protocol import Probe
from vlmsel.probes.text_probe import TextProbe

_PROBES: dict[str, Callable[[Any], Probe]] = {}


def register_probe(kind: str, make: Callable[[Any], Probe]) -> None:
    """Make a probe known by the kind that it computes; `make` takes the measurement.

    Raises:
        SettingsError: the kind has another probe.
    """
    if _PROBES.setdefault(kind, make) is not make:
        raise SettingsError(f"kind {kind!r} has a probe already")


def make_probe(measurement: Measurement) -> Probe:
    """The probe of a measurement.

    Raises:
        SettingsError: no probe computes its kind.
    """
    if measurement.kind not in _PROBES:
        raise SettingsError(f"no probe computes {measurement.kind!r}: `register_probe` adds one")
    return _PROBES[measurement.kind](measurement)


register_probe("profile", ProfileProbe)
register_probe("prediction", PredictionProbe)
register_probe("embedding", EmbeddingProbe)
register_probe("knockout", KnockoutProbe)
register_probe("text", TextProbe)

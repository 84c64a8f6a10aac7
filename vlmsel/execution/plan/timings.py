"""Measured times of models, kept beside the cells; the next plan starts from them."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

from vlmsel.documents import parse_json
from vlmsel.execution.plan.units import Job
from vlmsel.measurements.measurement import Measurement
from vlmsel.store.filesystem import Folder
from vlmsel.store.store import Store

TIMINGS = "timings"
# Seconds per image that no measurement takes: a note that says so is damaged.
LONGEST_S = 1e5


class TimedImages(Protocol):
    """Images that have values, and the seconds that all of them took."""

    @property
    def n_images(self) -> int:
        """Number of these images."""
        ...

    @property
    def seconds(self) -> float:
        """Time of all of them."""
        ...


# By kind, model, pretrained and task, as the summary of a run holds them.
Tallies = Mapping[tuple[str, str, str, str], TimedImages]


def read_timings(store: Store, measurement: Measurement) -> dict[str, float]:
    """Measured seconds per image by model name.

    Empty before the first run or where the note is damaged.
    """
    folder, name = store.folder, _name(measurement)
    if name not in folder.names(TIMINGS):
        return {}
    return _parse(folder, name)


def write_timings(store: Store, job: Job, tallies: Tallies) -> None:
    """Keep what a run measured.

    Two drivers may overwrite each other: it is a hint, never a result.
    """
    for kind, measurement in job.measurements.items():
        measured = seconds_per_image(tallies, kind)
        if measured:
            known = read_timings(store, measurement) | measured
            data = json.dumps(known, sort_keys=True, indent=1).encode()
            store.folder.write_atomic(f"{TIMINGS}/{_name(measurement)}", data)


def seconds_per_image(tallies: Tallies, kind: str) -> dict[str, float]:
    """Compute per image of a kind by model name, of the models that measured something."""
    images: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    for (measured_kind, model, pretrained, _), tally in tallies.items():
        if measured_kind == kind:
            images[f"{model}/{pretrained}"] += tally.n_images
            seconds[f"{model}/{pretrained}"] += tally.seconds
    return {name: seconds[name] / count for name, count in images.items() if count}


def _name(measurement: Measurement) -> str:
    return f"{measurement.kind}-{measurement.digest}.json"


def _parse(folder: Folder, name: str) -> dict[str, float]:
    try:
        record = parse_json(folder.read(f"{TIMINGS}/{name}"))
        found = {str(model): float(seconds) for model, seconds in record.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        return {}
    return {model: s for model, s in found.items() if 0 < s < LONGEST_S}

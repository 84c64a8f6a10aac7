"""How long models really took, kept beside the cells; the next plan starts from it."""

import json
from collections import defaultdict

from vlmsel.execution.cells import Job
from vlmsel.execution.summary import RunSummary
from vlmsel.store.filesystem import Folder, open_folder

TIMINGS = "timings"


def read_timings(store_uri: str, job: Job) -> dict[str, float]:
    """Measured seconds per image by model name.

    Empty before the first run or where the note is damaged.
    """
    folder, name = open_folder(store_uri), f"{job.digest}.json"
    if name not in folder.names(TIMINGS):
        return {}
    return _parse(folder, name)


def write_timings(store_uri: str, job: Job, summary: RunSummary) -> None:
    """Keep what a run measured.

    Two drivers may overwrite each other: it is a hint, never a result.
    """
    measured = seconds_per_image(summary)
    if measured:
        known = read_timings(store_uri, job) | measured
        data = json.dumps(known, sort_keys=True, indent=1).encode()
        open_folder(store_uri).write_atomic(f"{TIMINGS}/{job.digest}.json", data)


def seconds_per_image(summary: RunSummary) -> dict[str, float]:
    """Compute per image by model name, of the models that measured something."""
    images: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    for (model, pretrained, _), tally in summary.tallies.items():
        images[f"{model}/{pretrained}"] += tally.n_images
        seconds[f"{model}/{pretrained}"] += tally.seconds
    return {name: seconds[name] / count for name, count in images.items() if count}


def _parse(folder: Folder, name: str) -> dict[str, float]:
    try:
        record = json.loads(folder.read(f"{TIMINGS}/{name}"))
        return {str(model): float(seconds) for model, seconds in record.items()}
    except (ValueError, TypeError, AttributeError):
        return {}

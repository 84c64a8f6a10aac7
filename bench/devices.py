"""One device against the CPU: the same profiles, predictions, embeddings and answers; how fast.

    python bench/devices.py                                # a GPU, all parts
    python bench/devices.py --device cpu --quick           # the same on the CPU alone, to try it

Parts:
    zoo            the embedded dual encoders on drawn tasks, measured with the work loop into a
                   store per device; and in bf16 on the device, against fp32 on the same
    architectures  profiles of large towers with random weights, in fp32 and bf16
    questions      the embedded generative models: options scored, answers generated, layers
                   silenced

Images per second are those of a run after a short one that warms up; only what a device computes
is counted, neither decoding nor loading. The CPU has all its threads and no warm-up.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from attribution import subject
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.attribution import attribute
from vlmsel.attribution.block_scores import profile_distance
from vlmsel.attribution.model_attribution import ieee_float32
from vlmsel.demo import VLM_ZOO, ZOO
from vlmsel.demo.demo_questions import demo_questions
from vlmsel.demo.demo_tasks import write_demo_tasks
from vlmsel.demo.question_bundle import write_demo_questions
from vlmsel.errors import VlmselError, first_line
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.run import execute
from vlmsel.measurements import Embedding, Knockout, Prediction, Profile
from vlmsel.measurements.measurement import Measurement
from vlmsel.settings import AttributionSettings
from vlmsel.tasks.task_catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo

REFERENCE = "cpu"
WARM_UP = 8
SMALLEST = "ViT-S-32-alt"
ARCHITECTURES = ("ViT-B-32", "RN50", "convnext_tiny")
TASKS, QUESTIONS = ("shapes-a", "textures-b", "land-a"), ("counting", "shapes", "left-shape")
KEY = ["model", "task", "image_id"]
FAULTS = (RuntimeError, VlmselError, AssertionError, OSError, ValueError)
Record = dict[str, float | str]


@dataclass(frozen=True)
class Measured:
    """A store's evidence, and what measuring took.

    Attributes:
        evidence: what was measured.
        seconds: by kind and model, spent in measuring.
        n_images: by kind and model.
    """

    evidence: Evidence
    seconds: dict[tuple[str, str], float]
    n_images: dict[tuple[str, str], int]

    def rate(self, kind: str, model: str) -> float:
        """Images per second of one model."""
        return self.n_images[kind, model] / self.seconds[kind, model]


def measure(
    folder: Path,
    catalogs: dict[str, Path],
    wants: dict[str, Measurement],
    n_images: int,
    device: str,
) -> Measured:
    """Measure all of the wants on a device, from an empty store."""
    workspace: Workspace = open_workspace(
        folder, **catalogs, measurements=wants, n_images=dict.fromkeys(wants, n_images)
    )
    options = RunOptions(device=device, threads=os.cpu_count() or 1)
    seconds: dict[tuple[str, str], float] = {}
    counts: dict[tuple[str, str], int] = {}

    def note(outcome: CellOutcome) -> None:
        place = outcome.cell.kind, outcome.cell.model
        seconds[place] = seconds.get(place, 0.0) + outcome.seconds
        counts[place] = counts.get(place, 0) + outcome.n_images

    done = execute(workspace.plan(list(wants)), workspace.store, options=options, on_outcome=note)
    assert not done.n_failures, [failure.reason for failure in done.failures][:3]
    evidence = Evidence(
        workspace.store, workspace.catalogued, workspace.wants, with_logits="prediction" in wants
    )
    return Measured(evidence, seconds, counts)


def measure_twice(
    folder: Path,
    catalogs: dict[str, Path],
    wants: dict[str, Measurement],
    n_images: int,
    device: str,
) -> Measured:
    """Measure after a short run that warms up."""
    measure(folder / "first", catalogs, wants, min(n_images, WARM_UP), device)
    return measure(folder / "second", catalogs, wants, n_images, device)


def stacked(rows: pl.DataFrame, model: str, value: str, by: Sequence[str] = KEY) -> np.ndarray:
    """Values of one model's rows in a fixed order; lists become a row each."""
    column = rows.filter(pl.col("model") == model).sort(by)[value]
    if isinstance(column.dtype, pl.List):
        return np.array([np.asarray(one, dtype=np.float64) for one in column.to_list()])
    return column.to_numpy().astype(np.float64)


def flattened(rows: pl.DataFrame, model: str, value: str) -> np.ndarray:
    """All numbers of one model's lists, one row after the other."""
    lists = rows.filter(pl.col("model") == model).sort(KEY)[value]
    return lists.explode().to_numpy().astype(np.float64)


def profiles_of(evidence: Evidence, model: str) -> torch.Tensor:
    """Normalised profiles (images, blocks)."""
    rows = evidence.profiles.filter(pl.col("model") == model).sort([*KEY, "block"])
    n_blocks = rows["block"].n_unique()
    return torch.from_numpy(rows["conductance"].to_numpy().reshape(-1, n_blocks).copy())


def normal(scores: torch.Tensor) -> np.ndarray:
    """Profiles whose blocks sum to one."""
    return (scores / scores.sum(dim=1, keepdim=True)).numpy()


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest value."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def unequal(found: np.ndarray, expected: np.ndarray) -> int:
    """Number of unequal values."""
    assert found.shape == expected.shape
    return int((found != expected).sum())


def write_json(path: Path, catalog: BaseModel) -> Path:
    """Write a catalog; JSON is YAML."""
    path.write_text(catalog.model_dump_json(exclude_none=True))
    return path


def bf16_profiles() -> Profile:
    """Profiles under the default settings, but in bf16."""
    return Profile(settings=AttributionSettings(precision="bf16"))


def zoo_part(folder: Path, device: str, *, quick: bool) -> list[Record]:
    """Compare what the embedded dual encoders give."""
    n_images = 4 if quick else 16
    zoo = load_zoo(ZOO)
    everything = load_tasks(write_demo_tasks(folder / "tasks", n_images=n_images))
    tasks = tuple(task for task in everything.tasks if task.name in TASKS[: 1 if quick else None])
    catalogs = {
        "zoo": write_json(folder / "zoo.yaml", Zoo(models=zoo.models[:: 4 if quick else 1])),
        "tasks": write_json(folder / "tasks.yaml", TaskCatalog(tasks=tasks)),
    }
    wants: dict[str, Measurement] = {
        "profile": Profile(),
        "prediction": Prediction(),
        "embedding": Embedding(),
    }
    expected = measure(folder / REFERENCE, catalogs, wants, n_images, REFERENCE)
    found = measure_twice(folder / "device", catalogs, wants, n_images, device)
    halved = measure(folder / "bf16", catalogs, {"profile": bf16_profiles()}, n_images, device)
    records: list[Record] = []
    for model in sorted({name for _, name in expected.seconds}):
        exact, mine = profiles_of(expected.evidence, model), profiles_of(found.evidence, model)
        tables = [one.evidence.predictions for one in (found, expected)]
        vectors = [one.evidence.read("embedding").measured for one in (found, expected)]
        short = profiles_of(halved.evidence, model)
        sums = [stacked(table, model, "log_sum_exp") for table in tables]
        records.append(
            {
                "model": model,
                "images": float(len(exact)),
                "profile L1": float(profile_distance(mine, exact).max()),
                "profile relative": relative(normal(mine), normal(exact)),
                "embedding": relative(*(stacked(table, model, "vector") for table in vectors)),
                "log-sum-exp": relative(*sums),
                "logits (fp16)": relative(*(stacked(table, model, "logits") for table in tables)),
                "answers that differ": unequal(
                    *(stacked(table, model, "argmax") for table in tables)
                ),
                "bf16 profile L1": float(profile_distance(short, mine).max()),
                "profiles/s": found.rate("profile", model),
                "profiles/s on the CPU": expected.rate("profile", model),
            }
        )
    return records


def architectures_part(_folder: Path, device: str, *, quick: bool) -> list[Record]:
    """Compare profiles of towers of a usual size, with random weights."""
    n_images = 1 if quick else 4
    records: list[Record] = []
    for name in (SMALLEST,) if quick else ARCHITECTURES:
        here, away = (subject(name, n_images, where) for where in (REFERENCE, device))
        # Drawn on each device for itself: the same numbers only from the same place.
        away.model.visual.load_state_dict(here.model.visual.state_dict())
        images = here.images
        exact = attribute(here.model, images, AttributionSettings())
        scores = {
            precision: attribute(
                away.model, images.to(device), AttributionSettings(precision=precision)
            ).scores
            for precision in ("fp32", "bf16")
        }
        with torch.inference_mode(), ieee_float32():
            embedded = [one.model.encode_image(images.to(where)).cpu().numpy()
                        for one, where in ((away, device), (here, REFERENCE))]  # fmt: skip
        records.append(
            {
                "model": name,
                "images": float(n_images),
                "profile L1": float(profile_distance(scores["fp32"], exact.scores).max()),
                "profile relative": relative(normal(scores["fp32"]), normal(exact.scores)),
                "embedding": relative(*embedded),
                "bf16 profile L1": float(profile_distance(scores["bf16"], scores["fp32"]).max()),
            }
        )
    return records


def questions_part(folder: Path, device: str, *, quick: bool) -> list[Record]:
    """Compare answers of the embedded generative models."""
    n_items = 8 if quick else 100
    names = QUESTIONS[: 1 if quick else None]
    chosen = [question for question in demo_questions() if question.name in names]
    catalogs = {
        "zoo": Path(VLM_ZOO),
        "tasks": write_demo_questions(folder / "questions", chosen, n_items=n_items),
    }
    records: list[Record] = []
    for options, most in (("sum", n_items), ("generated", min(n_items, 32))):
        want: dict[str, Measurement] = {"prediction": Prediction(options=options)}
        place = folder / options
        expected = measure(place / REFERENCE, catalogs, want, most, REFERENCE)
        found = measure_twice(place / "device", catalogs, want, most, device)
        for model in sorted({name for _, name in expected.seconds}):
            tables = [one.evidence.predictions for one in (found, expected)]
            answers = [stacked(table, model, "argmax") for table in tables]
            # Tasks differ in their number of options.
            logits = [flattened(table, model, "logits") for table in tables]
            records.append(
                {
                    "model": model,
                    "measured": f"options {options}",
                    "items": float(len(answers[0])),
                    "answers that differ": unequal(*answers),
                    "log-probabilities, largest difference": float(
                        np.abs(logits[0] - logits[1]).max()
                    ),
                    "items/s": found.rate("prediction", model),
                    "items/s on the CPU": expected.rate("prediction", model),
                }
            )
    records += silenced_records(folder / "silenced", catalogs, min(n_items, 32), device)
    return records


def silenced_records(
    folder: Path, catalogs: dict[str, Path], n_items: int, device: str
) -> list[Record]:
    """Compare answers with layers of the language model silenced."""
    want: dict[str, Measurement] = {"knockout": Knockout(tower="text", part="attention")}
    expected = measure(folder / REFERENCE, catalogs, want, n_items, REFERENCE)
    found = measure_twice(folder / "device", catalogs, want, n_items, device)
    records: list[Record] = []
    for model in sorted({name for _, name in expected.seconds}):
        tables = [one.evidence.read("knockout").measured for one in (found, expected)]
        answers = [stacked(table, model, "argmax", [*KEY, "layer"]) for table in tables]
        records.append(
            {
                "model": model,
                "measured": "attention silenced, layer by layer",
                "items": float(found.n_images["knockout", model]),
                "answers that differ": unequal(*answers),
                "items/s": found.rate("knockout", model),
                "items/s on the CPU": expected.rate("knockout", model),
            }
        )
    return records


PARTS: dict[str, Callable[..., list[Record]]] = {
    "zoo": zoo_part,
    "architectures": architectures_part,
    "questions": questions_part,
}


def show(title: str, records: Sequence[Record], console: Console) -> None:
    """Print records of one part as a table."""
    table = Table(title=title)
    columns = list(dict.fromkeys(key for record in records for key in record))
    for column in columns:
        table.add_column(column, justify="left" if column in ("model", "measured") else "right")
    for record in records:
        cells = (record.get(column, "-") for column in columns)
        table.add_row(*(cell if isinstance(cell, str) else f"{cell:.3g}" for cell in cells))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a few models and images only")
    parser.add_argument("--out", type=Path, help="a line of JSON per part")
    asked = parser.parse_args()
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("no GPU here: --device cpu --quick tries the script")
    console = Console()
    name = torch.cuda.get_device_name() if asked.device.startswith("cuda") else "CPU"
    for part in asked.parts:
        start = time.perf_counter()
        fault, records = "", []
        with tempfile.TemporaryDirectory() as folder:
            try:
                records = PARTS[part](Path(folder), asked.device, quick=asked.quick)
            except FAULTS as error:
                fault = first_line(error)
        taken = time.perf_counter() - start
        show(f"{part}: {name} against the CPU, torch {torch.__version__}", records, console)
        console.print(f"{part}: {f'failed: {fault}' if fault else 'done'} in {taken:.0f} s")
        if asked.out:
            line = {"part": part, "records": records, "fault": fault, "seconds": taken}
            with asked.out.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()

"""Files of the demo's questions: a Parquet table of items per task, and a catalog of them.

The same byte for byte every time with the same packages; each file appears all at once.
"""

import hashlib
import importlib.metadata
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from vlmsel.demo.bundle import DRAWING_VERSION, TEST_SEED, png_bytes, replace_file
from vlmsel.demo.demo_questions import DemoQuestion, demo_questions, draw_items

N_ITEMS = 200
CATALOG = "questions.yaml"
_STAMP = "demo-questions.json"
_PACKAGES = ("numpy", "pillow", "scikit-learn", "pyarrow")


def write_demo_questions(
    folder: Path,
    questions: Sequence[DemoQuestion] | None = None,
    *,
    n_items: int = N_ITEMS,
    seed: int = TEST_SEED,
) -> Path:
    """Write test items of tasks and the catalog that lists them.

    A task becomes `<task>.parquet` with the columns id, question, options, answer (the option's
    text) and image (PNG). Nothing is written where the folder already holds just these files.

    Args:
        folder: is made if missing.
        questions: the tasks; all by default.
        n_items: per task; the answers are balanced.
        seed: another seed gives other pictures.

    Returns:
        The path of the catalog.
    """
    chosen = tuple(demo_questions() if questions is None else questions)
    folder.mkdir(parents=True, exist_ok=True)
    made_by = _describe_making(chosen, n_items, seed)
    if not _is_current(folder, made_by):
        for question in chosen:
            table = _table(question, n_items, seed)
            replace_file(folder / f"{question.name}.parquet", table)
        catalog = yaml.safe_dump(_catalog(chosen), sort_keys=False)
        replace_file(folder / CATALOG, catalog.encode())
        stamp = {"made_by": made_by, "sha256": _hashes(folder, made_by)}
        replace_file(folder / _STAMP, json.dumps(stamp, indent=1).encode())
    return folder / CATALOG


def _catalog(questions: Sequence[DemoQuestion]) -> dict[str, Any]:
    return {
        "tasks": [
            {
                "name": question.name,
                "questions": f"{question.name}.parquet",
                "answers": "words",
            }
            for question in questions
        ]
    }


def _table(question: DemoQuestion, n_items: int, seed: int) -> bytes:
    images, answers = draw_items(question, split="test", n=n_items, seed=seed)
    columns = {
        "id": [f"{number:06d}" for number in range(n_items)],
        "question": [question.text] * n_items,
        "options": [list(question.options)] * n_items,
        "answer": [question.options[answer] for answer in answers],
        "image": [png_bytes(image) for image in images],
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def _describe_making(questions: Sequence[DemoQuestion], n_items: int, seed: int) -> dict[str, Any]:
    """Return all that decides the bytes of the files."""
    return {
        "drawing_version": DRAWING_VERSION,
        "n_items": n_items,
        "seed": seed,
        "tasks": [question.name for question in questions],
        **{package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def _hashes(folder: Path, made_by: dict[str, Any]) -> dict[str, str]:
    """Return the hash of every file; a missing file has the hash of nothing."""
    paths = [folder / f"{name}.parquet" for name in made_by["tasks"]] + [folder / CATALOG]
    return {
        path.name: hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()
        for path in paths
    }


def _is_current(folder: Path, made_by: dict[str, Any]) -> bool:
    try:
        stamp = json.loads((folder / _STAMP).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return stamp == {"made_by": made_by, "sha256": _hashes(folder, made_by)}

"""A problem as a file, so that a driver in another process measures the same."""

import json
from pathlib import Path

from vlmsel.settings import AttributionSettings
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

Problem = tuple[Zoo, TaskCatalog, AttributionSettings]


def write_problem(path: Path, problem: Problem) -> Path:
    path.write_text(json.dumps([part.model_dump(mode="json") for part in problem]))
    return path


def read_problem(path: str | Path) -> Problem:
    zoo, tasks, settings = json.loads(Path(path).read_text())
    return (
        Zoo.model_validate(zoo),
        TaskCatalog.model_validate(tasks),
        AttributionSettings.model_validate(settings),
    )

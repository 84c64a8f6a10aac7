"""Two models of the embedded zoo with predictions on two tasks, and a folder to label."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from vlmsel.api.answer import AnswerOptions
from vlmsel.api.known_zoo import KnownZoo, known_zoo
from vlmsel.api.label_plan import LabelPlan, plan_labels
from vlmsel.cli.app import run
from vlmsel.demo.demo_tasks import sample_truth, write_demo_tasks, write_sample_folder
from vlmsel.demo.families import demo_task
from vlmsel.tasks.task_catalog import load_tasks
from vlmsel.zoo.catalog import load_zoo

MODELS = ("demo-vit-general", "demo-resnet-letters")
TASKS = ("letters-b", "shapes-a")
TASK = demo_task("letters-a")
CLASSES = TASK.classnames
N_IMAGES = 30


@dataclass(frozen=True)
class SmallLab:
    """A store of source tasks, and images with their truth."""

    store: Path
    images: Path
    truth: dict[str, str]

    @property
    def zoo(self) -> KnownZoo:
        """The zoo of the store, read anew."""
        return known_zoo(str(self.store), None, None)

    def plan(self, out: Path, classes: tuple[str, ...] = CLASSES) -> LabelPlan:
        """A session's plan; its labels go to `out`."""
        options = AnswerOptions(classnames=classes, templates=TASK.templates)
        return plan_labels(self.images, self.zoo, options, out=out)


def make_small_lab(folder: Path, n_images: int = N_IMAGES) -> SmallLab:
    """Measure it; some seconds."""
    everything = load_tasks(write_demo_tasks(folder / "drawn", n_images=8))
    chosen = [everything.find(name).model_dump(mode="json", exclude_none=True) for name in TASKS]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": chosen}))
    zoo = [
        load_zoo("demo").find(name).model_dump(mode="json", exclude_none=True) for name in MODELS
    ]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": zoo}))
    catalogs = ["--zoo", folder / "zoo.yaml", "--tasks", folder / "tasks.yaml"]
    command = ["accuracy", *catalogs, "--store", folder / "store"]
    assert run([str(word) for word in command]) == 0
    images = write_sample_folder(folder / "letters", TASK, n=n_images)
    return SmallLab(folder / "store", images, sample_truth(TASK, n_images))

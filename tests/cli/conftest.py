"""A small laboratory, measured once a session through the real command line."""

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from tests.shared_folders import fill_once
from vlmsel.cli.app import run
from vlmsel.demo.demo_tasks import write_demo_tasks, write_sample_folder
from vlmsel.demo.families import demo_task
from vlmsel.tasks.task_catalog import load_tasks
from vlmsel.zoo.catalog import load_zoo

MODELS = ("demo-vit-general", "demo-resnet-letters", "demo-resnet-general", "demo-vit-digits")
TASKS = ("letters-a", "letters-b", "digits-a", "digits-b", "shapes-a", "textures-a")
N_IMAGES = 8
BLANK = "<svg></svg>"
PRINT_PNG = "matplotlib.backends.backend_agg.FigureCanvasAgg.print_png"


@dataclass(frozen=True)
class Lab:
    """Catalogs, and a store with profiles (of 8 images) and predictions of 4 models on 6 tasks."""

    zoo: Path
    tasks: Path
    store: Path
    images: Path
    uri: str


@dataclass(frozen=True)
class Answer:
    """Output and exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what was wrong; nothing else may have been said loudly."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


@pytest.fixture
def vlmsel(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run one command line in this process."""

    def call(*args: object) -> Answer:
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


def measure_lab(folder: Path) -> None:
    """Fill a folder with catalogs, images, and a store that the command line measured."""
    everything = load_tasks(write_demo_tasks(folder / "drawn", n_images=16))
    chosen = [everything.find(name).model_dump(mode="json", exclude_none=True) for name in TASKS]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": chosen}))
    models = [
        load_zoo("demo").find(name).model_dump(mode="json", exclude_none=True) for name in MODELS
    ]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": models}))
    write_sample_folder(folder / "images", demo_task("letters-a"), n=6)
    places = {name: str(folder / f"{name}.yaml") for name in ("zoo", "tasks")}
    places["store"] = str(folder / "store")
    catalogs = [word for name, place in places.items() for word in (f"--{name}", place)]
    assert run(["profile", *catalogs, "--n-images", str(N_IMAGES)]) == 0
    assert run(["accuracy", "--store", places["store"]]) == 0


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Lab:
    """Measured once a session; do not write to its store, take `own_lab` for that."""
    folder = fill_once(tmp_path_factory, "lab", measure_lab)
    database = shutil.copy(empty_database, tmp_path_factory.mktemp("runs"))
    return Lab(
        zoo=folder / "zoo.yaml",
        tasks=folder / "tasks.yaml",
        store=folder / "store",
        images=folder / "images",
        uri=f"sqlite:///{database}",
    )


@pytest.fixture(scope="session")
def embedded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The laboratory's store with embeddings of its tasks, too; read it only."""

    def embed(folder: Path) -> None:
        store = shutil.copytree(lab.store, folder / "store")
        assert run(["measure", "embedding", "--store", str(store)]) == 0

    return fill_once(tmp_path_factory, "embedded", embed) / "store"


@pytest.fixture(scope="session")
def few(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for three of the laboratory's models on three of its tasks: what takes long."""
    folder, words = tmp_path_factory.mktemp("few"), []
    for name, path in (("models", lab.zoo), ("tasks", lab.tasks)):
        entries = yaml.safe_load(path.read_text())[name]
        (folder / path.name).write_text(yaml.safe_dump({name: entries[:3]}))
        words += [f"--{path.stem}", str(folder / path.name)]
    return words


def save_blank(_: object, file: IO[Any], **_options: object) -> None:
    """Save a figure as an empty picture."""
    file.write(BLANK if isinstance(file, io.TextIOBase) else BLANK.encode())


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not drawn, which takes seconds: nobody looks at them."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save_blank)
    monkeypatch.setattr(PRINT_PNG, save_blank)


@pytest.fixture
def own_lab(lab: Lab, tmp_path: Path) -> Lab:
    """The same with a store and images of one's own, to be written to."""
    store = Path(shutil.copytree(lab.store, tmp_path / "store"))
    images = Path(shutil.copytree(lab.images, tmp_path / "images"))
    return Lab(lab.zoo, lab.tasks, store, images, lab.uri)


@pytest.fixture
def own_uri(empty_database: Path, tmp_path: Path) -> str:
    """A database of runs of the test's own."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"

"""A store with cells that are made up: catalogs and pictures are real, no model is ever run."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from PIL import Image

from vlmsel.api.answer import AnswerOptions, TargetAnswer, answer_images, prepare_target
from vlmsel.api.known_zoo import KnownZoo, known_zoo
from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.evidence.wanted_cells import wanted_cells, wanted_shards
from vlmsel.measurements.knockout import BASE_LAYER
from vlmsel.selection.zoo_answers import image_order
from vlmsel.store.keys import CellId
from vlmsel.tasks.shards import Shard

MODELS = tuple(f"m{i}" for i in range(5))
# The order of the models is m0, m1, .. on every task, and the other way round on the last.
TASKS = ("ant", "bee", "cow", "dog", "elk", "odd")
CLASSES = ("circle", "square", "star")
KINDS = ("profile", "prediction", "embedding")
N_IMAGES = 12
N_BLOCKS = 3

Values = dict[str, Any]


@dataclass(frozen=True)
class MadeStore:
    """A store of five models on six tasks, and a folder of pictures that are no task of it.

    The models have answered on the pictures with `CLASSES` as their classes, and nothing else is
    known of them.
    """

    zoo: Path
    tasks: Path
    store: Path
    images: Path

    def workspace(self, **more: Any) -> Workspace:
        """The store with its catalogs."""
        return open_workspace(self.store, **more)

    def known(self) -> KnownZoo:
        """The zoo of the store, read anew."""
        return known_zoo(str(self.store), None, None)

    def answer(self, images: Path, **options: Any) -> TargetAnswer:
        """The answer for some pictures, on which every model is made to answer first."""
        zoo, asked = self.known(), AnswerOptions(**options)
        ready = prepare_target(images, zoo, asked)
        if ready.chosen:
            fill_store(ready.workspace())
        return answer_images(images, zoo, asked)


def make_store(folder: Path) -> None:
    """Draw pictures, write catalogs, and fill a store."""
    for number, task in enumerate(TASKS):
        draw_pictures(folder / "drawn" / task, seed=number, by_class=True)
    draw_pictures(folder / "images", seed=len(TASKS))
    models = [
        {"model": name, "pretrained": "made", "encoder": f"{__name__}:absent"} for name in MODELS
    ]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": models}))
    tasks = [
        {"name": name, "images": str(folder / "drawn" / name), "classnames": list(CLASSES)}
        for name in TASKS
    ]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    workspace = open_workspace(
        folder / "store", zoo=folder / "zoo.yaml", tasks=folder / "tasks.yaml", kinds=KINDS
    )
    workspace.remember()
    fill_store(workspace)
    zoo = known_zoo(str(folder / "store"), None, None)
    options = AnswerOptions(classnames=CLASSES)
    fill_store(prepare_target(folder / "images", zoo, options).workspace())


def draw_pictures(
    folder: Path, *, seed: int = 0, n_images: int = N_IMAGES, by_class: bool = False
) -> Path:
    """Pictures of noise, named by their numbers; picture i is of class i modulo 3."""
    rng = np.random.default_rng(seed)
    for number in range(n_images):
        part = folder / CLASSES[number % len(CLASSES)] if by_class else folder
        part.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(part / f"{number:02}.png")
    return folder


def write_labels(file: Path, rows: Mapping[str, str] | Iterable[tuple[str, str]]) -> Path:
    """A file of labels."""
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    file.write_text("image,label\n" + "".join(f"{image},{name}\n" for image, name in pairs))
    return file


def true_class(image_id: str) -> str:
    """Class name of a picture, by its number."""
    return CLASSES[int(Path(image_id).stem) % len(CLASSES)]


def first_labels(n_labels: int, n_images: int = N_IMAGES) -> list[tuple[str, str]]:
    """The true labels of the pictures that an answer asks for first."""
    names = sorted((f"{i:02}.png" for i in range(n_images)), key=image_order)
    return [(name, true_class(name)) for name in names[:n_labels]]


def n_right(model: str, task: str, n_images: int = N_IMAGES) -> int:
    """How many pictures of a task a model is right on."""
    place = MODELS.index(model)
    if task == TASKS[-1]:
        place = len(MODELS) - 1 - place
    return round(n_images * (11 - 2 * place) / 12)


def fill_store(
    workspace: Workspace, kinds: Iterable[str] = (), *, failed: Collection[str] = ()
) -> None:
    """Write every cell that a workspace wants; `failed` images have no values in them."""
    catalogued = workspace.catalogued
    for kind in kinds or workspace.wants:
        want = workspace.wants[kind]
        for cell, shard in wanted_cells(catalogued.models, wanted_shards(catalogued, [want])):
            prompts = catalogued.prompts.get(cell.task)
            names = CLASSES if prompts is None else prompts.classnames
            rows = cell_rows(cell, shard, names, failed)
            table = pa.Table.from_pylist(rows, schema=want.measurement.row_schema())
            workspace.store.write(cell, want.measurement, table)


def cell_rows(
    cell: CellId, shard: Shard, names: tuple[str, ...], failed: Collection[str]
) -> list[Values]:
    """Rows of one cell."""
    rng = np.random.default_rng([MODELS.index(cell.model), *cell.task.encode(), len(cell.kind)])
    codes = [names.index(true_class(ref.image_id)) for ref in shard.images]
    rows = []
    for ref, values in zip(
        shard.images, ROWS[cell.kind](rng, cell, codes, len(names)), strict=True
    ):
        place = {"model": cell.model, "pretrained": cell.pretrained, "task": cell.task}
        place |= {"image_id": ref.image_id, "image_sha256": ref.sha256}
        if ref.image_id in failed:
            rows.append({**place, "reason": "broken"})
        else:
            rows += [{**place, **value} for value in values]
    return rows


def answer_codes(
    rng: np.random.Generator, cell: CellId, codes: list[int], n_classes: int
) -> list[int]:
    """Answers of a model, right on exactly `n_right` of the pictures."""
    wrong = set(rng.permutation(len(codes))[n_right(cell.model, cell.task, len(codes)) :].tolist())
    shifts = rng.integers(1, n_classes, len(codes))
    return [
        int((code + shifts[i]) % n_classes) if i in wrong else code for i, code in enumerate(codes)
    ]


def profile_rows(
    rng: np.random.Generator, cell: CellId, codes: list[int], n_classes: int
) -> Iterator[list[Values]]:
    """Conductances, largest in one block, which is another one on the last task."""
    peak = 2 if cell.task == TASKS[-1] else 0
    for _ in codes:
        yield [
            {
                "block": block,
                "block_name": f"block.{block}",
                "conductance": float((1 + 4 * (block == peak)) * rng.lognormal(sigma=0.1)),
            }
            for block in range(N_BLOCKS)
        ]


def prediction_rows(
    rng: np.random.Generator, cell: CellId, codes: list[int], n_classes: int
) -> Iterator[list[Values]]:
    """Answers with logits of a probability between."""
    for answer in answer_codes(rng, cell, codes, n_classes):
        logits = np.linspace(0, 0.5, n_classes)
        logits[answer] = 1 + 3 * rng.random()
        logits = logits.astype(np.float16).astype(float)
        order = np.argsort(-logits, kind="stable")
        yield [
            {
                "argmax": answer,
                "top": order[:5].tolist(),
                "log_sum_exp": float(np.log(np.exp(logits).sum())),
                "logits": logits.tolist(),
                "n_classes": n_classes,
            }
        ]


def embedding_rows(
    rng: np.random.Generator, cell: CellId, codes: list[int], n_classes: int
) -> Iterator[list[Values]]:
    """Vectors around a centre per class, further apart the better the model."""
    distance = 4 * n_right(cell.model, cell.task) / N_IMAGES
    for code in codes:
        vector = rng.normal(size=2 * n_classes)
        vector[code] += distance
        yield [{"vector": vector.tolist()}]


def knockout_rows(
    rng: np.random.Generator, cell: CellId, codes: list[int], n_classes: int
) -> Iterator[list[Values]]:
    """Answers without a layer: 0 never the first class, 1 all right, 2 any, 3 often right."""
    for answer, code in zip(answer_codes(rng, cell, codes, n_classes), codes, strict=True):
        drawn = int(rng.integers(n_classes))
        answers = {BASE_LAYER: answer, 0: answer or 1, 1: code, 2: drawn}
        answers[3] = code if rng.random() < 0.3 else answer
        rows = []
        for layer, argmax in answers.items():
            probabilities = np.full(n_classes, 0.1 / (n_classes - 1))
            probabilities[argmax] = 0.9
            rows.append(
                {
                    "layer": layer,
                    "layer_name": "" if layer == BASE_LAYER else f"block.{layer}",
                    "state": "base" if layer == BASE_LAYER else "acts",
                    "argmax": argmax,
                    "log_probabilities": np.log(probabilities).tolist(),
                }
            )
        yield rows


ROWS: dict[str, Callable[..., Iterator[list[Values]]]] = {
    "profile": profile_rows,
    "prediction": prediction_rows,
    "embedding": embedding_rows,
    "knockout": knockout_rows,
}

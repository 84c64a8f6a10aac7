"""Makes the demo models: `python -m vlmsel.demo.model_builder --help`.

Training runs in processes of their own, one thread each, with torch's deterministic algorithms, so
that a model depends on its recipe and seed and not on how many are made at once.
"""

import hashlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vlmsel.demo import MANIFEST, demo_checkpoint, lessons, manifest
from vlmsel.demo.bundle import TEST_SEED
from vlmsel.demo.families import demo_tasks
from vlmsel.demo.manifest import Manifest, ModelRecord
from vlmsel.demo.recipes import RECIPES, TRAINING, Recipe, recipe
from vlmsel.demo.vocabulary import BPE_FILE, write_vocabulary
from vlmsel.demo.zeroshot import Tokenizer, accuracy
from vlmsel.errors import ModelError

if TYPE_CHECKING:
    from open_clip import CLIP

CHECK_SEED = 1
"""Seed of the pictures that decide whether a model has learned; not those of the manifest."""

_NAMES = [known.name for known in RECIPES]
_console = Console()


class Maker:
    """Tools of one process that makes models: training pictures, tokenizer, a counter of steps."""

    def __init__(self, bpe_path: Path, progress: Callable[[int], None]) -> None:
        self._pools = lessons.draw_pools(TRAINING.pictures_per_task)
        self._tokenizer = demo_checkpoint.load_tokenizer(bpe_path)
        self._progress = progress

    def make(self, recipe: Recipe, out: Path, seeds: list[int]) -> ModelRecord:
        """Trains with one seed after the other until the model has learned; saves it.

        Raises:
            ModelError: if it learned with none of the seeds.
        """
        learned = 0.0
        for attempt, seed in enumerate(seeds, start=1):
            started = time.perf_counter()
            model = lessons.train(
                recipe, self._pools, self._tokenizer, seed=seed, progress=self._progress
            )
            training_s = time.perf_counter() - started
            learned = required_accuracy(model, self._tokenizer, recipe)
            if learned >= recipe.learned:
                saved = demo_checkpoint.save(model, recipe, out / recipe.name)
                return ModelRecord(
                    model=recipe.name,
                    sha256=saved.sha256,
                    size_bytes=saved.size,
                    parameters=sum(weights.numel() for weights in model.parameters()),
                    seed=seed,
                    attempts=attempt,
                    steps=recipe.steps,
                    training_s=round(training_s, 1),
                    versions=manifest.versions(),
                    machine=manifest.machine(),
                    accuracy=test_accuracies(out / recipe.name, self._tokenizer),
                )
            self._progress(-recipe.steps)
        raise ModelError(
            f"{recipe.name} did not learn {', '.join(recipe.required)} with any of "
            f"{len(seeds)} seeds: mean accuracy {learned:.2f} with the last, "
            f"{recipe.learned:.2f} asked for. Train longer or change the recipe."
        )


def required_accuracy(model: "CLIP", tokenizer: Tokenizer, recipe: Recipe) -> float:
    """Returns the mean accuracy on the families the model was made for, on held-out pictures."""
    return mean(
        accuracy(model, tokenizer, task, split="test", n=TRAINING.check_pictures, seed=CHECK_SEED)
        for task in demo_tasks()
        if task.family in recipe.required
    )


def test_accuracies(folder: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """Returns the accuracy per task of a saved model, on the pictures that the demo writes."""
    model = demo_checkpoint.load(folder)
    return {
        task.name: round(
            accuracy(
                model, tokenizer, task, split="test", n=TRAINING.test_pictures, seed=TEST_SEED
            ),
            4,
        )
        for task in demo_tasks()
    }


_maker: Maker | None = None


def _start_process(bpe_path: Path, steps_done: "Synchronized[int]") -> None:
    """Prepares a training process; `steps_done` is a number that all of them share."""
    global _maker
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    def progress(steps: int) -> None:
        with steps_done.get_lock():
            steps_done.value += steps

    _maker = Maker(bpe_path, progress)


def _make(name: str, out: Path, seeds: list[int]) -> ModelRecord:
    assert _maker is not None, "the process was not prepared"
    return _maker.make(recipe(name), out, seeds)


def make_all(
    wanted: dict[str, list[int]], out: Path, *, jobs: int
) -> list[ModelRecord | ModelError]:
    """Makes models in parallel, showing the steps done and the time left.

    Args:
        wanted: the seeds to try, by model name.
        out: folder for the models, holds the vocabulary already.
        jobs: processes.

    Returns:
        One record per model that learned, one error per model that did not.
    """
    context = multiprocessing.get_context("spawn")
    steps_done = context.Value("i", 0)
    start = (out / BPE_FILE, steps_done)
    with (
        ProcessPoolExecutor(jobs, context, initializer=_start_process, initargs=start) as pool,
        _bar() as bar,
    ):
        futures = [pool.submit(_make, name, out, seeds) for name, seeds in wanted.items()]
        shown = bar.add_task("training", total=sum(recipe(name).steps for name in wanted))
        results = []
        for future in _iterate_finished(
            futures, lambda: bar.update(shown, completed=steps_done.value)
        ):
            results.append(_result(future))
            bar.console.print(_line(results[-1]))
        return results


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, left:"),
        TimeRemainingColumn(),
        console=_console,
    )


def _iterate_finished(
    futures: Iterable[Future[ModelRecord]], tick: Callable[[], None]
) -> Iterator[Future[ModelRecord]]:
    """Yields futures as they finish, calling `tick` twice a second meanwhile."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        tick()
        yield from done


def _result(future: Future[ModelRecord]) -> ModelRecord | ModelError:
    try:
        return future.result()
    except ModelError as error:
        return error


def _line(result: ModelRecord | ModelError) -> str:
    if isinstance(result, ModelError):
        return f"FAILED {result}"
    return f"{result.model}: {result.training_s:.0f} s, seed {result.seed}"


def _merge(path: Path, records: list[ModelRecord], bpe_path: Path) -> None:
    """Puts new records into the manifest, or starts one."""
    bpe_sha256 = hashlib.sha256(bpe_path.read_bytes()).hexdigest()
    fresh = Manifest(bpe_sha256, TRAINING.test_pictures, TEST_SEED, ())
    old = manifest.read_manifest(path).models if path.exists() else ()
    manifest.write_manifest(path, fresh.with_records([*old, *records], _NAMES))


def _check(name: str, manifest_path: Path) -> bool:
    """Makes one model again in a temporary folder and tells whether it is the recorded one."""
    known = manifest.read_manifest(manifest_path).record(name)
    if known is None:
        raise ModelError(f"{manifest_path} has no record of {name}: make it first.")
    with tempfile.TemporaryDirectory() as folder:
        write_vocabulary(Path(folder) / BPE_FILE)
        (made,) = make_all({name: [known.seed]}, Path(folder), jobs=1)
    if isinstance(made, ModelError):
        raise made
    equal = made.sha256 == known.sha256
    difference = max(abs(made.accuracy[task] - known.accuracy[task]) for task in known.accuracy)
    _console.print(f"recorded {known.sha256}\nnow      {made.sha256}")
    _console.print(
        f"{name}: {'equal, bit for bit' if equal else 'NOT equal'}; "
        f"largest difference in accuracy {difference:.3f}"
    )
    for package, version in known.versions.items():
        if made.versions[package] != version:
            _console.print(f"made with {package} {version}, here is {made.versions[package]}")
    return equal


def main(
    out: Annotated[Path, typer.Option(help="Folder for the models and their vocabulary.")],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Make this model alone; may be given several times.", metavar="NAME"),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            help="Write nothing: make this model again with the seed in the manifest and tell "
            "whether its weights are the recorded ones. Exit code 1 if not.",
            metavar="NAME",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Models made at once, one thread each.", min=1)] = 2,
) -> None:
    """Train the demo models and record them in manifest.json beside the folder OUT.

    All of them take about six minutes on two cores. A model that has not learned its own task
    families is tried again with another seed, three times at most.
    """
    unknown = {*(only or []), *([check] if check else [])} - set(_NAMES)
    if unknown:
        raise typer.BadParameter(
            f"No recipe for {', '.join(sorted(unknown))}. There are: {', '.join(_NAMES)}."
        )
    manifest_path = out.parent / MANIFEST.name
    if check:
        raise typer.Exit(0 if _check(check, manifest_path) else 1)
    bpe_path = write_vocabulary(out / BPE_FILE)
    wanted = {name: _seeds(name) for name in only or _NAMES}
    results = make_all(wanted, out, jobs=jobs)
    records = [result for result in results if isinstance(result, ModelRecord)]
    _merge(manifest_path, records, bpe_path)
    _console.print(f"{len(records)} of {len(results)} models made, see {manifest_path}")
    raise typer.Exit(0 if len(records) == len(results) else 1)


def _seeds(name: str) -> list[int]:
    first = recipe(name).seed
    return list(range(first, first + TRAINING.attempts))


if __name__ == "__main__":
    typer.run(main)

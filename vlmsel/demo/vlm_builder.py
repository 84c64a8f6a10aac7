"""Makes the embedded generative models: `python -m vlmsel.demo.vlm_builder --help`.

One after the other, on one thread, with torch's deterministic algorithms, so that a model depends
on its recipe and seed alone. A run that is stopped goes on where it was kept last.
"""

import os
import time
from pathlib import Path
from statistics import mean
from typing import Annotated

import torch
import typer
from rich.console import Console

from vlmsel.demo import VLM_MANIFEST
from vlmsel.demo.bundle import TEST_SEED
from vlmsel.demo.demo_questions import demo_question, demo_questions
from vlmsel.demo.manifest import ModelRecord, machine, versions
from vlmsel.demo.model_builder import CHECK_SEED
from vlmsel.demo.vlm_folder import load_vlm, save_vlm
from vlmsel.demo.vlm_lessons import (
    KEEP_EVERY,
    Lesson,
    TrainingRun,
    draw_lessons,
    question_accuracy,
)
from vlmsel.demo.vlm_manifest import (
    VLM_PACKAGES,
    VlmManifest,
    read_vlm_manifest,
    write_vlm_manifest,
)
from vlmsel.demo.vlm_recipes import VLM_RECIPES, VLM_TRAINING, VlmRecipe, vlm_recipe
from vlmsel.errors import ModelError

_NAMES = [known.name for known in VLM_RECIPES]
_console = Console()


def train_vlm(
    recipe: VlmRecipe, lessons: dict[str, Lesson], *, seed: int, kept: Path, quiet: bool = False
) -> TrainingRun:
    """Train a model from nothing, or from where a stopped run was kept.

    Args:
        recipe: what to train.
        lessons: training items by question.
        seed: decides the first weights and every batch.
        kept: file of the run, written every few steps.
        quiet: print no losses.
    """
    run = TrainingRun.start(recipe, lessons, seed)
    if kept.exists():
        run.resume(kept)
    started, losses = time.perf_counter(), []
    while run.step < recipe.steps:
        losses.append(run.advance())
        if run.step % KEEP_EVERY == 0 or run.step == recipe.steps:
            ended = time.perf_counter()
            run.training_s, started = run.training_s + ended - started, ended
            run.keep(kept)
            if not quiet:
                _console.print(
                    f"{recipe.name} seed {seed}: step {run.step}, loss {mean(losses):.3f}, "
                    f"{run.training_s:.0f} s"
                )
            losses = []
    run.model.eval()
    return run


def make_vlm(
    recipe: VlmRecipe, lessons: dict[str, Lesson], out: Path, work: Path, seeds: list[int]
) -> ModelRecord:
    """Train with one seed after the other until the model has learned; save it.

    Raises:
        ModelError: it learned with none of the seeds.
    """
    learned = 0.0
    for attempt, seed in enumerate(seeds, start=1):
        run = train_vlm(recipe, lessons, seed=seed, kept=work / f"{recipe.name}-{seed}.pt")
        learned = mean(
            question_accuracy(
                run.model, demo_question(name), n=VLM_TRAINING.check_pictures, seed=CHECK_SEED
            )
            for name in recipe.required
        )
        _console.print(f"{recipe.name} seed {seed}: {learned:.3f} on {', '.join(recipe.required)}")
        if learned >= recipe.learned:
            saved = save_vlm(run.model, out / recipe.name)
            return ModelRecord(
                model=recipe.name,
                sha256=saved.sha256,
                size_bytes=saved.size,
                parameters=sum(weights.numel() for weights in run.model.parameters()),
                seed=seed,
                attempts=attempt,
                steps=recipe.steps,
                training_s=round(run.training_s, 1),
                versions=versions(VLM_PACKAGES),
                machine=machine(),
                accuracy=test_vlm(out / recipe.name),
            )
    raise ModelError(
        f"{recipe.name} did not learn {', '.join(recipe.required)} with any of {len(seeds)} seeds: "
        f"mean accuracy {learned:.2f} with the last, {recipe.learned:.2f} asked for. "
        "Train longer or change the recipe."
    )


def test_vlm(folder: Path) -> dict[str, float]:
    """Return the accuracy per task of a saved model, on the pictures that the demo writes."""
    model, _ = load_vlm(folder)
    return {
        question.name: round(
            question_accuracy(model, question, n=VLM_TRAINING.test_pictures, seed=TEST_SEED), 4
        )
        for question in demo_questions()
    }


def _record(path: Path, record: ModelRecord) -> None:
    """Put a new record into the manifest, or start one."""
    old = read_vlm_manifest(path).models if path.exists() else ()
    fresh = VlmManifest(VLM_TRAINING.test_pictures, TEST_SEED, ())
    write_vlm_manifest(path, fresh.with_records([*old, record], _NAMES))


def main(
    out: Annotated[Path, typer.Option(help="Folder for the models.")],
    work: Annotated[Path, typer.Option(help="Folder for runs that are not finished.")] = Path(
        "vlm-training"
    ),
    only: Annotated[
        list[str] | None,
        typer.Option(help="Make this model alone; may be given several times.", metavar="NAME"),
    ] = None,
) -> None:
    """Train the embedded generative models and record them in vlm_manifest.json beside OUT.

    A model that has not learned its own questions is tried again with another seed, three times at
    most. Start it again after a stop: it goes on.
    """
    unknown = set(only or []) - set(_NAMES)
    if unknown:
        raise typer.BadParameter(
            f"No recipe for {', '.join(sorted(unknown))}. There are: {', '.join(_NAMES)}."
        )
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Said before transformers is imported: everything is here.
    os.environ["HF_HUB_OFFLINE"] = "1"
    work.mkdir(parents=True, exist_ok=True)
    lessons = draw_lessons(VLM_TRAINING.pictures_per_question)
    failed = 0
    for name in only or _NAMES:
        recipe = vlm_recipe(name)
        seeds = [recipe.seed + 10 * number for number in range(VLM_TRAINING.attempts)]
        try:
            record = make_vlm(recipe, lessons, out, work, seeds)
        except ModelError as error:
            _console.print(f"FAILED {error}")
            failed += 1
            continue
        _record(out.parent / VLM_MANIFEST.name, record)
        _console.print(f"{name}: {record.training_s:.0f} s, {record.size_bytes} bytes")
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)

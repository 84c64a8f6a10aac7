"""Build the shipped table of real models from a file in open_clip's layout.

    python -m vlmsel.published.real_models_import openclip_results.csv

Writes ``vlmsel/published/tables/``: accuracies, facts of the models, facts of the tasks, and
the notice of their source. Input sizes and places of weights are those of the installed open_clip.
"""

import argparse
from importlib.metadata import distribution, version
from pathlib import Path

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import ModelError, StoreError
from vlmsel.published.clean_tables import read_csv, to_numbers
from vlmsel.published.names import NameTable, fold, load_names
from vlmsel.published.openclip import read_openclip_results
from vlmsel.published.real_models import ACCURACIES, FOLDER, MODELS, NOTICE, TASKS
from vlmsel.zoo.open_clip_tables import architecture_config, tag_config

SOURCE = "mlfoundations/open_clip, docs/openclip_results.csv"
# Columns of the published file.
PARAMETERS, FLOPS, AVERAGE = "params (M)", "FLOPs (B)", "Average perf. on 38 datasets"


def build(path: Path, folder: Path) -> list[str]:
    """Write the table.

    Args:
        path: the published file.
        folder: where the files go; those of an earlier build are replaced.

    Returns:
        What was left out, one line each.

    Raises:
        StoreError: the file has another layout.
    """
    names = load_names()
    everything = NameTable(
        tasks={
            name: task.model_copy(update={"kind": "classification"})
            for name, task in names.tasks.items()
        },
        quickgelu=names.quickgelu,
    )
    read = read_openclip_results(path, quickgelu=True, names=everything)
    models, wrong = _models(path, names, read.frame.select(MODEL).unique())
    kept = read.frame.join(models, on=MODEL, how="semi")
    tasks = _tasks(path, names, kept)
    wide = kept.pivot("task", index=MODEL, values="acc1").sort(MODEL)
    folder.mkdir(parents=True, exist_ok=True)
    wide.select(*MODEL, *tasks["task"]).write_csv(folder / ACCURACIES)
    models.sort(MODEL).write_csv(folder / MODELS)
    tasks.write_csv(folder / TASKS)
    (folder / NOTICE).write_text(_notice(models.height, tasks.height), encoding="utf-8")
    rows = read.left_out.iter_rows(named=True)
    return [f"{row['what']} {row['name']}: {row['reason']}" for row in rows] + wrong


def _models(path: Path, names: NameTable, known: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Facts of the models that open_clip can load under their right activation, and the others."""
    table = to_numbers(
        read_csv(path, ["name", "pretrained", PARAMETERS, FLOPS, AVERAGE]),
        [PARAMETERS, FLOPS, AVERAGE],
        path,
    )
    rows, wrong = {}, []
    wanted = set(known.rows())
    for row in table.iter_rows(named=True):
        printed = (row["name"], row["pretrained"])
        model, pretrained = key = names.model(*printed, quickgelu=True)
        if key not in wanted or (key in rows and printed != key):
            continue
        try:
            tag = tag_config(model, pretrained)
        except ModelError as error:
            wrong.append(f"model {model}/{pretrained}: {error}")
            continue
        rows[key] = {
            "model": model,
            "pretrained": pretrained,
            "printed_as": "/".join(printed),
            "parameters_m": row[PARAMETERS],
            "gflops": row[FLOPS],
            "input_size": _input_size(model),
            "average_38": row[AVERAGE],
            "weights": tag.get("hf_hub", "").rstrip("/") or None,
            "licence": None,
        }
    return pl.DataFrame(list(rows.values()), schema_overrides={"licence": pl.String}), wrong


def _input_size(model: str) -> int:
    size = architecture_config(model)["vision_cfg"].get("image_size", 224)
    return int(size if isinstance(size, int) else max(size))


def _tasks(path: Path, names: NameTable, known: pl.DataFrame) -> pl.DataFrame:
    """Facts of the tasks: what is printed for each, and whether it is an accuracy to rank by."""
    spellings, known_tasks = names.spellings(), set(known["task"])
    rows = []
    for column in read_csv(path, ["name"]).columns:
        task = spellings.get(fold(column), "")
        if task not in known_tasks:
            continue
        facts = names.tasks[task]
        measure = facts.headline if facts.kind == "classification" else facts.kind
        rows.append(
            {
                "task": task,
                "printed_as": column,
                "kind": facts.kind,
                "measure": measure,
                "is_hit_rate": measure in ("acc1", "mean_per_class_recall"),
            }
        )
    return pl.DataFrame(rows).sort("task")


def _notice(n_models: int, n_tasks: int) -> str:
    files = distribution("open_clip_torch").files or []
    licence = next(file for file in files if file.name == "LICENSE")
    return (
        f"# Source of this table\n\n{n_models} models, {n_tasks} tasks. Facts of {SOURCE}, in "
        "vlmsel's own layout, written by `python -m vlmsel.published.real_models_import`. Nothing "
        "was measured here. Input sizes and places of weights are those of open_clip_torch "
        f"{version('open_clip_torch')}.\n\n"
        "Known faults are marked in `tasks.csv` (`measure`, `is_hit_rate`): FMoW and GeoDE are "
        "accuracies of the worst region, Dollar Street a top-5 accuracy of the poorest income "
        "group, iWildCam is macro F1, and Caltech-101, Aircraft, Flowers and Pets are mean "
        "per-class recall. Retrieval and reasoning tasks rank no classifier. Checkpoints trained "
        "with QuickGELU stand under the name that has it (`printed_as`: as the file prints them). "
        "Licences of weights are not in the source: `licence` is empty where none is known.\n\n"
        f"## Licence of open_clip\n\n{licence.read_text(encoding='utf-8').strip()}\n"
    )


def main() -> None:
    """Entry point of ``python -m``."""
    parser = argparse.ArgumentParser(prog="python -m vlmsel.published.real_models_import")
    parser.add_argument("table", type=Path, help="open_clip's results, a CSV file")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write")
    options = parser.parse_args()
    try:
        lines = build(options.table, options.out)
    except StoreError as error:
        parser.exit(2, f"error: {error}\n")
    parser.exit(0, "".join(f"left out {line}\n" for line in lines) + f"wrote {options.out}\n")


if __name__ == "__main__":
    main()

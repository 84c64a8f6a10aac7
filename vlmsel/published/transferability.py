"""Readers of published transferability benchmarks: trained accuracies, and scores of estimators.

One row a (pool, task, model): a pool is a set of models with accuracies on the same tasks, trained
in one way. Four layouts are recognised by their columns: fine-tuned accuracies (pool, setting,
dataset, model, accuracy), Transfer-Learning-Library's benchmark (dataset, model, finetune_acc and
scores), Model-Spider's scores (Dataset, Model and scores), best linear probes of CLIP models
(fewshot_k, lp_acc1).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import LEFT_OUT, LeftOut, drop_duplicates, read_csv, to_numbers
from vlmsel.published.names import fold

KEY = ("pool", "task", "model", "pretrained")
ACCURACIES = {**dict.fromkeys(KEY, pl.String), "acc1": pl.Float64}
SCORES = {"estimator": pl.String, **dict.fromkeys(KEY, pl.String), "score": pl.Float64}
# The pool of Transfer-Learning-Library, whose models and tasks Model-Spider scored as well.
LIBRARY_POOL = "tll-cnn"
PROBE_POOL = "clip-probe"
FEW_SHOT = "few-shot-probe"
# Models of the fine-tuning tables are those of one checkpoint: supervised on ImageNet, or the
# self-supervised method that the model is named after.
PRETRAINED = "imagenet"
MODELS = (
    "densenet121", "densenet169", "densenet201", "googlenet", "inception_v3", "mnasnet1_0",
    "mobilenet_v2", "resnet34", "resnet50", "resnet101", "resnet152",
)  # fmt: skip
MODEL_NAMES = {fold(name): name for name in MODELS} | {"mnasnet": "mnasnet1_0"}
TASK_NAMES = {"oxfordiiitpets": "pets", "pet": "pets", "stanfordcars": "cars"}


@dataclass(frozen=True)
class Benchmark:
    """Published tables of transferability, in one shape.

    Attributes:
        accuracies: pool, task, model, pretrained, acc1 (0..1) after training on the task.
        scores: estimator, pool, task, model, pretrained, score as printed, taken as higher is
            better.
        left_out: what, name, count, reason.
    """

    accuracies: pl.DataFrame
    scores: pl.DataFrame
    left_out: pl.DataFrame


def read_transferability(paths: Iterable[str | Path]) -> Benchmark:
    """Read tables of any of the four layouts; folders stand for the CSV files in them.

    Raises:
        StoreError: a file is absent or like none of the layouts, has a cell that is no number, or
            contradicts itself; or no file is given.
    """
    files = [file for path in paths for file in _files(Path(path))]
    if not files:
        raise StoreError("no table of transferability is given; name CSV files or their folder")
    parts = [_read(file) for file in files]
    joined = [pl.concat(column) for column in zip(*parts, strict=True)]
    accuracies, scores, left_out = joined
    for frame, key in ((accuracies, KEY), (scores, ("estimator", *KEY))):
        twice = frame.filter(frame.select(key).is_duplicated())
        if len(twice):
            where = ", ".join(str(part) for part in twice.select(key).row(0))
            raise StoreError(f"several tables hold {where}; give each table once")
    return Benchmark(accuracies.sort(KEY), scores.sort("estimator", *KEY), left_out)


def as_accuracies(benchmark: Benchmark, pool: str) -> pl.DataFrame:
    """Return one pool as the store keeps accuracies: model, pretrained, task, acc1, ....

    Raises:
        StoreError: there is no such pool.
    """
    rows = benchmark.accuracies.filter(pl.col("pool") == pool)
    if rows.is_empty():
        pools = ", ".join(benchmark.accuracies["pool"].unique().sort())
        raise StoreError(f"there is no pool {pool!r} in these tables; there is {pools}")
    unknown = (pl.lit(None, pl.Float64).alias(name) for name in ("acc5", "mean_per_class_recall"))
    count = pl.lit(None, pl.Int64).alias("n_images")
    return rows.select("model", "pretrained", "task", "acc1", *unknown, count)


Parts = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.csv")) if path.is_dir() else [path]


def _read(path: Path) -> Parts:
    frame = read_csv(path, [])
    names = set(frame.columns)
    for columns, reader in (
        ({"pool", "setting", "dataset", "model", "accuracy"}, _lay_out_fine_tuned),
        ({"dataset", "model", "finetune_acc"}, _library),
        ({"model", "pretrained", "dataset", "fewshot_k", "lp_acc1"}, _probes),
        ({"Dataset", "Model"}, _spider),
    ):
        if columns <= names:
            left_out = LeftOut()
            accuracies, scores = reader(frame, path, left_out)
            return (
                _finished(accuracies, ACCURACIES, KEY, path, left_out),
                _finished(scores, SCORES, ("estimator", *KEY), path, left_out),
                left_out.frame() if left_out.rows else pl.DataFrame(schema=LEFT_OUT),
            )
    raise StoreError(
        f"table {path} is like none of the transferability tables: expected the columns pool, "
        "setting, dataset, model, accuracy; or dataset, model, finetune_acc; or Dataset, Model and "
        "scores; or model, pretrained, dataset, fewshot_k, lp_acc1; found "
        f"{', '.join(frame.columns[:12])}"
    )


def _lay_out_fine_tuned(
    frame: pl.DataFrame, path: Path, left_out: LeftOut
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    frame = to_numbers(frame, ["accuracy"], path)
    # "sfda-cnn (11 supervised CNNs)": the words behind the name are a description.
    pool = pl.col("pool").str.extract(r"^(\S+)")
    return _rename(frame).with_columns(pool=pool, acc1=pl.col("accuracy") / 100), None


def _library(
    frame: pl.DataFrame, path: Path, left_out: LeftOut
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    estimators = [
        name for name in frame.columns if name not in ("dataset", "model", "finetune_acc")
    ]
    frame = to_numbers(frame, ["finetune_acc", *estimators], path)
    frame = _rename(frame).with_columns(pool=pl.lit(LIBRARY_POOL))
    scores = _unpivot(frame, {name: name for name in estimators})
    return frame.with_columns(acc1=pl.col("finetune_acc") / 100), scores


def _spider(
    frame: pl.DataFrame, path: Path, left_out: LeftOut
) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    estimators = [name for name in frame.columns if name not in ("Dataset", "Model")]
    frame = to_numbers(frame, estimators, path).rename({"Dataset": "dataset", "Model": "model"})
    frame = _rename(frame).with_columns(pool=pl.lit(LIBRARY_POOL))
    return None, _unpivot(frame, {name: f"{fold(name)} (Model-Spider)" for name in estimators})


def _probes(
    frame: pl.DataFrame, path: Path, left_out: LeftOut
) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = to_numbers(frame, ["fewshot_k", "lp_acc1"], path).rename({"dataset": "task"})
    twins = set(frame["task"]) & {str(name).removeprefix("vtab/") for name in frame["task"]}
    again = pl.col("task").str.starts_with("vtab/") & pl.col("task").str.strip_prefix(
        "vtab/"
    ).is_in(sorted(twins))
    left_out.add_groups("task", frame.filter(again), ["task"], "the same data set without vtab/")
    frame = frame.filter(~again).with_columns(
        pl.col("task").str.strip_prefix("vtab/"), pool=pl.lit(PROBE_POOL)
    )
    full = frame.filter(pl.col("fewshot_k") == -1).with_columns(acc1="lp_acc1")
    few = frame.filter(pl.col("fewshot_k") > 0).with_columns(
        estimator=pl.format("{}-{}", pl.lit(FEW_SHOT), pl.col("fewshot_k").cast(pl.Int64)),
        score="lp_acc1",
    )
    return full, few


def _rename(frame: pl.DataFrame) -> pl.DataFrame:
    """Models and tasks under the names that the pools share; `pretrained` says what is known."""
    models = {
        name: MODEL_NAMES.get(fold(name), name) for name in frame["model"].unique().drop_nulls()
    }
    tasks = {
        name: TASK_NAMES.get(fold(name), fold(name))
        for name in frame["dataset"].unique().drop_nulls()
    }
    return frame.with_columns(
        pl.col("model").replace(models),
        pl.col("dataset").replace(tasks).alias("task"),
        pretrained=pl.lit(PRETRAINED),
    )


def _unpivot(frame: pl.DataFrame, estimators: dict[str, str]) -> pl.DataFrame:
    long = frame.unpivot(list(estimators), index=KEY, variable_name="column", value_name="score")
    return long.with_columns(estimator=pl.col("column").replace(estimators))


def _finished(
    frame: pl.DataFrame | None,
    schema: dict[str, type[pl.DataType] | pl.DataType],
    key: tuple[str, ...],
    path: Path,
    left_out: LeftOut,
) -> pl.DataFrame:
    if frame is None:
        return pl.DataFrame(schema=schema)
    value = next(reversed(schema))
    empty = frame.filter(pl.col(value).is_null())
    left_out.add_groups("value", empty, ["task"], f"no {value}")
    rows = frame.filter(pl.col(value).is_not_null()).select(
        pl.col(name).cast(dtype) for name, dtype in schema.items()
    )
    nameless = rows.filter(pl.any_horizontal(pl.col(key).is_null()))
    if len(nameless):
        raise StoreError(f"table {path}: {len(nameless)} rows lack a model, pool or data set")
    if value == "acc1":
        wrong = rows.filter((pl.col("acc1") < 0) | (pl.col("acc1") > 1))
        if len(wrong):
            at = "/".join(str(part) for part in wrong.select(KEY).row(0))
            raise StoreError(
                f"table {path}: the accuracy of {at} is not between 0 and 100 percent (probes: "
                "0 and 1)"
            )
    return drop_duplicates(rows, key, path, left_out)

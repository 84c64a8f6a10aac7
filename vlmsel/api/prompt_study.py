"""Compare sets of prompt templates: the accuracy of every model on every task with each of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from vlmsel.api.workspace import Workspace, default_want
from vlmsel.columns import MODEL
from vlmsel.errors import TaskError
from vlmsel.evaluation.metrics import tau
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.evidence.accuracies import SCHEMA
from vlmsel.evidence.catalog_contents import Catalogued
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.tasks.prompts import ClassPrompts, class_prompts, has_classnames
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec

# What every task is tried with, beside its own templates.
COMMON: Mapping[str, tuple[str, ...]] = {
    "name": ("{}",),
    "photo": ("a photo of a {}.",),
}
OWN = "catalog"

Run = Callable[[Plan, Workspace], RunSummary]


def sets_of(spec: TaskSpec) -> dict[str, tuple[str, ...]]:
    """Templates of a task by the set's name: its own (`catalog`), its `template_sets`, common ones.

    Raises:
        TaskError: it has no class names.
    """
    return {OWN: class_prompts(spec).templates, **(spec.template_sets or {}), **COMMON}


def with_templates(tasks: TaskCatalog) -> dict[str, TaskCatalog]:
    """The tasks with class names, once for every set of templates that some of them have.

    Raises:
        TaskError: no task has class names.
    """
    named = [spec for spec in tasks.tasks if has_classnames(spec)]
    if not named:
        raise TaskError("no task has class names: a comparison of prompts has nothing to prompt")
    by_set: dict[str, list[TaskSpec]] = {}
    for spec in named:
        prompts = class_prompts(spec)
        for name, templates in sets_of(spec).items():
            update = {
                "classnames": prompts.classnames,
                "templates": templates,
                "prompts": None,
                "template_sets": None,
            }
            by_set.setdefault(name, []).append(spec.model_copy(update=update))
    return {name: TaskCatalog(tasks=tuple(specs)) for name, specs in by_set.items()}


def prompt_variants(catalogued: Catalogued) -> Iterator[Catalogued]:
    """The catalogs once for every set of templates, with the tasks that have it."""
    by_set: dict[str, dict[str, ClassPrompts]] = {}
    for task, prompts in catalogued.prompts.items():
        if not isinstance(prompts, ClassPrompts):
            continue
        for name, templates in sets_of(catalogued.specs[task]).items():
            by_set.setdefault(name, {})[task] = ClassPrompts(prompts.classnames, templates)
    for found in by_set.values():
        yield replace(catalogued.only(found), prompts=found)


def compare_prompts(
    workspace: Workspace, run: Run, *, options: RunOptions | None = None
) -> tuple[pl.DataFrame, RunSummary]:
    """Measure what is missing of every set, and derive the accuracies.

    Where embeddings are stored, a further set of templates costs no forward pass of an image.

    Args:
        workspace: the store with its catalogs; its predictions are those compared.
        run: does a plan, in the way of whoever calls.
        options: how to measure.

    Returns:
        templates (the set's name), n_templates, model, pretrained, task, acc1, acc5,
        mean_per_class_recall, n_images; and what the runs came to.

    Raises:
        TaskError: no task has class names.
    """
    kinds = ["prediction"]
    if kinds[0] not in workspace.wants:
        workspace = replace(workspace, wants={**workspace.wants, kinds[0]: default_want(kinds[0])})
    frames, total = [], RunSummary()
    for name, catalog in with_templates(workspace.tasks).items():
        variant = workspace.of_target(catalog, kinds)
        total = total + run(variant.plan(kinds, options), variant)
        counts = {spec.name: len(spec.templates or ()) for spec in catalog.tasks}
        schema = {"task": pl.String, "n_templates": pl.Int64}
        sizes = pl.DataFrame(list(counts.items()), schema=schema, orient="row")
        found = variant.evidence.accuracies.join(sizes, on="task", maintain_order="left")
        frames.append(found.select(pl.lit(name).alias("templates"), "n_templates", *list(SCHEMA)))
    return pl.concat(frames).sort("task", "model", "pretrained", "templates"), total


def summarise(table: pl.DataFrame) -> pl.DataFrame:
    """Sets by task: mean accuracy over the models, and of how many models each is the best.

    Returns:
        task, templates, n_templates, models, acc1 (mean), best_of (models; ties count for all).
    """
    best = pl.col("acc1") == pl.col("acc1").max().over("task", "model", "pretrained")
    return (
        table.with_columns(best=best)
        .group_by("task", "templates", "n_templates")
        .agg(models=pl.len(), acc1=pl.col("acc1").mean(), best_of=pl.col("best").sum())
        .sort("task", "acc1", "templates", descending=[False, True, False])
    )


def compare_sets(table: pl.DataFrame) -> pl.DataFrame:
    """Sets over all tasks, beside the catalog's own: accuracy, and how alike they rank the models.

    Args:
        table: of `compare_prompts`.

    Returns:
        Columns of `paired_bootstrap` with the set's name as selector and the task as target. The
        metrics are acc1 (mean over the models) and tau (Kendall's tau-b of the models' accuracies
        with those under the catalog's templates).

    Raises:
        SelectionError: there is no accuracy.
    """
    of_catalog = table.filter(templates=OWN).select("task", *MODEL, own="acc1")
    values = (
        table.join(of_catalog, on=["task", *MODEL], how="left", maintain_order="left")
        .group_by("templates", "task", maintain_order=True)
        .agg(pl.col("acc1").mean(), pairs=pl.struct("acc1", "own"))
    )
    schema = {
        "selector": pl.String,
        "target": pl.String,
        "metric": pl.String,
        "value": pl.Float64,
    }
    rows = []
    for name, task, mean, pairs in values.iter_rows():
        rows.append((name, task, "acc1", mean))
        rows.append((name, task, "tau", _tau([(p["acc1"], p["own"]) for p in pairs])))
    metrics = pl.DataFrame(rows, schema=schema, orient="row")
    return paired_bootstrap(metrics, baseline=OWN)


def prompts_page(table: pl.DataFrame, made: str) -> str:
    """The comparison as a Markdown page.

    Args:
        table: of `compare_prompts`.
        made: command, date and machine.
    """
    overall, by_task = compare_sets(table), summarise(table)
    models = table.select(MODEL).n_unique()
    lines = [
        "# Which prompt templates",
        "",
        f"Made by {made}.",
        "",
        f"{by_task['task'].n_unique()} tasks x {models} models. `{OWN}`: the catalog's own "
        "templates; accuracy is the mean over models and tasks, tau the agreement (Kendall's "
        f"tau-b) of the models' order with that under `{OWN}`. 95 % intervals, paired over tasks.",
        "",
        f"| templates | tasks | accuracy | minus `{OWN}` | tau |",
        "|---|---|---|---|---|",
    ]
    accuracy = overall.filter(metric="acc1").sort("mean", descending=True)
    taus = {row["selector"]: row for row in overall.filter(metric="tau").iter_rows(named=True)}
    for row in accuracy.iter_rows(named=True):
        tau = taus[row["selector"]]
        difference = "" if row["selector"] == OWN else _interval(row, "delta", "+")
        order = "" if row["selector"] == OWN else _interval(tau, "mean")
        lines.append(
            f"| {row['selector']} | {row['n_targets']} | {_interval(row, 'mean')} | {difference} "
            f"| {order} |"
        )
    names = accuracy["selector"].to_list()
    wide = by_task.pivot("templates", index="task", values="acc1").sort("task")
    lines += ["", f"| task | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in wide.iter_rows(named=True):
        cells = ["" if row[name] is None else f"{row[name]:.3f}" for name in names]
        lines.append(f"| {row['task']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _tau(pairs: list[tuple[float, float | None]]) -> float:
    known = np.array([(a, b) for a, b in pairs if b is not None])
    # Of scores the lower is the better one.
    return tau(known[:, 1], -known[:, 0]) if len(known) > 1 else float("nan")


def _interval(row: dict[str, float], name: str, sign: str = "") -> str:
    low, high = ("low", "high") if name == "mean" else (f"{name}_low", f"{name}_high")
    if row[name] is None:
        return ""
    return f"{row[name]:{sign}.3f} ({row[low]:{sign}.3f} to {row[high]:{sign}.3f})"

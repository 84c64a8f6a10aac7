"""``vlmsel select``: rank a zoo for a folder of unlabelled images."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say, show_table, stdout, warn


def select(
    images: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder, tar or Parquet of unlabelled images.",
            show_default=False,
        ),
    ],
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    selector: Annotated[
        str | None, typer.Option(help="Default: the one that the evidence supports.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Models to show.")] = 5,
    preset: o.PresetOption = None,
    attribution: o.AttributionOption = None,
    setting: o.SettingOption = None,
    executor: o.ExecutorOption = o.Executor.local,
    device: o.Device = None,
    max_memory: o.MaxMemory = None,
    workers: o.Workers = None,
    retry_failed: o.RetryFailed = False,
    allow_failures: o.AllowFailures = 0,
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML report here.", show_default=False)
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Rank the zoo for images of your own, with no labels: which model first, and how far to trust it.

    Needs a store with profiles and accuracies of source tasks: `vlmsel profile` and `vlmsel accuracy` make one, `vlmsel demo`
    makes a small one.
    """
    from vlmsel.api.selecting import plan_target, rank_target
    from vlmsel.api.workspace import open_workspace
    from vlmsel.cli.running import run_options, run_plan
    from vlmsel.selection.registry import make_selector
    from vlmsel.store.profiles import ProfileStore

    if selector is not None:
        make_selector(selector)  # a misspelt name is found before the work, not after it
    asked = o.settings_from(preset, attribution, setting)
    workspace = open_workspace(store, zoo=zoo, tasks=tasks, settings=asked)
    ProfileStore(store).require_settings(workspace.settings)
    options = run_options(executor, device, max_memory, workers, retry_failed=retry_failed)
    plan = plan_target(workspace, images, options)
    summary = run_plan(plan, store, options, what=f"profiles of {images}")
    selection = rank_target(workspace, plan, summary, selector=selector)
    n_failed = selection.failed_images["image_id"].n_unique() if len(selection.failed_images) else 0
    if report:
        from vlmsel.api.reporting import selection_report

        say(f"report: {selection_report(report, selection, workspace.settings)}")
    if as_json:
        emit_json(selection_dict(selection, top))
    else:
        show_selection(selection, top)
    _name_failures(selection.failed_images)
    lost = summary.total.failed + len(summary.faults) + summary.failed_before
    if n_failed + lost > allow_failures:
        say(
            f"{n_failed} images and {lost} cells failed: --allow-failures {n_failed + lost} accepts that"
        )
        raise typer.Exit(1)


def show_selection(selection, top: int) -> None:  # noqa: ANN001
    """The ranking for people, with what must be said beside it."""
    title = f"{selection.target}: {selection.n_images} images, selector {selection.selector}"
    show_table(_shown(selection.table).head(top), title=title)
    stdout.print(f"selector {selection.selector}: {selection.why}", soft_wrap=True)
    ranking = selection.ranking
    if ranking.effective_sources is not None:
        stdout.print(
            f"effective sources: {ranking.effective_sources:.1f} of {ranking.n_sources}",
            soft_wrap=True,
        )
    if ranking.notice:
        warn(ranking.notice)
    stdout.print(selection.trust.sentence, soft_wrap=True)
    for row in ranking.left_out.iter_rows(named=True):
        warn(f"left out {row['model']}/{row['pretrained']}: {row['reason']}")


def _shown(table: pl.DataFrame) -> pl.DataFrame:
    columns = [c for c in table.columns if table[c].null_count() < table.height]
    interval = [c for c in ("low", "high") if c in columns]
    shown = table.select(columns)
    if interval:
        between = pl.format("{} - {}", *(pl.col(c).round(0).cast(pl.Int64) for c in interval))
        shown = shown.with_columns(low=between).drop("high").rename({"low": "rank interval"})
    return shown.rename({"average_rank": "by average rank"})


def _name_failures(failed: pl.DataFrame) -> None:
    if failed.is_empty():
        return
    images = failed.unique("image_id", maintain_order=True)
    for row in images.head(10).iter_rows(named=True):
        warn(f"skipped image {row['image_id']}: {row['reason']}")
    if images.height > 10:
        warn(f"... and {images.height - 10} more images")


def selection_dict(selection, top: int) -> dict[str, object]:  # noqa: ANN001
    """What ``--json`` prints."""
    return {
        "target": selection.target,
        "selector": selection.selector,
        "why": selection.why,
        "n_images": selection.n_images,
        "ranking": selection.table.head(top),
        "effective_sources": selection.ranking.effective_sources,
        "n_sources": selection.ranking.n_sources,
        "near_uniform": selection.ranking.near_uniform,
        "notice": selection.ranking.notice,
        "trust": selection.trust.sentence,
        "failed_images": selection.failed_images,
        "left_out": selection.ranking.left_out,
    }

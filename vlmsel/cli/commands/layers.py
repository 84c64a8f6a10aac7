"""``vlmsel layers``: what silencing a layer does, and whether to leave one silent."""

import re
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.views.console import emit_json, note, say, show_table
from vlmsel.zoo.layer_name import PARTS, TOWERS

if TYPE_CHECKING:
    from vlmsel.api.layers import Chosen, TaskVectors
    from vlmsel.api.workspace import Workspace
    from vlmsel.evaluation.leave_one_out import LeaveOneOut
    from vlmsel.selection.layers.likeness import Likeness

app = typer.Typer(
    help="Silence one layer after the other: which tasks it hurts, which it helps, and whether to "
    "keep one silent.\n\nFirst: vlmsel measure knockout --set tower=vision --set part=block.",
    no_args_is_help=True,
)

TowerChoice = StrEnum("TowerChoice", {name: name for name in TOWERS})
PartChoice = StrEnum("PartChoice", {name: name for name in PARTS})


class RuleChoice(StrEnum):
    """Rules; the values of `vlmsel.selection.layers.rules.RuleName`."""

    published = "published"
    confirm = "confirm"
    significant = "significant"
    evidence = "evidence"


Towers = Annotated[
    list[TowerChoice] | None,
    typer.Option("--tower", help="Only this tower; may be given more than once. Default: both."),
]
Parts = Annotated[
    list[PartChoice] | None,
    typer.Option("--part", help="Only this part of a layer, likewise. Default: all measured."),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Only this model, likewise. Default: the whole zoo."),
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", help="Only this task, likewise. Default: all.")
]
SHOWN_PAIRS = 8
METRICS = ("ndcg5", "tau", "regret1")
TEXT_OF = {"no-bypass": "cannot be silenced so", "off-path": "not on the path"}


@app.command("vectors")
def vectors(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    tower: Towers = None,
    part: Parts = None,
    model: Models = None,
    task: Tasks = None,
    out: Annotated[
        Path,
        typer.Option(
            parser=o.output_path, metavar="FOLDER", help="Folder of tables (CSV) and figures (SVG)."
        ),
    ] = Path("layers"),
    judge: Annotated[
        bool,
        typer.Option(
            "--judge", help="Also judge the similarity as a selector, by leave-one-out beside DCD."
        ),
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Task-Layer Interaction Vectors: how each silenced layer changes the accuracy on each task.

    Tasks are compared by their vectors within a model; heatmaps and trees are written as SVG.
    """
    from vlmsel.api.layers import judge_likeness, read_answers, task_vectors

    workspace = _open(store, zoo, tasks)
    answers = read_answers(workspace, **_filters(tower, part), models=model or (), tasks=task or ())
    found = task_vectors(answers)
    judged = judge_likeness(workspace, found) if judge else None
    files = _write(found, out)
    if as_json:
        emit_json(_vectors_json(found, judged, files))
        return
    _show_vectors(found)
    if judged is not None:
        summary = judged.summary().filter(pl.col("metric").is_in(METRICS))
        shown = summary.select("selector", "metric", "n_targets", "mean", "low", "high")
        show_table(shown, title="leave-one-out; vectors are made of the targets' labels")
    say(f"{len(files)} file(s) in {out}: vectors.csv, likeness.csv, a heatmap and a tree per model")


@app.command("adapt")
def adapt(
    model: Annotated[
        list[str], typer.Option("--model", help="Model; may be given more than once.")
    ],
    task: Annotated[list[str], typer.Option("--task", help="Labelled task, likewise.")],
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    tower: Towers = None,
    part: Parts = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            metavar="TOWER.NUMBER[.PART]",
            help="Only this candidate, such as vision.0; may be given more than once.",
        ),
    ] = None,
    rule: Annotated[
        RuleChoice | None,
        typer.Option(help="How to choose. Default: evidence below 100 labels, else confirm."),
    ] = None,
    n_items: Annotated[
        int | None,
        typer.Option(
            "--n-items", min=2, help="Labelled images to choose on; the others judge the choice."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every random split.")] = 0,
    zoo_out: Annotated[
        Path | None,
        typer.Option(
            "--zoo-out",
            parser=o.output_path,
            metavar="FILE",
            help="Write a model catalog of the zoo and the adapted models, to measure and rank.",
        ),
    ] = None,
    tracking_uri: o.TrackingUri = None,
    experiment: o.Experiment = o.DEFAULT_EXPERIMENT,
    as_json: o.AsJson = False,
) -> None:
    """Adapt a model to a task by silencing one layer, where held-out images say that it helps.

    The gain to expect is that of five-fold cross-fitting; the gain on the images that the layer was
    chosen on is optimistic and called so. Where nothing helps, the model stays as it is. The
    adapted model is called MODEL@LAYER and can stand in a catalog like any other.
    """  # fmt: skip
    from vlmsel.api.layers import adapt_model, read_answers
    from vlmsel.cli.run_records import tracking_uri_for
    from vlmsel.errors import SettingsError
    from vlmsel.zoo.layer_name import LayerName

    for name in layer or ():
        LayerName.parse(name)
    workspace = _open(store, zoo, tasks)
    uri = tracking_uri_for(store, tracking_uri)
    answers = read_answers(workspace, **_filters(tower, part), models=model, tasks=task)
    if not answers:
        raise SettingsError("no model and task to adapt")
    found: list[Chosen] = []
    for answer in answers:
        chosen = adapt_model(
            answer,
            layers=layer or (),
            rule=None if rule is None else rule.value,
            n_items=n_items,
            seed=seed,
        )
        found.append(chosen)
    if zoo_out is not None:
        _write_zoo(workspace, found, zoo_out)
    done, is_logged = _log_all(found, uri, experiment)
    if as_json:
        emit_json(done)
    else:
        for record in done:
            _show_adaptation(record)
        if zoo_out is not None:
            say(f"catalog of the zoo and its adapted models: {zoo_out}")
    if not is_logged:
        raise typer.Exit(1)


def _open(store: str, zoo: str | None, tasks: str | None) -> "Workspace":
    from vlmsel.api.workspace import open_workspace

    return open_workspace(store, zoo=zoo, tasks=tasks)


def _filters(tower: list[Any] | None, part: list[Any] | None) -> dict[str, Any]:
    return {
        "towers": tuple(choice.value for choice in tower or ()) or TOWERS,
        "parts": tuple(choice.value for choice in part or ()) or PARTS,
    }


def _write(found: "TaskVectors", out: Path) -> list[str]:
    """Tables, and two figures per model."""
    from vlmsel.cli.views.output_files import write_output_table
    from vlmsel.selection.layers.likeness import likeness_pairs

    pairs = likeness_pairs([*found.likenesses, *found.pooled])
    write_output_table(out / "vectors.csv", found.vectors, "--out")
    write_output_table(out / "likeness.csv", pairs, "--out")
    files = [str(out / "vectors.csv"), str(out / "likeness.csv")]
    for likeness in (*found.likenesses, *found.pooled):
        files += _draw(found, likeness, out)
    return files


def _draw(found: "TaskVectors", likeness: "Likeness", out: Path) -> list[str]:
    from vlmsel.api.layers import interaction_figure
    from vlmsel.cli.views.output_files import write_output_figure
    from vlmsel.report.figures import task_dendrogram
    from vlmsel.selection.layers.likeness import cluster_tasks

    stem = re.sub(r"[^\w.@-]+", "_", "@".join(likeness.model))
    figures = {}
    heatmap = interaction_figure(found, likeness.model)
    if heatmap is not None:
        figures["heatmap"] = heatmap
    if len(likeness.tasks) > 2:
        figures["tree"] = task_dendrogram(cluster_tasks(likeness.centred), likeness.tasks)
    files = []
    for kind, figure in figures.items():
        path = out / f"{kind}-{stem}.svg"
        write_output_figure(path, figure, "--out")
        files.append(str(path))
    return files


def _count_significant(vectors: pl.DataFrame) -> pl.DataFrame:
    """By model: layers on tasks that are certainly better or worse, corrected for all of them."""
    from vlmsel.selection.layers.changes import mid_p

    level = 0.05 / max(1, vectors.height)
    up = [mid_p(a, b) < level for a, b in vectors.select("gained", "lost").iter_rows()]
    down = [mid_p(b, a) < level for a, b in vectors.select("gained", "lost").iter_rows()]
    marked = vectors.with_columns(better=pl.Series(up, dtype=pl.Boolean))
    marked = marked.with_columns(worse=pl.Series(down, dtype=pl.Boolean))
    best = pl.col("delta").arg_max()
    return (
        marked.group_by("model", "pretrained")
        .agg(
            tasks=pl.col("task").n_unique(),
            knockouts=pl.len(),
            higher=(pl.col("delta") > 0).sum(),
            better=pl.col("better").sum(),
            worse=pl.col("worse").sum(),
            largest=pl.col("delta").max(),
            where=pl.format("{} on {}", pl.col("layer").get(best), pl.col("task").get(best)),
        )
        .sort("model", "pretrained")
    )


def _show_vectors(found: "TaskVectors") -> None:
    from vlmsel.selection.layers.likeness import likeness_pairs

    title = "silenced layers on tasks: accuracy higher, certainly better, certainly worse"
    show_table(_count_significant(found.vectors), title=title)
    note("better, worse: mid-p times the number of rows below .05; `largest` is the best of many")
    for (model, pretrained, state), rows in sorted(
        found.idle.group_by("model", "pretrained", "state"), key=lambda group: group[0]
    ):
        names = ", ".join(rows["layer"])
        note(f"{model}/{pretrained}: {TEXT_OF.get(str(state), str(state))}: {names}")
    for likeness in found.likenesses:
        if likeness.saturated:
            note(
                f"{'/'.join(likeness.model)}: left out of the comparison, since no layer changes "
                f"them beyond noise: {', '.join(likeness.saturated)}"
            )
    pairs = likeness_pairs(list(found.pooled)).sort(
        "centred", "task", "other", descending=[True, False, False], nulls_last=True
    )
    if not pairs.is_empty():
        shown = pairs.select("task", "other", "raw", "centred").head(SHOWN_PAIRS)
        show_table(shown, title="most alike tasks, over the layers of all models together")


def _vectors_json(
    found: "TaskVectors", judged: "LeaveOneOut | None", files: list[str]
) -> dict[str, Any]:
    from vlmsel.selection.layers.likeness import likeness_pairs

    return {
        "vectors": found.vectors.to_dicts(),
        "likeness": likeness_pairs([*found.likenesses, *found.pooled]).to_dicts(),
        "saturated": {
            "/".join(likeness.model): list(likeness.saturated) for likeness in found.likenesses
        },
        "idle": found.idle.to_dicts(),
        "leave_one_out": None if judged is None else judged.summary().to_dicts(),
        "files": files,
    }


def _record(chosen: "Chosen") -> dict[str, Any]:
    """An adaptation as plain values."""
    found = chosen.adaptation
    fields = {k: v for k, v in asdict(found).items() if k != "key"}
    names = dict(zip(("model", "pretrained", "task"), found.key, strict=True))
    others = None
    if chosen.others is not None:
        others = dict(zip(("gain", "low", "high", "n_items"), chosen.others, strict=True))
    fields["held_out"] = {**fields["held_out"], "gain": found.held_out.gain}
    return {**names, **fields, "variant": found.variant, "other_items": others}


def _log_all(
    found: "list[Chosen]", uri: str | None, experiment: str
) -> tuple[list[dict[str, Any]], bool]:
    """Log adaptations until one fails; their records, and whether all are logged."""
    from vlmsel.cli.run_records import try_to_log

    done: list[dict[str, Any]] = []
    is_logged = True
    for chosen in found:
        logged = try_to_log(partial(_log, chosen, uri, experiment))
        # A server that has gone is not asked again for every adaptation.
        if logged is None:
            is_logged, uri = False, None
        mlflow = {"uri": logged[1], "run": logged[0]} if logged else None
        done.append({**_record(chosen), "mlflow": mlflow if is_logged else None})
    return done, is_logged


def _log(chosen: "Chosen", uri: str | None, experiment: str) -> tuple[str | None, str | None]:
    """One MLflow run per adaptation."""
    from vlmsel.cli.run_records import track_summary

    record = _record(chosen)
    params = (
        "model", "pretrained", "task", "rule", "layer", "proposed", "variant", "verdict",
        "n_items", "n_candidates", "seed",
    )  # fmt: skip
    metrics = (
        "optimistic_gain", "cross_fit_gain", "base_accuracy", "accuracy", "chance", "majority",
        "mid_p",
    )  # fmt: skip
    held = {f"held_out_{key}": record["held_out"][key] for key in ("gain", "low", "high")}
    has_held = record["held_out"]["layer"] is not None
    shares = pl.DataFrame(list(record["shares"].items()), schema=["layer", "share"], orient="row")
    return track_summary(
        "adaptation",
        uri,
        experiment=experiment,
        params={name: record[name] for name in params},
        metrics={name: record[name] for name in metrics} | (held if has_held else {}),
        tables={"shares": shares},
        tags={"adaptation": record["variant"] or "base"},
    )


def _show_adaptation(record: dict[str, Any]) -> None:
    where = f"{record['model']}/{record['pretrained']} on {record['task']}"
    say(f"{where}: {record['verdict']}")
    held, fitted = record["held_out"], record["cross_fit_gain"]
    cross = (
        "too few images to cross-fit"
        if fitted is None
        else f"expected gain {100 * fitted:+.1f} points (5-fold cross-fit of the whole rule)"
    )
    half = (
        "the first half chooses the base"
        if held["layer"] is None
        else f"chosen on half: {held['layer']}, on the other half {100 * held['gain']:+.1f} points "
        f"(95 % interval {100 * held['low']:+.1f} to {100 * held['high']:+.1f})"
    )
    shares = ", ".join(f"{name} {share:.0%}" for name, share in list(record["shares"].items())[:4])
    note(
        f"rule {record['rule']}, {record['n_items']} labelled images, {record['n_candidates']} "
        f"candidates, seed {record['seed']}; {cross}; {half}"
    )
    note(
        f"base {record['base_accuracy']:.3f}, chance {record['chance']:.3f}, majority answer "
        f"{record['majority']:.3f}; resamples choose: {shares}"
    )
    if record["proposed"]:
        note(
            f"without {record['proposed']}: {100 * record['optimistic_gain']:+.1f} points on the "
            "images that it was chosen on (optimistic)"
        )
    others = record["other_items"]
    if others:
        note(
            f"on {others['n_items']} other labelled images: {100 * others['gain']:+.1f} points "
            f"(95 % interval {100 * others['low']:+.1f} to {100 * others['high']:+.1f})"
        )


def _write_zoo(workspace: "Workspace", found: "list[Chosen]", path: Path) -> None:
    """A catalog of the zoo with its adapted models behind."""
    import yaml

    from vlmsel.cli.views.output_files import write_output

    specs = {spec.name: spec for spec in workspace.zoo.models}
    for chosen in found:
        adaptation = chosen.adaptation
        if adaptation.variant is not None:
            base = specs[f"{adaptation.key[0]}/{adaptation.key[1]}"]
            variant = base.model_copy(update={"model": adaptation.variant})
            specs[variant.name] = variant
    entries = [spec.model_dump(exclude_none=True) for spec in specs.values()]
    write_output(path, yaml.safe_dump({"models": entries}, sort_keys=False), "--zoo-out")

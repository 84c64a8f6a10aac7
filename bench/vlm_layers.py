"""Silenced layers of the embedded generative models: one command, one page.

Questions are drawn, every layer of both towers is silenced in several ways on them (`vlmsel measure
knockout`), and the page is written from what came out: gains and losses corrected for their number,
what rules claim on few items against the truth on the others, and the largest gain of each model
measured again on new items, beside the clean task.

    python bench/vlm_layers.py --work FOLDER --out docs/results/layers-generative.md

It may be stopped and started again: what FOLDER holds is not measured anew.
"""

import argparse
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from scipy.stats import binomtest

from vlmsel.api.layers import adapt_model, read_answers, task_vectors
from vlmsel.api.workspace import open_workspace
from vlmsel.cli.app import run
from vlmsel.demo import VLM_MANIFEST, VLM_ZOO
from vlmsel.demo.demo_questions import DemoQuestion, demo_question, demo_questions
from vlmsel.demo.question_bundle import N_ITEMS, write_demo_questions
from vlmsel.demo.vlm_manifest import read_vlm_manifest
from vlmsel.selection.layers.changes import agresti_min
from vlmsel.selection.layers.knockout_answers import LayerAnswers
from vlmsel.selection.layers.rules import RULE_OF, RULES
from vlmsel.zoo.layer_name import LayerName

WAYS = (
    ("text", "attention"),
    ("text", "block"),
    ("text", "mlp"),
    ("text", "uniform-weights"),
    ("vision", "block"),
)
# Some of the questions: all of them would take twice the time.
TASKS = (
    "counting",
    "shapes",
    "colours",
    "directions",
    "cells",
    "digits",
    "letters",
    "signs",
    "land",
    "left-shape",
    "right-colour",
    "counting-noise",
    "shapes-noise",
    "colours-noise",
    "directions-noise",
    "cells-noise",
    "digits-noise",
    "counting-dim",
    "left-shape-new",
    "right-colour-new",
)
# Of the rules: the way of the paper, and whole blocks of both towers.
CANDIDATES = (("text", "attention"), ("text", "block"), ("vision", "block"))
LEVEL = 0.05
SHOTS = (10, 20, 50)
NEW_SEED = 77
CELL = ["model", "task", "layer"]


def measure(store: Path, zoo: str, catalog: Path, way: tuple[str, str], n_items: int) -> None:
    """Measure one way of silencing on some items of every task of a catalog."""
    tower, part = way
    command = ["measure", "knockout", "--zoo", zoo, "--tasks", str(catalog), "--store", str(store)]
    command += ["--n-images", str(n_items), "--set", f"tower={tower}", "--set", f"part={part}"]
    code = run(command)
    if code:
        raise SystemExit(f"vlmsel {' '.join(command)} ended with {code}")


def write_zoo(folder: Path, names: Iterable[str]) -> str:
    """Write a catalog of some of the embedded models."""
    entries = [
        {"model": name, "pretrained": "demo", "weights": str(VLM_ZOO.parent / "vlms" / name)}
        for name in names
    ]
    path = folder / "zoo.yaml"
    path.write_text(yaml.safe_dump({"models": entries}))
    return str(path)


def answers_of(store: Path) -> list[LayerAnswers]:
    """Labelled answers of every model and task that the last run named, all ways together."""
    return read_answers(open_workspace(str(store)))


def judge(vectors: pl.DataFrame) -> pl.DataFrame:
    """Mark what is certain: two-sided exact McNemar, Bonferroni over all rows."""
    tests = [
        binomtest(up, up + down).pvalue if up + down else 1.0
        for up, down in vectors.select("gained", "lost").iter_rows()
    ]
    certain = pl.Series(tests) * vectors.height < LEVEL
    names = [LayerName.parse(name) for name in vectors["layer"]]
    return vectors.with_columns(
        tower=pl.Series([name.tower for name in names]),
        part=pl.Series([name.part for name in names]),
        number=pl.Series([name.number for name in names]),
        better=certain & (vectors["delta"] > 0),
        worse=certain & (vectors["delta"] < 0),
        shift=pl.Series([demo_question(task).shift for task in vectors["task"]]),
    )


def kinds_table(judged: pl.DataFrame) -> list[str]:
    """One row per way of silencing, as lines of Markdown."""
    lines = [
        "| silenced | tower | knockouts | accuracy higher | certainly better | certainly worse "
        "| largest gain |",
        "|---|---|---|---|---|---|---|",
    ]
    for tower, part in WAYS:
        rows = judged.filter(pl.col("tower") == tower, pl.col("part") == part)
        if rows.is_empty():
            continue
        top = rows.sort("delta", descending=True).row(0, named=True)
        higher = rows.filter(pl.col("delta") > 0).height
        lines.append(
            f"| {part} | {tower} | {rows.height} | {higher} | {rows['better'].sum()} "
            f"| {rows['worse'].sum()} | {points(top['delta'])} {place(top)} |"
        )
    return lines


def points(value: float) -> str:
    return f"{100 * value:+.1f}"


def place(row: dict) -> str:
    """Place of a knockout, with the accuracies."""
    model = row["model"].removeprefix("demo-vlm-")
    after = row["base_accuracy"] + row["delta"]
    return f"{row['task']}, {model} {row['layer']} ({row['base_accuracy']:.3f} to {after:.3f})"


def better_lines(judged: pl.DataFrame) -> list[str]:
    """All knockouts that are certainly better, the largest first."""
    rows = judged.filter("better").sort("delta", descending=True)
    if rows.is_empty():
        return ["No knockout is certainly better."]
    shifted = rows.filter(pl.col("shift") != "none").height
    below = rows.filter(pl.col("base_accuracy") + pl.col("delta") <= pl.col("chance")).height
    lines = [
        f"Certainly better are {rows.height}: {shifted} on shifted tasks, "
        f"{rows.height - shifted} on tasks as in training; {below} of them stay at or below "
        "chance.",
        "",
        "| task | model | silenced | accuracy | without | chance | gained | lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows.iter_rows(named=True):
        after = row["base_accuracy"] + row["delta"]
        lines.append(
            f"| {row['task']} | {row['model']} | {row['layer']} | {row['base_accuracy']:.3f} "
            f"| {after:.3f} | {row['chance']:.3f} | {row['gained']} | {row['lost']} |"
        )
    return lines


def correlations(judged: pl.DataFrame) -> list[str]:
    """Pearson's r between two ways of silencing the language model, over layers and tasks."""
    lines = []
    for one, other in (
        ("attention", "uniform-weights"),
        ("attention", "block"),
        ("attention", "mlp"),
    ):
        keys = ["model", "task", "number"]
        text = judged.filter(pl.col("tower") == "text")
        first = text.filter(pl.col("part") == one).select(*keys, "delta")
        second = text.filter(pl.col("part") == other).select(*keys, other="delta")
        both = first.join(second, on=keys)
        if both.height > 2:
            r = np.corrcoef(both["delta"], both["other"])[0, 1]
            lines.append(f"{one} and {other} {r:.3f}")
    return lines


@dataclass(frozen=True)
class Draw:
    """One choice on few items: what it claims there, and what it does on all others."""

    claimed: float
    held_out: float
    is_used: bool


def draw_choices(
    answers: Iterable[LayerAnswers], rule: str, shots: int, draws: int
) -> Iterable[Draw]:
    """Choose on items drawn without replacement, judge on the rest of the same task."""
    for place_, found in enumerate(answers):
        outcomes = found.outcomes
        for draw in range(draws):
            rng = np.random.default_rng([place_, shots, draw])
            order = rng.permutation(outcomes.n_items)
            seen, rest = outcomes.take(order[:shots]), outcomes.take(order[shots:])
            choice = RULE_OF[rule](seen, rng)
            if choice is None:
                yield Draw(0.0, 0.0, False)
            else:
                yield Draw(float(seen.gains()[choice]), float(rest.gains()[choice]), True)


def curse_table(answers: Sequence[LayerAnswers], draws: int) -> tuple[list[str], list[dict]]:
    """Claimed and held-out gain by rule and number of items, in points."""
    lines = [
        "| rule | labelled items | claimed on them | on all others | silenced | harmful where "
        "silenced |",
        "|---|---|---|---|---|---|",
    ]
    found = []
    for rule in RULES:
        for shots in SHOTS:
            drawn = list(draw_choices(answers, rule, shots, draws))
            used = [one for one in drawn if one.is_used]
            row = {
                "rule": rule,
                "shots": shots,
                "claimed": float(np.mean([one.claimed for one in drawn])),
                "held_out": float(np.mean([one.held_out for one in drawn])),
                "used": len(used) / len(drawn),
                "harm": sum(one.held_out < 0 for one in used) / len(used) if used else None,
            }
            found.append(row)
            harm = "-" if row["harm"] is None else f"{row['harm']:.2f}"
            lines.append(
                f"| {rule} | {shots} | {points(row['claimed'])} | {points(row['held_out'])} "
                f"| {row['used']:.2f} | {harm} |"
            )
    return lines, found


def largest_shifted(judged: pl.DataFrame, model: str) -> dict | None:
    """The block whose silence gains most on a shifted task for certain, above chance."""
    rows = judged.filter(
        pl.col("model") == model,
        pl.col("better"),
        pl.col("part") == "block",
        pl.col("shift") != "none",
        pl.col("base_accuracy") + pl.col("delta") > pl.col("chance"),
    )
    return rows.sort("delta", descending=True).row(0, named=True) if rows.height else None


def new_items(work: Path, row: dict, n_items: int) -> list[dict]:
    """The same layer on new items of the shifted task and of the clean one."""
    shifted = demo_question(row["task"])
    pair: list[DemoQuestion] = [shifted, demo_question(shifted.subject)]
    folder = work / f"new-{row['model']}-{row['task']}"
    catalog = write_demo_questions(folder, pair, n_items=n_items, seed=NEW_SEED)
    store = folder / "store"
    way = (row["tower"], row["part"])
    measure(store, write_zoo(folder, [row["model"]]), catalog, way, n_items)
    vectors = task_vectors(answers_of(store)).vectors
    found = vectors.filter(pl.col("layer") == row["layer"]).rows(named=True)
    return sorted(found, key=lambda one: one["task"] != shifted.name)


def new_lines(work: Path, judged: pl.DataFrame, n_items: int) -> list[str]:
    """Share of each model's largest gain that holds on items drawn anew."""
    lines = [
        "| model | silenced | task | accuracy | without | gained | lost | change [95 % interval] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    confirmed, tried = [], 0
    for model in sorted(set(judged["model"])):
        row = largest_shifted(judged, model)
        if row is None:
            continue
        tried += 1
        rows = new_items(work, row, n_items)
        bounds = []
        for one in rows:
            _, low, high = agresti_min(one["gained"], one["lost"], one["n_images"])
            bounds.append((low, high))
            after = one["base_accuracy"] + one["delta"]
            lines.append(
                f"| {model} | {one['layer']} | {one['task']} | {one['base_accuracy']:.3f} "
                f"| {after:.3f} | {one['gained']} | {one['lost']} | {points(one['delta'])} "
                f"[{points(low)}, {points(high)}] |"
            )
        if bounds[0][0] > 0 and bounds[1][1] < 0:
            confirmed.append(f"{model} without {row['layer']} on {row['task']}")
    if not tried:
        return ["No block of any model is certainly better on a shifted task: none was tried."]
    if confirmed:
        said = (
            f"Raised clearly on the shifted task and lowered on the clean one (both intervals "
            f"without zero): {'; '.join(confirmed)}."
        )
    else:
        said = "No block raises its shifted task and lowers the clean one clearly."
    return [*lines, "", said]


def adapt_lines(answers: Sequence[LayerAnswers], judged: pl.DataFrame, n_items: int) -> list[str]:
    """Decision of `vlmsel layers adapt` on half of the items, for each model's largest gain."""
    lines = []
    for model in sorted(set(judged["model"])):
        row = largest_shifted(judged, model)
        if row is None:
            continue
        found = [one for one in answers if (one.key[0], one.key[2]) == (model, row["task"])]
        for one in found:
            done = adapt_model(one, n_items=n_items)
            fitted = done.adaptation.cross_fit_gain
            crossed = "no cross-fit" if fitted is None else f"cross-fit {points(fitted)}"
            others = "no layer to judge"
            if done.others is not None:
                gain, low, high, n_others = done.others
                others = (
                    f"{done.adaptation.proposed} on the {n_others} other items {points(gain)} "
                    f"[{points(low)}, {points(high)}]"
                )
            lines.append(
                f"- `vlmsel layers adapt --model {model} --task {row['task']} --n-items {n_items}`:"
                f" {done.adaptation.verdict} (rule {done.adaptation.rule}, "
                f"{done.adaptation.n_candidates} candidates; {crossed} points; {others})"
            )
    return lines or ["No block is certainly better on a shifted task: nothing to adapt."]


def models_table() -> list[str]:
    """Table of the models, from the manifest."""
    lines = [
        "| model | parameters | weights | steps | seconds | learned: accuracy of .8 and more |",
        "|---|---|---|---|---|---|",
    ]
    trained = [known for known in demo_questions() if known.shift == "none"]
    for record in read_vlm_manifest(VLM_MANIFEST).models:
        known = [
            f"{one.name} {record.accuracy[one.name]:.2f}"
            for one in trained
            if record.accuracy[one.name] >= 0.8
        ]
        lines.append(
            f"| {record.model} | {record.parameters:,} | {record.size_bytes / 1e6:.2f} MB "
            f"| {record.steps} | {record.training_s:.0f} | {', '.join(known) or 'none'} |"
        )
    return lines


def curse_words(found: list[dict]) -> str:
    """Sentence on the published rule, from the rows."""
    parts = []
    for row in found:
        if row["rule"] == "published":
            parts.append(
                f"{points(row['claimed'])} claimed and {points(row['held_out'])} true on "
                f"{row['shots']} items"
            )
    return f"The published rule (largest gain on the labelled items): {'; '.join(parts)}."


def chosen(answers: Iterable[LayerAnswers]) -> list[LayerAnswers]:
    """The same with the candidates of the rules alone."""
    from vlmsel.selection.layers.knockout_answers import choose_layers

    kept = []
    for found in answers:
        names = [
            name
            for name in found.layers
            if (LayerName.parse(name).tower, LayerName.parse(name).part) in CANDIDATES
        ]
        if names:
            kept.append(choose_layers(found, names))
    return kept


def write_page(work: Path, out: Path, n_items: int, n_new: int, draws: int) -> None:
    tasks = [demo_question(name) for name in TASKS]
    catalog = write_demo_questions(work / "questions", tasks, n_items=max(n_items, N_ITEMS))
    store = work / "store"
    models = [record.model for record in read_vlm_manifest(VLM_MANIFEST).models]
    zoo = write_zoo(work, models)
    for way in WAYS:
        measure(store, zoo, catalog, way, n_items)
    answers = answers_of(store)
    found = task_vectors(answers)
    judged = judge(found.vectors)
    idle = [
        f"{row['model']} {row['layer']} ({row['state']})"
        for row in found.idle.iter_rows(named=True)
    ]
    n_shifted = sum(one.shift != "none" for one in tasks)
    curse, rows = curse_table(chosen(answers), draws)
    lines = [
        "# Silenced layers of generative models",
        "",
        f"Our own {len(models)} small models (`vlmsel/demo/vlms`, LLaVA's architecture, trained by "
        "`python -m vlmsel.demo.vlm_builder`) on drawn and handwritten multiple-choice questions. "
        "They say nothing about large models: tasks and models were made by us, and the shifts "
        "are simulated (pixel noise, dimming, combinations left out of training).",
        "",
        f"Made by `python bench/vlm_layers.py --work FOLDER --out {out} --n-items {n_items} "
        f"--n-new {n_new} --draws {draws}` on {datetime.now(UTC):%Y-%m-%d}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, one thread, torch {version('torch')}, "
        f"transformers {version('transformers')}. This page is its output.",
        "",
        "## Models",
        "",
        *models_table(),
        "",
        "## What silencing does",
        "",
        f"{judged.height} knockouts: {len(set(judged['model']))} models, {len(tasks)} tasks "
        f"({n_shifted} shifted), {n_items} items each; accuracy by the options' log-probabilities. "
        f"Certain: two-sided exact McNemar test times {judged.height} below .05.",
        "",
        *kinds_table(judged),
        "",
        *([f"No candidates: {', '.join(idle)}.", ""] if idle else []),
        f"Pearson's r over models, tasks and layers of the language model: "
        f"{', '.join(correlations(judged))}.",
        "",
        *better_lines(judged),
        "",
        f"## On {n_new:,} new items",
        "",
        "For each model the block with the largest certain gain on a shifted task (above chance), "
        "on pictures drawn with another seed; the clean task beside it.",
        "",
        *new_lines(work, judged, n_new),
        "",
        "## What `layers adapt` decides",
        "",
        *adapt_lines(chosen(answers), judged, n_items // 2),
        "",
        "## Winner's curse",
        "",
        f"A rule chooses on a few labelled items of a task, drawn {draws} times; the truth is "
        f"the gain on the task's other items. Mean over {len(answers)} models on tasks, in "
        "points, 0 where the base stays. Candidates: attention and whole layers of the language "
        "model, blocks of the image tower.",
        "",
        *curse,
        "",
        curse_words(rows),
        "",
    ]
    out.write_text("\n".join(lines))
    print(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/layers-generative.md"))
    parser.add_argument("--n-items", type=int, default=100)
    parser.add_argument("--n-new", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=10)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    write_page(asked.work, asked.out, asked.n_items, asked.n_new, asked.draws)


if __name__ == "__main__":
    main()

"""Ranking of the embedded zoo from a few labels: posterior, with and without unlabelled images.

    python bench/answers.py STORE [draws]

STORE is that of `vlmsel demo`. Every task is the target once and the others are the sources; its
labels are drawn at random from its own truth. Prints the means over tasks and draws.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from rich.console import Console

from vlmsel.api.workspace import open_workspace
from vlmsel.evaluation.metrics import evaluate_ranking
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.selection.answer import Question, answer
from vlmsel.selection.zoo_answers import ZooAnswers, zoo_answers

BUDGETS, N_UNLABELLED = (10, 25), 200
MODEL = ["model", "pretrained"]
SHOWN = ["ndcg5", "tau", "regret1"]


def rank(way: str, question: Question, rng: np.random.Generator) -> np.ndarray:
    """Scores of one way to rank, lower is better."""
    if way == "average-rank":
        question = replace(question, labels={}, answers=None)
    found_answers = question.answers
    if way == "posterior, labelled images alone" and found_answers is not None:
        kept = [i for i, image in enumerate(found_answers.images) if image in question.labels]
        question = replace(question, answers=of_images(found_answers, kept))
    if way.startswith("plain hits"):
        question = replace(question, accuracy=question.accuracy[:0], imagenet=None)
        if way == "plain hits" and found_answers is not None:
            kept = [i for i, image in enumerate(found_answers.images) if image in question.labels]
            question = replace(question, answers=of_images(found_answers, kept))
    found = answer(question)
    if way.startswith("plain hits"):
        # Ties of hit counts at random: tau-b favours ties.
        return -found.accuracy + rng.uniform(0, 1e-6, len(found.accuracy))
    return found.ranks.astype(float)


def of_images(answers: ZooAnswers, kept: list[int]) -> ZooAnswers:
    names = ("classes", "confidence", "margin", "entropy")
    arrays = {name: getattr(answers, name)[:, kept] for name in names}
    return replace(answers, images=tuple(answers.images[i] for i in kept), **arrays)


WAYS = (
    "average-rank",
    "plain hits",
    "plain hits, powered",
    "posterior, labelled images alone",
    "posterior",
)


def judge(store: str, n_draws: int) -> Iterator[tuple[str, str, str, float]]:
    evidence = open_workspace(store).evidence
    answers = zoo_answers(evidence.predictions)
    wide = evidence.accuracies.pivot("task", index=MODEL, values="acc1").sort(MODEL)
    models, tasks = tuple(wide.select(MODEL).rows()), wide.columns[2:]
    labels = {
        task: dict(zip(rows["image_id"], rows["label"], strict=True))
        for (task,), rows in evidence.labels.partition_by("task", as_dict=True).items()
    }
    for task in tasks:
        truth = wide[task].to_numpy()
        others = wide.select([name for name in tasks if name != task]).to_numpy().T
        seen = answers[task].first_images(N_UNLABELLED)
        for n in BUDGETS:
            for draw in range(n_draws):
                rng = np.random.default_rng([draw, len(task), n])
                shown = rng.choice(len(seen.images), n, replace=False)
                known = {seen.images[i]: labels[task][seen.images[i]] for i in shown}
                question = Question(models, others, answers=seen, labels=known)
                for way in WAYS:
                    values = evaluate_ranking(truth, rank(way, question, rng))
                    for metric in SHOWN:
                        yield f"{way}@{n}", task, metric, values[metric]


def main() -> None:
    n_draws = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    rows = list(judge(sys.argv[1], n_draws))
    frame = pl.DataFrame(rows, schema=["selector", "target", "metric", "value"], orient="row")
    means = frame.group_by("selector", "target", "metric", maintain_order=True).agg(
        pl.col("value").mean()
    )
    console = Console(width=120, highlight=False)
    for n in BUDGETS:
        part = means.filter(pl.col("selector").str.ends_with(f"@{n}"))
        for rival in ("average-rank", "plain hits"):
            table = paired_bootstrap(part, baseline=f"{rival}@{n}", n_bootstrap=2000)
            console.print(f"{n} labels, {n_draws} draws; deltas against {rival}")
            for row in table.iter_rows(named=True):
                console.print(
                    f"  {row['selector']:38} {row['metric']:8} {row['mean']:.3f}  "
                    f"{row['delta']:+.3f} ({row['delta_low']:+.3f} to {row['delta_high']:+.3f})"
                )


if __name__ == "__main__":
    main()

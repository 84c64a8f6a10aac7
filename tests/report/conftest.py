"""Small synthetic frames in the shapes of the store, the selectors and the evaluation."""

import numpy as np
import polars as pl
import pytest

from vlmsel.evaluation.metrics import METRICS
from vlmsel.report.inputs import ReportInputs

MODELS = (
    ("vit-small", "demo"),
    ("vit-wide", "demo"),
    ("rn-small", "demo"),
    ("convnext-tiny", "demo"),
    ("mixer-small", "demo"),
    ("rn-deep", "demo"),
)
TASKS = ("faces-a", "faces-b", "digits-a", "digits-b", "shapes-a", "shapes-b", "space", "land")
SELECTORS = ("dcd-pooled", "average-rank", "dcd", "random")


def synthetic_profiles(models=MODELS, tasks=TASKS, n_images=5, n_blocks=8) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for m, (model, pretrained) in enumerate(models):
        for t, task in enumerate(tasks):
            shape = np.exp(
                0.3 * np.sin(np.arange(n_blocks) / 2 + t // 2) - 0.25 * np.arange(n_blocks)
            )
            for image in range(n_images):
                values = (1 + m) * 1e-3 * shape * rng.lognormal(0, 0.15, n_blocks)
                rows += [
                    (model, pretrained, task, f"{task}/{image}", b, f"blocks.{b}", v)
                    for b, v in enumerate(values.tolist())
                ]
    return pl.DataFrame(
        rows,
        orient="row",
        schema={
            "model": pl.String,
            "pretrained": pl.String,
            "task": pl.String,
            "image_id": pl.String,
            "block": pl.Int32,
            "block_name": pl.String,
            "conductance": pl.Float64,
        },
    )


def synthetic_pairs(value: str, models=MODELS, tasks=TASKS) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    rows = [
        (m, p, s, t, abs(i - j) * 0.2 + rng.uniform(0, 0.2))
        for m, p in models
        for j, t in enumerate(tasks)
        for i, s in enumerate(tasks)
        if s != t
    ]
    return pl.DataFrame(
        rows, orient="row", schema=["model", "pretrained", "source", "target", value]
    )


def synthetic_weights(models=MODELS, tasks=TASKS) -> pl.DataFrame:
    rng = np.random.default_rng(4)
    rows = []
    for model, pretrained in models:
        weights = rng.dirichlet(np.full(len(tasks) - 1, 0.6))
        rows += [
            (model, pretrained, source, w)
            for source, w in zip(tasks[1:], weights.tolist(), strict=True)
        ]
    return pl.DataFrame(rows, orient="row", schema=["model", "pretrained", "source", "weight"])


def synthetic_ranking(models=MODELS, target=TASKS[0]) -> pl.DataFrame:
    n = len(models)
    rng = np.random.default_rng(2)
    rank = np.arange(1, n + 1)
    return pl.DataFrame(
        {
            "target": [target] * n,
            "rank": rank,
            "model": [m for m, _ in models],
            "pretrained": [p for _, p in models],
            "score": 1.2 + 0.8 * np.arange(n),
            "low": np.maximum(1, rank - 1.0),
            "high": np.minimum(n, rank + 2.0),
            "top5": np.linspace(1.0, 0.4, n),
            "accuracy": 0.9 - 0.1 * rng.permutation(n),
        }
    )


def synthetic_summary(selectors=SELECTORS) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for i, selector in enumerate(selectors):
        for metric in METRICS:
            mean = 0.9 - 0.08 * i
            delta = 0.08 - 0.08 * i
            half = 0.04 + rng.uniform(0, 0.06)
            rows.append(
                (
                    selector,
                    metric,
                    mean,
                    mean - half,
                    mean + half,
                    delta,
                    delta - half,
                    delta + half,
                )
            )
    names = ["selector", "metric", "mean", "low", "high", "delta", "delta_low", "delta_high"]
    return pl.DataFrame(rows, orient="row", schema=names)


def synthetic_sweep(n_etas=6, n_gammas=7, targets=TASKS) -> pl.DataFrame:
    rows = [
        (
            eta,
            gamma,
            metric,
            target,
            0.5 + 0.3 * np.exp(-((eta - 2) ** 2) / 4 - (gamma - 5) ** 2 / 20) + 0.01 * k,
        )
        for eta in np.linspace(0, 5, n_etas).tolist()
        for gamma in np.linspace(0, 12, n_gammas).tolist()
        for metric in METRICS
        for k, target in enumerate(targets)
    ]
    return pl.DataFrame(rows, orient="row", schema=["eta", "gamma", "metric", "target", "value"])


def synthetic_inputs() -> ReportInputs:
    ranking = synthetic_ranking()
    rival = ranking.select("model", "pretrained", rank=pl.col("rank").shuffle(seed=1))
    failures = pl.DataFrame(
        {
            "model": ["rn-small"],
            "pretrained": ["demo"],
            "task": ["space"],
            "image_id": ["space/17.png"],
            "reason": ["cannot be decoded: truncated"],
        }
    )
    return ReportInputs(
        title="Which model for faces-a?",
        created="2026-11-21 08:00 UTC",
        command="vlmsel report --store demo-store",
        target=TASKS[0],
        selector="dcd-pooled",
        verdict="Use average-rank unless your images resemble one source far more than the others.",
        notes=(
            "In leave-one-out the first choice was among the true best five for 7 of 8 targets.",
        ),
        versions={"vlmsel": "0.1.0", "torch": "2.15.0"},
        settings={"eta": 2.0, "gamma": 5.0, "eps": 1e-8},
        ranking=ranking,
        rival=rival,
        weights=synthetic_weights(),
        effective_sources=3.24,
        near_uniform=True,
        profiles=synthetic_profiles(),
        dcd=synthetic_pairs("dcd"),
        leave_one_out={"Embedded zoo": synthetic_summary()},
        sweep=synthetic_sweep(),
        failures=failures,
    )


@pytest.fixture(scope="session")
def report_inputs() -> ReportInputs:
    return synthetic_inputs()

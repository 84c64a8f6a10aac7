"""Seconds of transferability scores of a zoo, and beside the formulas written plainly in numpy.

    python bench/scores.py                     # 50 models x 2,000 images x 1,024 dims x 50 classes
    python bench/scores.py --models 4 --plain  # fewer models, and ratios to the plain formulas

Closed-form scores share one decomposition a model, and models are scored in threads, one a core;
what is trained (probe, discriminant in folds, ITM, NLEEP) is timed apart, on one model. Processor
time is that of the thread; wall time means nothing on a busy machine. Features
are random clouds of length 1: the time does not depend on how good they are. Set OMP_NUM_THREADS=1.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from vlmsel.selection import scores as s
from vlmsel.selection.transfer.labelled_task import LabelledTask, labelled_task
from vlmsel.selection.transfer.model_inputs import ModelInputs, model_inputs
from vlmsel.selection.transfer.score_catalog import ESTIMATORS, Estimator

TARGET_S = 360.0
CONSOLE = Console()


def make_features(seed: int, sizes: tuple[int, int, int], labels: np.ndarray) -> np.ndarray:
    n, d, classes = sizes
    random = np.random.default_rng(seed)
    return random.normal(size=(classes, d))[labels] + 3 * random.normal(size=(n, d))


def closed_form() -> dict[str, Estimator]:
    return {
        name: one
        for name, one in ESTIMATORS.items()
        if one.cost == "closed form" and one.needs != "zero-shot"
    }


def score_model(
    seed: int, sizes: tuple[int, int, int], task: LabelledTask, head: np.ndarray
) -> dict[str, float]:
    """Processor seconds of every closed-form score of one model, gates aside."""
    features = make_features(seed, sizes, task.groups.codes)
    start = time.thread_time()
    inputs = model_inputs(features, task, head=head)
    taken = {"decomposition": time.thread_time() - start}
    for name, one in closed_form().items():
        start = time.thread_time()
        one.function(inputs)
        taken[name] = time.thread_time() - start
    return taken


# The formulas as a paper's reader would write them, no decomposition shared.


def plain_logme(x: np.ndarray, y: np.ndarray) -> float:
    values = []
    n, d = x.shape
    u, singular, _ = np.linalg.svd(x, full_matrices=False)
    for c in np.unique(y):
        t = (y == c).astype(float)
        lam, z = singular**2, (u.T @ t) ** 2
        r0, alpha, beta = t @ t - z.sum(), 1.0, 1.0
        for _ in range(11):
            q = alpha / beta
            gamma = (lam / (lam + q)).sum()
            m2 = (lam * z / (lam + q) ** 2).sum()
            r2 = (z * (q / (lam + q)) ** 2).sum() + r0
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (r2 + 1e-5)
            if abs(alpha / beta - q) <= 1e-3 * q:
                break
        volume = np.log(alpha + beta * lam).sum() + (d - len(lam)) * np.log(alpha)
        fit = d * np.log(alpha) + n * np.log(beta) - volume - beta * r2 - alpha * m2
        values.append((fit - n * np.log(2 * np.pi)) / 2 / n)
    return float(np.mean(values))


def plain_hscore(x: np.ndarray, y: np.ndarray) -> float:
    centred = x - x.mean(axis=0)
    g = np.array([centred[y == c].mean(axis=0) for c in y])
    inverse = np.linalg.pinv(centred.T @ centred, rcond=1e-15)
    return float(np.trace(inverse @ g.T @ g))


def plain_transrate(x: np.ndarray, y: np.ndarray) -> float:
    z = x - x.mean(axis=0)

    def rate(rows: np.ndarray) -> float:
        matrix = np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4)
        return 0.5 * np.linalg.slogdet(matrix)[1]

    return float(rate(z) - np.mean([rate(z[y == c]) for c in np.unique(y)]))


def plain_parc(x: np.ndarray, y: np.ndarray) -> float:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    upper = np.triu_indices(len(y), 1)
    apart = np.round(1 - np.corrcoef(z), 12)[upper]
    other = (y[:, None] != y)[upper]
    return float(100 * np.asarray(spearmanr(apart, other))[0])


def plain_sfda(x: np.ndarray, y: np.ndarray) -> float:
    def fit(rows: np.ndarray, a: float | None) -> tuple[np.ndarray, float]:
        classes = np.unique(y)
        means = np.array([rows[y == c].mean(axis=0) for c in classes])
        shares = np.array([(y == c).mean() for c in classes])
        within = sum(
            p * np.cov(rows[y == c].T, bias=True) for p, c in zip(shares, classes, strict=True)
        )
        if a is None:
            v = within.sum(axis=1)
            for _ in range(3):
                w = within @ v / np.linalg.norm(within @ v)
                v = within @ w / np.linalg.norm(within @ w)
            a = max(np.exp(-5 * v @ within @ w), 1e-10)
        d = len(within)
        shrunk = (1 - a) * within + a * np.trace(within) / d * np.eye(d)
        inverse = np.linalg.inv(shrunk)
        logits = rows @ inverse @ means.T - 0.5 * np.diag(means @ inverse @ means.T)
        raised = np.exp(logits + np.log(shares) - (logits + np.log(shares)).max(1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True), a

    p, a = fit(x, None)
    raised = np.exp(p)
    q = (raised / raised.sum(axis=1, keepdims=True))[np.arange(len(y)), y][:, None]
    means = np.array([x[y == c].mean(axis=0) for c in np.unique(y)])
    others = np.array([np.delete(means, c, axis=0).mean(axis=0) for c in y])
    p2, _ = fit(q * x + (1 - q) * others, a)
    return float(p2[np.arange(len(y)), y].mean())


PLAIN: dict[str, tuple[Callable[..., float], Callable[..., float]]] = {
    "logme": (plain_logme, s.logme),
    "hscore": (plain_hscore, s.hscore),
    "transrate": (plain_transrate, s.transrate),
    "parc": (plain_parc, s.parc),
    "sfda": (plain_sfda, lambda x, y: s.sfda(x, y).score),
}


def seconds(run: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Processor seconds, best of several runs, and the value."""
    best, value = np.inf, np.nan
    for _ in range(repeats):
        start = time.thread_time()
        value = run()
        best = min(best, time.thread_time() - start)
    return best, value


def show(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    CONSOLE.print(table)


def compare(inputs: ModelInputs, repeats: int) -> None:
    rows = []
    x, y = inputs.features, inputs.labels
    for name, (plain, ours) in PLAIN.items():
        slow, expected = seconds(lambda plain=plain: plain(x, y), 1)
        alone, value = seconds(lambda ours=ours: ours(x, y), repeats)
        shared, _ = seconds(lambda name=name: ESTIMATORS[name].function(inputs).score, repeats)
        apart = abs(value - expected) / max(abs(expected), 1e-300)
        rows.append((name, slow, alone, shared, slow / alone, slow / shared, apart))
    columns = ("score", "plain s", "alone s", "shared s", "plain/alone", "plain/shared", "apart")
    show("beside plain numpy, one model (shared: the decomposition is there)", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("models", 50), ("images", 2000), ("dims", 1024), ("classes", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="compare with plain numpy")
    parser.add_argument("--no-trained", action="store_true")
    given = parser.parse_args()
    sizes = given.images, given.dims, given.classes
    labels = np.arange(given.images) % given.classes
    task = labelled_task(labels)
    head = np.random.default_rng(0).dirichlet(np.ones(1000), given.images)
    start = time.perf_counter()
    with ThreadPoolExecutor(given.threads) as pool:
        taken = list(pool.map(lambda i: score_model(i, sizes, task, head), range(given.models)))
    wall = time.perf_counter() - start
    names = list(taken[0])
    show(
        f"{given.models} models x {sizes[0]} images x {sizes[1]} dims x {sizes[2]} classes",
        ("closed form", "processor s a model, median"),
        [(name, float(np.median([one[name] for one in taken]))) for name in names],
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    load = os.getloadavg()[0]
    busy = sum(sum(one.values()) for one in taken) / given.models
    CONSOLE.print(
        f"processor time {busy:.2f} s a model, {busy * 50 / 2:.0f} s for 50 models on 2 cores"
    )
    CONSOLE.print(
        f"all closed-form scores: {wall:.1f} s wall for {given.models} models on {given.threads} "
        f"threads, {wall / given.models * 50:.0f} s for 50 (target {TARGET_S:.0f} s on 2 quiet "
        f"cores); peak memory {peak:.2f} GB; load {load:.1f}"
    )
    inputs = model_inputs(make_features(0, sizes, labels), task, head=head)
    if not given.no_trained:
        rows = []
        for name, one in ESTIMATORS.items():
            # The likelihood is that of the probe before it.
            if one.cost == "trained" and name != "probe-likelihood":
                fresh = model_inputs(make_features(0, sizes, labels), task)
                rows.append((name, *seconds(lambda o=one, f=fresh: o.function(f).score, 1)))
        show("trained, one model, one thread", ("score", "s", "value"), rows)
    if given.plain:
        compare(inputs, given.repeats)


if __name__ == "__main__":
    main()

"""Regret and tau of picking orders against the number of labels, on answers with known classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.metrics import ndcg5, regret1, tau
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.evaluation.simulated_labels import target_rng
from vlmsel.selection.orders.picking_orders import ORDERS, PickingOrder
from vlmsel.selection.orders.pool import Labelled, Pool, hit_rates

LABELS = (5, 10, 25, 50)
N_DRAWS, N_ACTIVE_DRAWS = 10, 3
# A table of one task is drawn pools of so many of its images; intervals are over the draws.
POOL_IMAGES, N_POOLS = 400, 20
RANDOM, HITS = "random", "plain hits"
METRICS = ("regret1", "tau", "ndcg5")
# Less than the smallest difference of two rates, and more than rounding.
TIE = 1e-7


@dataclass(frozen=True, eq=False)
class LabelledPool:
    """A zoo's answers on images whose classes are known.

    Attributes:
        name: of the task.
        pool: the answers.
        truth: (images,), class numbers.
        accuracy: (models,), by which rankings are judged.
    """

    name: str
    pool: Pool
    truth: np.ndarray
    accuracy: np.ndarray

    def take_images(self, places: np.ndarray) -> "LabelledPool":
        """The same with a part of the images to pick from; accuracies stay those of all."""
        p = self.pool.probabilities
        part = replace(
            self.pool,
            classes=self.pool.classes[:, places],
            probabilities=None if p is None else p[:, places],
        )
        return replace(self, pool=part, truth=self.truth[places])


def label_pool(name: str, pool: Pool, truth: np.ndarray) -> LabelledPool:
    """Join answers with classes; the accuracies are those on all images.

    Raises:
        SelectionError: there are fewer than two models or images.
    """
    if min(pool.classes.shape) < 2:
        raise SelectionError(f"{name}: {pool.classes.shape} models and images are too few")
    return LabelledPool(name, pool, truth, (pool.classes == truth).mean(axis=1))


def judge_orders(
    tables: Mapping[str, Sequence[LabelledPool]],
    *,
    labels: Sequence[int] = LABELS,
    n_draws: int = N_DRAWS,
    pool_images: int = POOL_IMAGES,
    seed: int = 0,
) -> pl.DataFrame:
    """Pick, label, rank and compare, for every order on every task of every table.

    Random orders are drawn `n_draws` times per task, those that compute their pick at most
    `N_ACTIVE_DRAWS` times, since only ties differ. A table of one task is judged on `2 * n_draws`
    pools of `pool_images` of its images, which stand for tasks.

    Args:
        tables: tasks by the name of their table.
        labels: numbers of labelled images.
        n_draws: draws per task.
        pool_images: images of a drawn pool, at most.
        seed: of the draws.

    Returns:
        table, selector (an order, or an order with "plain hits"), n_labels, n_tasks, n_models,
        n_images, metric, mean, delta, delta_low, delta_high (against random picking).

    Raises:
        SelectionError: a number of labels is not above 0, or there are fewer images.
    """
    if not labels or min(labels) < 1 or n_draws < 1:
        raise SelectionError("numbers of labels and of draws must be 1 or more")
    parts = []
    for table, tasks in tables.items():
        least = min(task.pool.n_images for task in tasks)
        if max(labels) > least:
            raise SelectionError(
                f"{table}: {max(labels)} labels are more than the {least} images of a task"
            )
        units = _units(tasks, n_draws, pool_images, seed)
        parts.append(_summary(table, units, tasks, labels, n_draws, seed))
    return pl.concat(parts)


def _units(
    tasks: Sequence[LabelledPool], n_draws: int, pool_images: int, seed: int
) -> list[LabelledPool]:
    """List what intervals are over: the tasks, or drawn pools of the only task."""
    if len(tasks) > 1:
        return list(tasks)
    (task,) = tasks
    n_images = min(pool_images, task.pool.n_images)
    found = []
    for number in range(2 * n_draws):
        rng = target_rng(seed, f"{task.name} {number}")
        places = rng.choice(task.pool.n_images, n_images, replace=False)
        found.append(replace(task.take_images(places), name=f"{task.name} {number}"))
    return found


def _summary(
    table: str,
    units: Sequence[LabelledPool],
    tasks: Sequence[LabelledPool],
    labels: Sequence[int],
    n_draws: int,
    seed: int,
) -> pl.DataFrame:
    n_each = n_draws if len(tasks) > 1 else 1
    rows = []
    for unit in units:
        for order in ORDERS.values():
            if order.needs_probabilities and unit.pool.probabilities is None:
                continue
            rows += _judge(order, unit, labels, n_each, seed)
    keys = ["selector", "n_labels", "target", "metric"]
    schema = {**dict.fromkeys(keys, pl.String), "value": pl.Float64}
    schema["n_labels"] = pl.Int64
    values = pl.DataFrame(rows, schema=schema, orient="row").group_by(keys, maintain_order=True)
    means = values.agg(pl.col("value").mean())
    parts = []
    for n in sorted(set(labels)):
        found = paired_bootstrap(means.filter(n_labels=n), seed=seed, baseline=RANDOM)
        parts.append(found.with_columns(n_labels=pl.lit(n, pl.Int64)))
    return pl.concat(parts).select(
        pl.lit(table).alias("table"),
        "selector",
        "n_labels",
        pl.lit(len(tasks)).alias("n_tasks"),
        pl.lit(len(tasks[0].accuracy)).alias("n_models"),
        pl.lit(min(unit.pool.n_images for unit in units)).alias("n_images"),
        "metric",
        *("mean", "delta", "delta_low", "delta_high"),
    )


def _judge(
    order: PickingOrder, unit: LabelledPool, labels: Sequence[int], n_draws: int, seed: int
) -> Iterator[tuple[str, int, str, str, float]]:
    """Selector, number of labels, target, metric and value of each draw."""
    is_drawn = order.name in (RANDOM, "vma")
    for draw in range(n_draws if is_drawn else min(n_draws, N_ACTIVE_DRAWS)):
        rng = target_rng(seed * 1000 + draw, f"{order.name} {unit.name}")
        for labelled in _pick(order, unit, max(labels), rng):
            n = len(labelled.images)
            if n not in labels:
                continue
            broken = TIE * rng.random(len(unit.accuracy))
            hits = hit_rates(unit.pool, labelled)
            scores = order.estimate(unit.pool, labelled)
            yield from _rows(
                order.name, n, unit, scores, order.first_choice(unit.pool, labelled), broken
            )
            if order.estimate is not hit_rates:
                yield from _rows(f"{order.name}, {HITS}", n, unit, hits, hits, broken)


def _rows(
    selector: str,
    n: int,
    unit: LabelledPool,
    scores: np.ndarray,
    first: np.ndarray,
    broken: np.ndarray,
) -> Iterator[tuple[str, int, str, str, float]]:
    """Metrics of one ranking; ties are broken at random, since tau-b favours them."""
    by_rank = -(scores + broken)
    yield selector, n, unit.name, "regret1", regret1(unit.accuracy, -(first + broken))
    yield selector, n, unit.name, "tau", tau(unit.accuracy, by_rank)
    yield selector, n, unit.name, "ndcg5", ndcg5(unit.accuracy, by_rank)


def _pick(
    order: PickingOrder, unit: LabelledPool, most: int, rng: np.random.Generator
) -> Iterator[Labelled]:
    """The labels so far, after each."""
    labelled = Labelled()
    for _ in range(most):
        image = order.next_image(unit.pool, labelled, rng)
        labelled = labelled.adding(image, int(unit.truth[image]))
        yield labelled

"""Seconds of a 20 x 20 eta x gamma sweep over 48 models and 21 tasks, against one point at a time.

Run: python bench/sweep.py
"""

import resource
import time

import numpy as np
import polars as pl

from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.sweep import sweep
from vlmsel.selection import make_selector

MODELS, TASKS, BLOCKS, POINTS, REPEATS, NAIVE_POINTS = 48, 21, 12, 20, 5, 3


def made_up() -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(0)
    models, tasks = [f"model{i}" for i in range(MODELS)], [f"task{i}" for i in range(TASKS)]
    names = {"model": np.repeat(models, TASKS), "pretrained": "x", "task": tasks * MODELS}
    shapes = rng.gamma(2, 1e-5, (MODELS * TASKS, BLOCKS)).tolist()
    accuracies = pl.DataFrame({**names, "acc1": rng.random(MODELS * TASKS).round(4)})
    return accuracies, pl.DataFrame({**names, "profile": shapes})


def main() -> None:
    accuracies, profiles = made_up()
    etas, gammas = np.linspace(0, 10, POINTS), np.linspace(0, 20, POINTS)
    walls, cpus = [], []
    for _ in range(REPEATS):
        start, cpu = time.perf_counter(), time.process_time()
        points = sweep(accuracies, profiles, etas=etas, gammas=gammas)
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    start = time.perf_counter()
    for i in range(NAIVE_POINTS):
        selector = make_selector("dcd", eta=etas[i], gamma=gammas[i])
        leave_one_out([selector], accuracies, profiles)
    naive = (time.perf_counter() - start) / NAIVE_POINTS * POINTS**2
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{MODELS} models x {TASKS} tasks x {BLOCKS} blocks, {POINTS} x {POINTS} grid")
    print(f"values                  {len(points)} ({points['metric'].n_unique()} metrics)")
    print(f"one query, wall         {min(walls):.2f} s best of {REPEATS} ({max(walls):.2f} worst)")
    print(f"one query, processor    {min(cpus):.2f} s")
    print(f"one point at a time     {naive:.0f} s, extrapolated from {NAIVE_POINTS} points")
    print(f"ratio                   {naive / min(walls):.0f} x")
    print(f"peak memory             {peak_gb:.2f} GB")


if __name__ == "__main__":
    main()

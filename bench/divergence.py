"""Time and memory of the DCD matrices of a large zoo, polars beside plain numpy in one run.

    python bench/divergence.py                 # 1,000 models x 200 tasks x 32 blocks
    python bench/divergence.py --models 100

numpy is `np.einsum` over one model at a time, since all at once would need 10 GB; both start from
task profiles. Peak memory is that of a process of its own which builds the profiles and calls
`dcd_matrix` once.
"""

import argparse
import multiprocessing
import resource
import sys
import time

import numpy as np
import polars as pl

from vlmsel.selection.dcd_table import dcd_matrix

ETA, EPS = 2.0, 1e-8


def make_profiles(models: int, tasks: int, blocks: int) -> np.ndarray:
    """Return positive profiles of shape (models, tasks, blocks)."""
    return np.random.default_rng(0).lognormal(size=(models, tasks, blocks))


def as_frame(profiles: np.ndarray) -> pl.DataFrame:
    """Return the same profiles as task profiles."""
    models, tasks, blocks = profiles.shape
    flat = pl.Series("profile", profiles.reshape(-1, blocks), dtype=pl.Array(pl.Float64, blocks))
    names = pl.DataFrame(
        {"model": [f"model-{i:04d}" for i in range(models)], "pretrained": "bench"}
    )
    cells = names.join(
        pl.DataFrame({"task": [f"task-{i:03d}" for i in range(tasks)]}),
        how="cross",
        maintain_order="left_right",
    )
    return cells.with_columns(flat.cast(pl.List(pl.Float64)))


def numpy_dcd(profiles: np.ndarray) -> np.ndarray:
    """Return DCD of shape (models, sources, targets)."""
    norm = np.maximum(np.linalg.norm(profiles, axis=-1, keepdims=True), EPS)
    raised = np.exp(ETA * profiles / norm)
    weight = raised / raised.sum(axis=-1, keepdims=True) / (np.abs(profiles) + EPS)
    tasks = profiles.shape[1]
    dcd = np.empty((len(profiles), tasks, tasks))
    for i, profile in enumerate(profiles):
        distance = np.abs(profile[None, :, :] - profile[:, None, :])
        np.einsum("tl,stl->st", weight[i], distance, out=dcd[i])
    return dcd


def peak_mb(sizes: tuple[int, int, int]) -> float:
    """Return the peak resident memory of one call, in MB; runs in a process of its own."""
    frame = as_frame(make_profiles(*sizes))
    dcd_matrix(frame, eta=ETA, eps=EPS, compact=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print seconds, their ratio, the largest difference and the peak memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many runs counts")
    args = parser.parse_args()
    sizes = (args.models, args.tasks, args.blocks)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        memory_mb = pool.apply(peak_mb, (sizes,))
    profiles = make_profiles(*sizes)
    frame = as_frame(profiles)
    numpy_s, polars_s = [], []
    for _ in range(args.repeats):
        start = time.perf_counter()
        reference = numpy_dcd(profiles)
        numpy_s.append(time.perf_counter() - start)
        start = time.perf_counter()
        pairs = dcd_matrix(frame, eta=ETA, eps=EPS, compact=True)
        polars_s.append(time.perf_counter() - start)
    codes = (
        pairs.select(pl.col("model", "source", "target").to_physical().cast(pl.Int64)).to_numpy().T
    )
    difference = np.abs(reference[tuple(codes)] - pairs["dcd"].to_numpy()).max()
    ratio = min(polars_s) / min(numpy_s)
    sys.stdout.write(
        f"{args.models} models x {args.tasks} tasks x {args.blocks} blocks: "
        f"{pairs.height:,} pairs\n"
        f"numpy einsum {min(numpy_s):.2f} s, dcd_matrix {min(polars_s):.2f} s, ratio {ratio:.2f}\n"
        f"largest difference {difference:.1e}, peak memory {memory_mb:,.0f} MB\n"
    )


if __name__ == "__main__":
    main()

"""Which relevance gives METHOD.md's `ndcg5_paper`: k..1 or k-1..0 inside the top fives' overlap?

Random zoos of 48 of open_clip's models on the 18 profiled tasks: what `ndcg5_paper` goes with the
published `recall5`, under either relevance.

Run: python bench/ndcg_relevance.py ../shared/data
"""

import sys
from pathlib import Path

import numpy as np

from vlmsel.published import read_openclip_results, read_published_profiles

ZOOS, MODELS, TOP, NEAR = 400, 48, 5, 0.012
PUBLISHED = {"average rank": (0.478, 0.729), "ImageNet": (0.489, 0.785), "DCD": (0.411, 0.612)}


def overlap(accuracy: np.ndarray, score: np.ndarray) -> tuple[float, float, float]:
    """recall5, and ndcg5_paper with relevance k..1 and k-1..0."""
    best = list(np.argsort(-accuracy, kind="stable")[:TOP])
    common = [m for m in np.argsort(score, kind="stable")[:TOP] if m in best]
    k = len(common)
    if k < 2:
        return k / TOP, 0.0, 0.0
    place = np.argsort(np.argsort([best.index(m) for m in common]))
    discount = 1 / np.log2(np.arange(2, k + 2))
    values = []
    for most in (k, k - 1):
        relevance = most - place
        values.append((relevance @ discount) / (np.sort(relevance)[::-1] @ discount))
    return k / TOP, values[0], values[1]


def main() -> None:
    """Print mean and deviation over zoos near each published recall."""
    data = Path(sys.argv[1])
    table = read_openclip_results(data / "openclip_results.csv").frame
    profiled = read_published_profiles(data / "published_profiles.csv").frame["task"]
    tasks = sorted(set(profiled) & set(table["task"]))
    wide = table.pivot("task", index=["model", "pretrained"], values="acc1")
    wide = wide.sort("model", "pretrained")
    accuracies = wide.select(tasks).to_numpy()
    imagenet = wide["imagenet1k"].to_numpy()
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {"random": [], "average rank": [], "ImageNet": []}
    for _ in range(ZOOS):
        zoo = rng.choice(len(wide), MODELS, replace=False)
        truth = accuracies[zoo]
        ranks = np.argsort(np.argsort(-truth, axis=0), axis=0)
        for name, values in found.items():
            scores = {
                "random": lambda _j: rng.random(MODELS),
                "average rank": lambda j, r=ranks: np.delete(r, j, 1).mean(1),
                "ImageNet": lambda _j, z=zoo: -imagenet[z],
            }[name]
            pairs = [overlap(truth[:, j], scores(j)) for j in range(len(tasks))]
            values.append(np.mean(pairs, axis=0))
    print("random: mean recall5, k..1, k-1..0", np.mean(found["random"], axis=0).round(3))
    zoos = np.array(found["average rank"] + found["ImageNet"])
    for name, (recall, published) in PUBLISHED.items():
        near = zoos[np.abs(zoos[:, 0] - recall) < NEAR]
        ends = ", ".join(f"{near[:, i].mean():.3f} +- {near[:, i].std():.3f}" for i in (1, 2))
        print(f"{name}: published {published}; {len(near)} zoos: k..1, k-1..0 {ends}")


if __name__ == "__main__":
    main()

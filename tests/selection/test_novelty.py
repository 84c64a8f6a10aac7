"""Novelty against a slow reference, and what it must tell."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.selection.novelty import Novelty, _energy_distances, novelty

BLOCKS = 4


def sample(rng: np.random.Generator, centre: np.ndarray, n: int = 12, spread: float = 0.1):
    return centre * np.exp(spread * rng.normal(size=(n, BLOCKS)))


def frame(samples: dict[str, np.ndarray], models: tuple[str, ...] = ("a", "b")) -> pl.DataFrame:
    rows = [
        {
            "model": model,
            "pretrained": "x",
            "task": task,
            "image_id": f"{image}.png",
            "block": block,
            "block_name": f"b{block}",
            "conductance": float(values[image, block]) * (1 + 0.1 * number),
        }
        for number, model in enumerate(models)
        for task, values in samples.items()
        for image, block in product(range(len(values)), range(BLOCKS))
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def sources() -> dict[str, np.ndarray]:
    """Twelve sources in pairs: each has one like it."""
    rng = np.random.default_rng(0)
    centres = rng.lognormal(size=(6, BLOCKS))
    return {f"{i}-{ab}": sample(rng, centres[i]) for i in range(6) for ab in "ab"}


def centre(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0)


def test_images_like_a_source_are_at_no_distance(sources):
    new = sample(np.random.default_rng(1), centre(sources["2-a"]))
    found = novelty(frame({**sources, "new": new}), "new")
    assert found is not None
    assert found.nearest in {"2-a", "2-b"}
    assert found.distance <= found.usual
    assert found.notice is None


def test_images_unlike_every_source_are_told(sources):
    far = sample(np.random.default_rng(1), np.array([1.0, 1e3, 1.0, 1e3]))
    found = novelty(frame({**sources, "new": far}), "new")
    assert found is not None
    assert found.distance > found.usual
    assert f"unlike every source: the nearest, {found.nearest}, is at" in (found.notice or "")


def test_one_image_many_times_is_unlike_a_source_that_varies(sources):
    same = np.repeat(sources["2-a"][:1], 12, axis=0)
    found = novelty(frame({**sources, "new": same}), "new")
    assert found is not None
    assert found.notice is not None


def test_the_distance_is_the_energy_distance(sources):
    tasks = list(sources)[:3]
    rows = pl.DataFrame(
        [(task, list(x)) for task in tasks for x in sources[task]],
        schema={"task": pl.String, "profile": pl.List(pl.Float64)},
        orient="row",
    )
    found = _energy_distances(rows, tasks)
    shares = {t: x / x.sum(axis=1, keepdims=True) for t, x in sources.items() if t in tasks}
    unit = np.concatenate([shares[t] for t in tasks[1:]]).std(axis=0)

    def mean(xs: np.ndarray, ys: np.ndarray, *, same: bool) -> float:
        pairs = [
            np.linalg.norm((x - y) / unit)
            for i, x in enumerate(xs)
            for j, y in enumerate(ys)
            if not (same and i == j)
        ]
        return float(np.mean(pairs))

    for first, second in ((0, 1), (1, 2), (2, 0)):
        x, y = shares[tasks[first]], shares[tasks[second]]
        expected = 2 * mean(x, y, same=False) - mean(x, x, same=True) - mean(y, y, same=True)
        assert found[first, second] == pytest.approx(expected, rel=1e-9)


@given(st.floats(0.01, 100))
def test_the_scale_of_a_model_does_not_matter(factor):
    rng = np.random.default_rng(0)
    samples = {f"t{i}": sample(rng, rng.lognormal(size=BLOCKS)) for i in range(4)}
    whole = frame(samples)
    scaled = whole.with_columns(pl.col("conductance") * factor)
    first, second = novelty(whole, "t0"), novelty(scaled, "t0")
    assert first is not None
    assert second is not None
    assert first.nearest == second.nearest
    assert second.distance == pytest.approx(first.distance, rel=1e-6)


def test_ready_profiles_are_samples_of_one(sources):
    rows = [
        ("m", "x", task, list(centre(values)))
        for task, values in [*sources.items(), ("new", far())]
    ]
    ready = pl.DataFrame(rows, schema=["model", "pretrained", "task", "profile"], orient="row")
    found = novelty(ready, "new")
    assert found is not None
    assert found.notice is not None


def far() -> np.ndarray:
    return sample(np.random.default_rng(1), np.array([1.0, 1e3, 1.0, 1e3]))


def test_with_one_source_there_is_nothing_to_compare(sources):
    two = {name: sources[name] for name in ("0-a", "0-b")}
    assert novelty(frame(two), "0-a") is None


def test_a_model_without_the_target_is_not_asked(sources):
    known = frame({**sources, "new": sources["0-a"]})
    partly = known.filter(~((pl.col("model") == "b") & (pl.col("task") == "new")))
    only = known.filter(pl.col("model") == "a")
    assert novelty(partly, "new") == novelty(only, "new")


def test_the_sentence_is_said_only_beyond_the_usual():
    assert Novelty("s", 0.2, 0.2).notice is None
    assert "at 30 % of the distance" in (Novelty("s", 0.3, 0.2).notice or "")

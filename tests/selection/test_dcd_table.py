import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlmsel.errors import SelectionError
from vlmsel.selection.dcd_table import BATCH_ELEMENTS, block_importance, dcd_matrix
from vlmsel.selection.profiles import task_profiles

POSITIVE = st.floats(1e-3, 1e3)
PROFILES = st.integers(1, 6).flatmap(lambda n: arrays(float, (3, n), elements=POSITIVE))
ETAS = st.floats(-3, 10)


def reference_dcd(t: np.ndarray, s: np.ndarray, eta: float, eps: float) -> float:
    """Importance and DCD of docs/internals/selection.md, one block at a time."""
    norm = max(math.sqrt(math.fsum(x * x for x in t)), eps)
    raised = [math.exp(eta * x / norm) for x in t]
    terms = [
        a / math.fsum(raised) * abs(x - y) / (abs(x) + eps)
        for a, x, y in zip(raised, t, s, strict=True)
    ]
    return math.fsum(terms)


def as_array(pairs: pl.DataFrame, n_tasks: int) -> np.ndarray:
    """(sources, targets) of one model with tasks t0, t1, ..; 0 on the diagonal."""
    matrix = np.zeros((n_tasks, n_tasks))
    for row in pairs.iter_rows(named=True):
        matrix[int(row["source"][1:]), int(row["target"][1:])] = row["dcd"]
    return matrix


def compute(long_profiles, values: np.ndarray, **options) -> np.ndarray:
    return as_array(dcd_matrix(long_profiles(values), **options), len(values))


def test_golden_numbers_of_the_published_profiles(published):
    model_rows = published.filter(model="ViT-B-32", pretrained="openai")
    pairs = dcd_matrix(model_rows, eta=2.0)
    found = {(row["source"], row["target"]): row["dcd"] for row in pairs.iter_rows(named=True)}
    assert found["eurosat", "car"] == pytest.approx(0.43091, abs=5e-6)
    assert found["car", "eurosat"] == pytest.approx(0.76511, abs=5e-6)


def test_all_published_profiles_agree_with_the_slow_reference(published):
    table = task_profiles(published)
    pairs = dcd_matrix(published)
    profiles = {row[:3]: np.array(row[3]) for row in table.iter_rows()}
    expected = [
        reference_dcd(profiles[m, p, target], profiles[m, p, source], 2.0, 1e-8)
        for m, p, source, target in pairs.select(
            "model", "pretrained", "source", "target"
        ).iter_rows()
    ]
    np.testing.assert_allclose(pairs["dcd"].to_numpy(), expected, rtol=1e-12)
    assert len(pairs) == 26 * 21 * 20


def test_hand_values(long_profiles):
    # t = (3, 4): t^ = (.6, .8); eta = 5 ln 2 gives exp(eta t^) = (8, 16), alpha = (1/3, 2/3).
    # s = (6, 2): |t - s| / t = (1, 1/2); DCD = 1/3 + 1/3.
    matrix = compute(
        long_profiles, np.array([[3.0, 4.0], [6.0, 2.0]]), eta=5 * math.log(2), eps=1e-15
    )
    assert matrix[1, 0] == pytest.approx(2 / 3, rel=1e-12)


def test_hand_values_without_importance(long_profiles):
    # (|1 - 2| / 1 + |4 - 1| / 4) / 2 and (|2 - 1| / 2 + |1 - 4| / 1) / 2
    matrix = compute(long_profiles, np.array([[1.0, 4.0], [2.0, 1.0]]), eta=0.0, eps=1e-15)
    assert matrix[1, 0] == pytest.approx(0.875, rel=1e-12)
    assert matrix[0, 1] == pytest.approx(1.75, rel=1e-12)


def test_eps_of_the_published_form_is_absolute(long_profiles):
    # One block: alpha = 1, DCD = |1e-7 - 3e-7| / (1e-7 + 1e-7) = 1.
    values = np.array([[1e-7], [3e-7]])
    assert compute(long_profiles, values, eps=1e-7)[1, 0] == pytest.approx(1.0)
    # Relative: |1 - 3| / (1 + .5) with mean |t| = 1, whatever the unit.
    assert compute(long_profiles, values, eps=0.5, eps_mode="relative")[1, 0] == pytest.approx(
        4 / 3
    )


def test_columns_and_order(long_profiles):
    pairs = dcd_matrix(long_profiles(np.eye(3) + 1))
    assert pairs.columns == ["model", "pretrained", "source", "target", "dcd"]
    assert pairs.select("target", "source").rows() == [
        ("t0", "t1"), ("t0", "t2"), ("t1", "t0"), ("t1", "t2"), ("t2", "t0"), ("t2", "t1"),
    ]  # fmt: skip


def test_models_of_different_depth_do_not_touch_each_other(long_profiles):
    rng = np.random.default_rng(0)
    parts = {f"m{n}": rng.lognormal(size=(4, n)) for n in (1, 3, 8)}
    together = dcd_matrix(pl.concat([long_profiles(v, model=m) for m, v in parts.items()]))
    for model, values in parts.items():
        alone = dcd_matrix(long_profiles(values, model=model))
        found = together.filter(model=model)
        np.testing.assert_allclose(found["dcd"], alone["dcd"], rtol=1e-13)


def test_only_pairs_that_a_model_knows(long_profiles):
    full = long_profiles(np.random.default_rng(0).lognormal(size=(4, 3)), model="full")
    part = long_profiles(np.ones((2, 3)), model="part", tasks=["t0", "t3"])
    pairs = dcd_matrix(pl.concat([full, part]))
    assert pairs.filter(model="part").select("source", "target").rows() == [
        ("t3", "t0"),
        ("t0", "t3"),
    ]
    assert pairs.filter(model="full").equals(dcd_matrix(full))


def test_batches_do_not_change_the_result():
    """Profiles so long that a batch holds two of the three models."""
    n_models, n_tasks, width = 3, 4, BATCH_ELEMENTS // (2 * 4)
    cells = [(f"m{i}", "p", f"t{j}") for i in range(n_models) for j in range(n_tasks)]
    profiles = np.random.default_rng(1).lognormal(size=(len(cells), width))
    table = pl.DataFrame(cells, schema=["model", "pretrained", "task"], orient="row")
    rows = table.with_columns(
        profile=pl.Series(profiles, dtype=pl.Array(pl.Float64, width)).arr.to_list()
    )
    alone = [dcd_matrix(part) for part in rows.iter_slices(n_tasks)]
    assert dcd_matrix(rows).equals(pl.concat(alone))


def test_chosen_targets_are_rows_of_the_whole(long_profiles):
    rows = long_profiles(np.random.default_rng(2).lognormal(size=(5, 3)))
    whole = dcd_matrix(rows)
    some = dcd_matrix(rows, targets=["t3", "t1"])
    assert some.equals(whole.filter(pl.col("target").is_in(["t1", "t3"])))


def test_compact_holds_the_same_rows(long_profiles):
    rows = long_profiles(np.random.default_rng(2).lognormal(size=(5, 3)))
    compact = dcd_matrix(rows, compact=True)
    assert isinstance(compact.schema["model"], pl.Enum)
    names = ["model", "pretrained", "source", "target"]
    plain = compact.with_columns(pl.col(names).cast(pl.String))
    assert plain.sort("target", "source").equals(dcd_matrix(rows))


def test_one_task_has_no_pairs(long_profiles):
    pairs = dcd_matrix(long_profiles(np.ones((1, 2))))
    assert pairs.is_empty()
    assert pairs.columns == ["model", "pretrained", "source", "target", "dcd"]


def test_unknown_target_is_named(long_profiles):
    with pytest.raises(SelectionError, match="no model has a profile of nowhere"):
        dcd_matrix(long_profiles(np.ones((2, 2))), targets=["nowhere"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": math.nan}, "eta must be a finite number"),
        ({"eps": 0.0}, "eps must be a finite number above 0"),
        ({"eps": math.inf}, "eps must be"),
        ({"eps_mode": "some"}, "eps_mode must be one of absolute, relative"),
    ],
)
@pytest.mark.parametrize("function", [dcd_matrix, block_importance])
def test_options_out_of_range(long_profiles, function, options, message):
    with pytest.raises(SelectionError, match=message):
        function(long_profiles(np.ones((2, 2))), **options)


@given(values=PROFILES, eta=ETAS)
@settings(max_examples=40, deadline=None)
def test_matches_the_slow_reference(long_profiles, values, eta):
    matrix = compute(long_profiles, values, eta=eta)
    for i, j in np.ndindex(matrix.shape):
        expected = reference_dcd(values[j], values[i], eta, 1e-8)
        assert matrix[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(values=PROFILES)
@settings(max_examples=20, deadline=None)
def test_a_task_does_not_diverge_from_its_equal(long_profiles, values):
    matrix = compute(long_profiles, np.stack([values[0], values[0]]))
    assert (matrix == 0).all()


@given(values=PROFILES, factor=st.floats(1, 1e3))
@settings(max_examples=20, deadline=None)
def test_a_common_factor_changes_nothing(long_profiles, values, factor):
    plain, scaled = compute(long_profiles, values), compute(long_profiles, factor * values)
    # Each term moves by eps / |t| at most, here 1e-8 / 1e-3.
    np.testing.assert_allclose(scaled, plain, rtol=1.1e-5)
    exact = [
        compute(long_profiles, v, eps_mode="relative", eps=0.1) for v in (values, factor * values)
    ]
    np.testing.assert_allclose(exact[1], exact[0], rtol=1e-9, atol=1e-12)


@given(values=PROFILES, order=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_blocks_does_not_matter(long_profiles, values, order):
    permuted = list(range(values.shape[1]))
    order.shuffle(permuted)
    plain, shuffled = compute(long_profiles, values), compute(long_profiles, values[:, permuted])
    np.testing.assert_allclose(shuffled, plain, rtol=1e-9)


def test_direction_matters(long_profiles):
    matrix = compute(long_profiles, np.array([[1.0, 2.0], [4.0, 1.0]]))
    assert matrix[0, 1] != pytest.approx(matrix[1, 0], rel=0.1)


@given(values=PROFILES, eta=ETAS)
@settings(max_examples=30, deadline=None)
def test_importance_maximises_its_objective(long_profiles, values, eta):
    table = block_importance(long_profiles(values), eta=eta)
    for t, alpha in zip(values, table["importance"].to_list(), strict=True):
        alpha = np.array(alpha)
        assert alpha.sum() == pytest.approx(1)
        # Log odds are eta times the differences of t^, however t^ is shifted.
        hat = t / np.linalg.norm(t)
        np.testing.assert_allclose(np.log(alpha / alpha[0]), eta * (hat - hat[0]), atol=1e-9)


def test_importance_without_eta_is_uniform(long_profiles):
    table = block_importance(long_profiles(np.array([[1.0, 5.0, 100.0, 0.0]])), eta=0.0)
    assert table["importance"].to_list() == [[0.25] * 4]


def test_a_large_eta_does_not_overflow(long_profiles):
    table = block_importance(long_profiles(np.array([[1.0, 5.0]])), eta=1e6)
    assert table["importance"].to_list() == [[0.0, 1.0]]

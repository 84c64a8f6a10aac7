import pytest
import torch

from vlmsel.attribution.block_scores import (
    LayerConductance,
    completeness_error,
    join_images,
    profile_distance,
    replace_images,
)


def some(n, value, spoilt=None):
    numbers = torch.full((n,), float(value), dtype=torch.float64)
    return LayerConductance(
        scores=numbers[:, None].repeat(1, 2) + torch.arange(n)[:, None],
        names=("a", "b"),
        completeness_error=numbers,
        objective=numbers,
        objective_at_baseline=numbers,
        step_error=numbers,
        n_gradients=torch.full((n,), int(value)),
        cuts=(True, False),
        spoilt=spoilt or {},
    )


def test_completeness_error_by_hand():
    signed = torch.tensor([[3.0, 100.0, 4.5]], dtype=torch.float64)
    # F goes from 1 to 5: the change is 4, off by 1 and by 0.5 where blocks cut; 1 / 5.
    found = completeness_error(
        signed, torch.tensor([5.0]).double(), torch.tensor([1.0]).double(), (True, False, True)
    )
    assert found.item() == pytest.approx(0.2)


def test_without_a_cutting_block_there_is_no_completeness():
    ones = torch.ones(1, dtype=torch.float64)
    assert completeness_error(ones[:, None], ones, 0 * ones, (False,)).isnan().all()


def test_profile_distance_by_hand():
    first = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    second = torch.tensor([[2.0, 2.0], [0.0, 7.0]])
    # (1/4, 3/4) against (1/2, 1/2), and two profiles that share nothing.
    assert profile_distance(first, second).tolist() == pytest.approx([0.5, 2.0])


def test_parts_join_in_order():
    joined = join_images([some(2, 1, {1: "a"}), some(1, 5), some(2, 7, {0: "b"})])
    assert joined.objective.tolist() == [1, 1, 5, 7, 7]
    assert joined.scores[:, 0].tolist() == [1, 2, 5, 7, 8]
    assert joined.n_gradients.tolist() == [1, 1, 5, 7, 7]
    assert joined.spoilt == {1: "a", 3: "b"}
    assert joined.names == ("a", "b")


def test_replaced_images_are_those_named():
    whole, part = some(4, 1), some(2, 9, {1: "b"})
    found = replace_images(whole, part, [3, 0])
    assert found.objective.tolist() == [9, 1, 1, 9]
    assert found.scores[:, 1].tolist() == [10, 2, 3, 9]
    assert found.spoilt == {0: "b"}
    assert whole.objective.tolist() == [1, 1, 1, 1]

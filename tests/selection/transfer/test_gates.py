"""Gates at their borders."""

import pytest

from vlmsel.selection.transfer import gates as g
from vlmsel.selection.transfer.gates import Sizes


@pytest.mark.parametrize(
    ("gate", "passes", "refused", "says"),
    [
        (g.images_a_class(2), Sizes(20, 5, 10, 2), Sizes(19, 5, 10, 1), "needs 2 images"),
        (g.saturated_hscore, Sizes(66, 64, 10, 2), Sizes(65, 64, 10, 2), "hscore-shrunk"),
        (g.three_images_a_dimension, Sizes(30, 10, 5, 2), Sizes(29, 10, 5, 2), "noise scores"),
        (g.three_images_a_component, Sizes(192, 99, 5, 2), Sizes(191, 99, 5, 2), "noise scores"),
        (g.enough_for_a_mixture, Sizes(100, 5, 10, 2), Sizes(99, 5, 10, 2), "10 images per class"),
        (g.enough_held_out, Sizes(100, 5, 10, 5), Sizes(99, 5, 10, 5), "19 held-out"),
        (g.limit_memory, Sizes(20_000, 5, 10_000, 2), Sizes(20_001, 5, 10_000, 2), "1.6 GB"),
        (g.limit_time, Sizes(2000, 1024, 50, 2), Sizes(50_000, 1024, 1000, 2), "hours"),
    ],
)
def test_borders(gate, passes, refused, says):
    assert gate(passes) is None
    assert says in gate(refused)


def test_the_first_reason_counts():
    gate = g.all_of(g.allow_all, g.images_a_class(3), g.saturated_hscore)
    assert "needs 3 images" in gate(Sizes(10, 50, 5, 2))


def test_shuffled_labels_give_a_fit_away():
    assert g.refuse_chance_like(0.4, chance=0.1, ceiling=1.0) is None
    assert "shuffled labels reach 0.9" in g.refuse_chance_like(0.9, chance=0.1, ceiling=1.0)

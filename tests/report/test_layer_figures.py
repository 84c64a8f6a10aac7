"""Pictures of silenced layers."""

import numpy as np

from vlmsel.report.figures import interaction_heatmap, task_dendrogram, to_svg
from vlmsel.selection.layers.likeness import cluster_tasks


def test_a_heatmap_writes_points_and_leaves_gaps_white():
    values = np.array([[0.105, -0.5], [np.nan, 0.0]])
    figure = interaction_heatmap(values, ["maps", "$100"], ["vision.0", "vision.1"])
    svg = to_svg(figure, alt="layers", prefix="h")
    for text in ("maps", "$100", "vision.1", "+10", "-50", "+0"):
        assert text in svg
    assert "nan" not in svg


def test_a_tree_names_every_task_and_joins_the_alike_first():
    r = np.array([[1.0, -0.2, 0.9], [-0.2, 1.0, np.nan], [0.9, np.nan, 1.0]])
    tree = cluster_tasks(r)
    assert {int(tree[0, 0]), int(tree[0, 1])} == {0, 2}
    svg = to_svg(task_dendrogram(tree, ["a1", "b1", "a2"]), alt="tree", prefix="t")
    assert all(name in svg for name in ("a1", "b1", "a2"))

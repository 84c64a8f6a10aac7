"""A zoo ranked for a probe, on stored embeddings of the pictures and of the sources."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.made_store import (
    MODELS,
    N_IMAGES,
    MadeStore,
    fill_store,
    first_labels,
    write_labels,
)
from vlmsel.api.label_scores import LabelledTarget, labelled_target
from vlmsel.api.trained_use import FINE_TUNING, select_trained


@pytest.fixture
def target(own_made: MadeStore, tmp_path: Path) -> LabelledTarget:
    """The pictures with all their labels, in a store without profiles."""
    shutil.rmtree(own_made.store / "profile")
    labels = write_labels(tmp_path / "labels.csv", first_labels(N_IMAGES))
    found = labelled_target(own_made.workspace(), own_made.images, labels)
    fill_store(found.workspace)
    return found


def test_scores_are_mixed_with_what_the_sources_say(
    own_made: MadeStore, target: LabelledTarget
) -> None:
    found = select_trained(own_made.workspace(), target, "probe", n_resamples=5)
    assert (found.target, found.use, found.shots) == ("images", "probe", 4)
    assert sum(found.mixture.weights) == pytest.approx(1)
    assert found.mixture.names[0] == "average-rank"
    ranking = found.ranking
    assert ranking["rank"].to_list() == [1, 2, 3, 4, 5]
    assert ranking["score"].is_sorted()
    assert (ranking["low"] <= ranking["high"]).all()
    assert ranking["average_rank"].null_count() == 0
    assert set(ranking["model"]) == set(MODELS)
    accuracy = dict(ranking.select("model", "zero_shot_accuracy").iter_rows())
    assert accuracy["m0"] == pytest.approx(11 / 12)
    assert FINE_TUNING not in found.notes


def test_without_embedded_sources_the_scores_stand_alone(
    own_made: MadeStore, target: LabelledTarget
) -> None:
    workspace = own_made.workspace()
    wants = {kind: want for kind, want in workspace.wants.items() if kind != "embedding"}
    found = select_trained(replace(workspace, wants=wants), target, "fine-tune", n_resamples=0)
    assert "average-rank" not in found.mixture.names
    assert found.ranking["average_rank"].null_count() == len(MODELS)
    reason = "no source task speaks: the store holds no embeddings of source tasks"
    assert reason in found.notes
    assert found.notes[-1] == FINE_TUNING
    assert found.ranking["low"].null_count() == len(MODELS)

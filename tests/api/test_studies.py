"""Studies on what a store knows."""

from dataclasses import replace

import pytest

from tests.api.made_store import TASKS, MadeStore, fill_store
from vlmsel.api.laboratory import current_knowledge
from vlmsel.api.studies import run_study, stored_variants
from vlmsel.api.workspace import open_workspace
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.studies import STUDIES
from vlmsel.measurements.measurement import Want
from vlmsel.measurements.profile import Profile
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.catalog import Zoo


def test_a_study_gives_its_table_and_its_figure(made: MadeStore) -> None:
    knowledge = current_knowledge(made.workspace())
    found = run_study("sources", knowledge, selectors=["dcd"])
    assert (found.name, found.description) == ("sources", STUDIES["sources"].description)
    assert set(found.table["target"]) == set(TASKS)
    assert found.left_out.is_empty()
    assert found.figure.axes


def test_options_reach_the_selectors_of_a_study(made: MadeStore) -> None:
    knowledge = current_knowledge(made.workspace())
    tables = [
        run_study("sources", knowledge, selectors=["dcd"], options={"dcd": {"gamma": g}}).table
        for g in (0, 50)
    ]
    assert not tables[0].equals(tables[1])
    with pytest.raises(SelectionError, match="options for dcd, which is not compared here"):
        run_study("sources", knowledge, selectors=["cosine"], options={"dcd": {"gamma": 0}})


@pytest.mark.parametrize("name", sorted(STUDIES.keys() - {"zoos", "attribution"}))
def test_a_study_of_profiles_needs_some(made: MadeStore, name: str) -> None:
    knowledge = current_knowledge(made.workspace())
    bare = replace(knowledge, profiles=knowledge.profiles.clear())
    with pytest.raises(SelectionError, match="a study needs profiles; run `vlmsel profile` or"):
        run_study(name, bare)


def test_variants_are_the_stored_settings_that_differ_in_one_field(own_made: MadeStore) -> None:
    whole = own_made.workspace()
    workspace = replace(whole, zoo=Zoo(models=whole.zoo.models[:2]))
    assert list(stored_variants(workspace, "attribution")) == ["conductance"]
    for settings in (
        AttributionSettings(attribution="gradient"),
        # Also another granularity: no variant of the attribution.
        AttributionSettings(attribution="gradient", granularity="stage"),
    ):
        wants = {"profile": Want(Profile(settings=settings), 25)}
        fill_store(replace(workspace, wants=wants))
    found = stored_variants(workspace, "attribution")
    assert set(found) == {"conductance", "gradient"}
    assert found["gradient"].height == workspace.evidence.profiles.height
    assert list(stored_variants(workspace, "granularity")) == ["block"]


def test_without_profiles_of_these_tasks_there_are_no_variants(made: MadeStore, tmp_path) -> None:
    empty = open_workspace(tmp_path / "new", zoo=made.zoo, tasks=made.tasks)
    with pytest.raises(StoreError, match="holds no profiles of these tasks"):
        stored_variants(empty, "attribution")

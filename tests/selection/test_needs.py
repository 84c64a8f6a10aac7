"""Needs against supply: every lack is named, with the command that gives it."""

import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.measurements.kinds import measurement_kinds
from vlmsel.selection.needs import Needs, Supply, find_lacks
from vlmsel.selection.registry import make_selector, selector_names

EVERYTHING = Supply(
    on_sources=frozenset({*measurement_kinds(), "block-match"}),
    on_target=frozenset(measurement_kinds()),
    n_models={"imagenet": 3, "cars": 3, "pets": 3},
    n_sources=2,
    class_names=True,
    labels="all",
    truth=True,
)
kinds = st.frozensets(st.sampled_from(["profile", "prediction", "embedding"]))
labels = st.sampled_from(["none", "few", "all"])
needs = st.builds(
    Needs,
    on_sources=kinds,
    on_target=kinds,
    n_sources=st.integers(0, 3),
    class_names=st.booleans(),
    labels=labels,
    truth=st.booleans(),
)
supplies = st.builds(
    Supply,
    on_sources=kinds,
    on_target=kinds,
    n_sources=st.integers(0, 3),
    class_names=st.booleans(),
    labels=labels,
    truth=st.booleans(),
)


@pytest.mark.parametrize("name", selector_names())
def test_with_everything_at_hand_nothing_is_lacking(name):
    assert find_lacks(make_selector(name).needs, EVERYTHING) == ()


@pytest.mark.parametrize(
    ("name", "supply", "reason", "command"),
    [
        ("dcd", replace(EVERYTHING, on_sources=frozenset()), "profiles", "vlmsel measure profile"),
        ("dcd", replace(EVERYTHING, on_target=frozenset()), "images to rank", "vlmsel select"),
        ("average-rank", Supply(), "1 source task with accuracies, there is none", "accuracy"),
        ("combined", replace(EVERYTHING, n_sources=1), "2 source tasks .*there is 1", "import"),
        ("imagenet", replace(EVERYTHING, n_models={"cars": 3}), "ImageNet", "import accuracies"),
        ("imagenet", replace(EVERYTHING, n_models={"imagenet": 1}), "of one model only", ""),
        ("posterior", replace(EVERYTHING, labels="none"), "labels", "evaluate --labels"),
        ("oracle-similarity", replace(EVERYTHING, truth=False), "true accuracies", ""),
    ],
)
def test_what_is_missing_is_said_with_the_command_that_gives_it(name, supply, reason, command):
    (lack,) = find_lacks(make_selector(name).needs, supply)
    assert str(lack).startswith(lack.reason)
    assert re.search(reason, lack.reason)
    assert command in lack.command


def test_class_names_and_labels_of_all_images_are_told_apart():
    asked = Needs(class_names=True, labels="all", n_sources=0)
    first, second = find_lacks(asked, Supply(labels="few"))
    assert "names of the classes" in first.reason
    assert "--classnames" in first.command
    assert second.reason == "it needs labels of all images"


@given(needs, supplies)
def test_more_at_hand_never_lacks_more(asked, supply):
    before = find_lacks(asked, supply)
    for name in (field.name for field in fields(Supply)):
        richer = replace(supply, **{name: getattr(EVERYTHING, name)})
        if name.startswith("on_"):
            richer = replace(richer, **{name: getattr(supply, name) | getattr(EVERYTHING, name)})
        if name == "n_sources":
            richer = replace(supply, n_sources=max(supply.n_sources, 2))
        assert len(find_lacks(asked, richer)) <= len(before)


@given(needs)
def test_what_needs_nothing_of_the_target_looks_at_no_image(asked):
    assert asked.looks_at_images == bool(asked.on_target)

import subprocess
import sys
from typing import ClassVar

import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection import registry
from vlmsel.selection.registry import make_selector, register, selector_names
from vlmsel.selection.selectors.average_rank import AverageRank

SHIPPED = {
    "average-accuracy",
    "average-rank",
    "combined",
    "cosine",
    "dcd",
    "dcd-pooled",
    "dcd-scaled",
    "dcd-uniform",
    "imagenet",
    "interaction",
    "jensen-shannon",
    "oracle-similarity",
    "random",
    "symmetric-l1",
}


def test_all_shipped_selectors_have_names():
    assert set(selector_names()) >= SHIPPED
    assert list(selector_names()) == sorted(selector_names())


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_each_can_be_made_without_options(name):
    selector = make_selector(name)
    assert selector.name == name
    assert selector.oracle == (name == "oracle-similarity")


def test_options_are_fields():
    assert make_selector("dcd", eta=1.5, gamma=3).model_dump() == {
        "eta": 1.5,
        "gamma": 3.0,
        "scale": "none",
        "pooled": False,
        "eps": 1e-8,
        "eps_mode": "absolute",
    }


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dcd_pooled", {}, "there is no selector 'dcd_pooled'; did you mean dcd-pooled"),
        ("qqq", {}, "there is no selector 'qqq'; known are average-accuracy, average-rank"),
        ("dcd", {"gama": 1}, "unknown option gama; its options are: gamma, scale"),
        ("average-rank", {"eta": 1}, "unknown option eta; its options are: none"),
        ("dcd", {"gamma": -1}, "option gamma=-1: input should be greater than or equal to 0"),
        ("dcd", {"eta": float("nan")}, "option eta=nan"),
        ("dcd", {"scale": "wide"}, "option scale='wide': input should be 'none' or 'spread'"),
        ("combined", {"gammas": ()}, "option gammas"),
        ("combined", {"shares": (2.0,)}, "option shares"),
    ],
)
def test_mistakes_are_explained_in_one_line(name, options, message):
    with pytest.raises(SelectionError, match=message) as caught:
        make_selector(name, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def own_names(monkeypatch):
    selector_names()
    monkeypatch.setattr(registry, "_known", dict(registry._known))


@pytest.mark.usefixtures("own_names")
def test_a_new_selector_is_found():
    @register
    class Other(AverageRank):
        name: ClassVar[str] = "other"

    assert "other" in selector_names()
    assert isinstance(make_selector("other"), Other)


@pytest.mark.usefixtures("own_names")
def test_a_name_cannot_be_taken_twice():
    class Other(AverageRank):
        name: ClassVar[str] = "dcd"

    with pytest.raises(SelectionError, match=r"exists already in .*selectors\.dcd"):
        register(Other)


def test_one_module_can_be_imported_alone():
    code = "import vlmsel.selection.selectors.dcd_pooled_blocks as m; print(m.DcdPooled().name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "dcd-pooled"

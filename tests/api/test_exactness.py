from dataclasses import replace
from itertools import islice

import polars as pl
import pytest
import timm
import torch

from vlmsel.api import exactness
from vlmsel.api.exactness import (
    LIMIT,
    average_by_setting,
    default_setting,
    photograph_case,
    photographs,
)
from vlmsel.attribution.model_attribution import attribute
from vlmsel.errors import ModelError
from vlmsel.report.exactness_figure import errors_figure
from vlmsel.settings import AttributionSettings


@pytest.fixture
def weights(tmp_path):
    """A checkpoint with other names for the same layers, as the package has."""
    torch.manual_seed(0)
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    path = tmp_path / "lite0.pth"
    torch.save({f"_{name}": value for name, value in state.items()}, path)
    return path


def rows(**columns):
    same = {"case": "a", "family": "demo", "kind": "steps", "setting": "trapezoid/uniform/3"}
    return {**same, "cost": 3.0, "mean": 0.1, "worst": 0.2, "completeness_error": 0.1, **columns}


def test_photographs_are_scaled_pictures():
    found = photographs()
    assert found.shape == (4, 3, 224, 224)
    assert found.min() >= -1
    assert found.max() <= 1
    assert found.std() > 0.2


def test_the_checkpoint_is_read_in_order(weights):
    case = photograph_case(weights)
    assert case is not None
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    stored = torch.load(weights, weights_only=True)
    for name, value in case.visual.model.state_dict().items():
        torch.testing.assert_close(value, stored[f"_{name}"])
    assert len(case.visual.model.state_dict()) == len(state) - 2
    small = replace(case, images=case.images[:1, :, :32, :32])
    found = attribute(small, small.images, AttributionSettings(attribution="gradient"))
    assert len(found.names) == 16


def test_another_checkpoint_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="does not fit tf_efficientnet_lite0"):
        photograph_case(path)


def test_without_the_package_there_is_no_photograph_case():
    assert photograph_case(package="no_such_package_of_weights") is None


def test_demo_cases_are_ready_to_measure():
    (case,) = islice(exactness.demo_cases(), 1)
    assert len(case.images) == exactness.IMAGES_PER_MODEL
    found = attribute(case, case.images, AttributionSettings(attribution="gradient"))
    assert found.failures == {}


def test_errors_are_averaged_over_the_zoo_and_apart_for_the_pretrained():
    table = pl.DataFrame(
        [
            rows(mean=0.1, worst=0.2),
            rows(case="b", mean=0.3, worst=0.9, cost=5.0, completeness_error=0.5),
            rows(case="p", family="pretrained", mean=0.7),
            rows(kind="target", mean=9.0),
        ]
    )
    found = {(row["group"], row["kind"]): row for row in average_by_setting(table).to_dicts()}
    assert found["demo zoo", "steps"] == pytest.approx(
        {
            "group": "demo zoo",
            "kind": "steps",
            "setting": "trapezoid/uniform/3",
            "cost": 4.0,
            "mean": 0.2,
            "worst": 0.9,
            "worst_model": 0.3,
            "completeness_error": 0.5,
        }
    )
    assert found["p", "steps"]["mean"] == 0.7
    assert len(found) == 3


def test_the_figure_has_a_column_for_each_group():
    table = pl.DataFrame([rows(), rows(cost=9.0), rows(case="p", family="pretrained")])
    figure = errors_figure(average_by_setting(table), default_setting(), LIMIT)
    assert [axis.get_title("left") for axis in figure.axes] == ["demo zoo", "p", "", ""]
    for axis, expected in ((figure.axes[0], 10.0), (figure.axes[2], 20.0)):
        (line,) = (x for x in axis.lines if x.get_label() == "trapezoid")
        assert line.get_ydata().tolist() == pytest.approx([expected])

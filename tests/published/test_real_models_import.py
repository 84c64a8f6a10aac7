"""The shipped table is what its command writes."""

import filecmp

import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published.real_models import ACCURACIES, FOLDER, TASKS, real_models
from vlmsel.published.real_models_import import build

PUBLISHED = DATA / "openclip_results.csv"


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published table is not at hand")
def test_built_again_it_is_the_same(tmp_path):
    lines = build(PUBLISHED, tmp_path)
    for name in (ACCURACIES, TASKS):
        assert filecmp.cmp(tmp_path / name, FOLDER / name, shallow=False), name
    assert any("RN50/yfcc15m" in line and "QuickGELU" in line for line in lines)
    shipped = real_models().models.height
    assert len((tmp_path / "models.csv").read_text().splitlines()) == shipped + 1


def test_another_layout_is_refused(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(StoreError, match="another layout"):
        build(table, tmp_path / "out")

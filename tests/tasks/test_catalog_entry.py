"""A task is added at the end of a catalog, and what people wrote there stays."""

import pytest

from vlmsel.errors import CatalogError
from vlmsel.tasks.catalog_entry import add_entry
from vlmsel.tasks.task_catalog import TaskSpec, load_tasks

NEW = TaskSpec(name="new: task", images="/data/x", classnames=("a, b", "no", "2001-01-01", "né"))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "tasks:\n  - name: old  # mine\n    images: /data/old\n",
        "# comment\ntasks:\n- {name: old, images: /data/old}",
        "tasks:\n- images: /data/old\n  name: old\n\n",
    ],
)
def test_the_catalog_reads_as_before_with_one_more(tmp_path, text):
    longer = add_entry(text, NEW)
    assert longer.startswith((text or "").rstrip())
    path = tmp_path / "tasks.yaml"
    path.write_text(longer, encoding="utf-8")
    *before, last = load_tasks(path).tasks
    assert last == NEW
    assert [spec.name for spec in before] == (["old"] if text else [])


@pytest.mark.parametrize("text", ["tasks: [{name: old, images: x}]", "- a\n", "tasks: {"])
def test_another_layout_is_refused(text):
    with pytest.raises(CatalogError, match="cannot be added"):
        add_entry(text, NEW)

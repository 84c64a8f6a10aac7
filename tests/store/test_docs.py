"""The examples of docs/internals/store.md run on the shared tables, and name methods of a store."""

import re
from pathlib import Path

import pytest

from tests.shared_data import DATA
from vlmsel.store.store import Store

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "internals" / "store.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_method_of_a_store_that_the_page_calls_is_there():
    methods = set(re.findall(r"\bstore\.(\w+)\(", PAGE))
    assert {"cells", "scan", "failed"} <= methods
    assert {name for name in methods if not hasattr(Store, name)} == set()


def test_the_imports_of_the_page_run(tmp_path, monkeypatch, capsys):
    if not DATA.is_dir():
        pytest.skip("the shared tables are not at hand")
    monkeypatch.chdir(DATA)
    scope = {"store": Store(tmp_path / "store")}
    imports, distances = (code for code in EXAMPLES if "vlmsel.published import" in code)
    for code in (imports, distances):
        exec(compile(code, "store.md", "exec"), scope)
    assert len(list((tmp_path / "store" / "imported").rglob("*.parquet"))) == 2
    printed = capsys.readouterr().out
    assert printed.count("largest") == 2

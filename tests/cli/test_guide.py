"""The guide: the code of README.md and docs/guide/ runs, on a smaller store than the demo's."""

import re
import shlex
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (GUIDE / page).read_text(encoding="utf-8")
    return [code for found, code in BLOCK.findall(text) if found == language]


@pytest.fixture
def demo_folder(own_lab, blank_figures, tmp_path, monkeypatch) -> Path:
    """A folder in which the names of the guide mean the small laboratory."""
    demo = tmp_path / "vlmsel-demo"
    demo.mkdir()
    own_lab.store.rename(demo / "store")
    own_lab.images.rename(demo / "sample-images")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own_lab.uri)
    return tmp_path


def test_the_python_of_the_guide_runs(demo_folder, capsys):
    (readme,) = blocks("../../README.md", "python")
    exec(compile(readme, "README.md", "exec"), {})
    assert "dcd-pooled" in capsys.readouterr().out
    scope: dict[str, object] = {}
    for code in blocks("python.md", "python"):
        exec(compile(code, "python.md", "exec"), scope)
    said = capsys.readouterr().out
    assert "No trustworthy ranking" in said, "six sources are few"
    assert "few-sources True" in said
    assert "dcd-pooled ['profile'] none" in said
    summary = scope["summary"]
    assert getattr(summary, "measured", None) == 0


def test_the_selector_of_the_guide_is_judged_and_ranks(demo_folder, monkeypatch, vlmsel):
    (code,) = blocks("selectors.md", "python")
    (demo_folder / "my_selectors.py").write_text(code)
    monkeypatch.syspath_prepend(demo_folder)
    (commands,) = blocks("selectors.md", "bash")
    for line in commands.splitlines():
        words = shlex.split(line)
        assert words[0] == "vlmsel"
        answer = vlmsel(*words[1:])
        assert answer.code == 0, answer.err
        assert "worst-case" in answer.out


def test_every_field_that_the_guide_names_is_there():
    from vlmsel import Selection
    from vlmsel.selection.needs import Needs

    for page, kind in (("python.md", Selection), ("selectors.md", Needs)):
        rows = re.findall(r"^\| (`.*?) \|", (GUIDE / page).read_text(), re.MULTILINE)
        names = {name.partition(".")[0] for row in rows for name in re.findall(r"`(\w+)", row)}
        known = set(dir(kind)) | set(kind.__dataclass_fields__)
        assert names
        assert names <= known, names - known


def test_the_package_says_what_it_holds():
    import vlmsel

    assert set(vlmsel.__all__) >= {
        "select", "measure", "evaluate", "open_store", "load_zoo", "load_tasks", "selectors",
        "__version__",
    }  # fmt: skip
    for name in vlmsel.__all__:
        thing = getattr(vlmsel, name)
        assert thing is not None
        if callable(thing):
            assert thing.__doc__

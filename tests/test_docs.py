"""The documentation: links and their anchors, the pages that code names, lengths and words."""

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "vlmsel").rglob("*.md")]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
MOST_LINES = 250
# "One file per cell", and no metaphors but those of computing.
COUNTED = r"images?|labels?|shots|rows?|lines?|files?|bytes|s|GB|MiB|one|name|points|gradients?|\d+"
PER = re.compile(
    rf"\b(?:{COUNTED}) an? "
    r"(?:class|image|task|model|cell|file|row|cluster|worker|driver|shard|block|point|selector)\b"
)
METAPHORS = re.compile(
    r"\b(?:crew|rooms?|seats?|starv\w+|fed|feeds?|hears?|heard|spoke|speaks?|newcomer|wish|luck)\b"
)
CODE_FILE = re.compile(
    r"(?<![\w./<-])((?:vlmsel|tests|bench|jobs|cluster|selection|evaluation|execution|api|scores"
    r"|evidence|store|tasks|zoo|probes|published|report|attribution|measurements|labelling|tracking|cli|demo)"
    r"/[\w/.-]+\.(?:py|yaml|md|json))"
)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOTTED = re.compile(r"\bvlmsel(?:\.[a-z_]\w*)+")
MENTION = re.compile(r"(?<![\w/.-])docs/[\w./-]+\.md\b")


def prose(page: Path) -> str:
    """A page without its code: blocks and spans may hold what looks like a link."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them of their words."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    words = (re.sub(r"[^\w\- ]", "", found.lower()) for found in HEADING.findall(text))
    return frozenset(found.strip().replace(" ", "-") for found in words)


def broken_links(page: Path, text: str) -> list[str]:
    """The relative links of a text that lead to no file or to no heading."""
    broken = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_resolves(page):
    assert not broken_links(page, prose(page))


def test_a_broken_link_is_found():
    page = ROOT / "docs" / "index.md"
    text = (
        "[a](guide/zoo.md) [b](zoo.md) [c](guide/zoo.md#blocks) [d](guide/zoo.md#no-such-heading)"
    )
    assert broken_links(page, text) == ["zoo.md", "guide/zoo.md#no-such-heading"]


def test_pages_are_short():
    lengths = {page: len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES}
    assert {page.name: n for page, n in lengths.items() if n >= MOST_LINES} == {}


@pytest.mark.parametrize("pattern", [PER, METAPHORS], ids=["per", "metaphors"])
def test_the_words_of_the_pages_are_plain(pattern):
    texts = {page: prose(page) for page in PAGES}
    found = {page.name: pattern.findall(text) for page, text in texts.items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_dialect_is_found():
    assert PER.findall("one file a cell, two images a class, a label a day, what a model answers")
    assert not PER.findall("of which only a few, a file per cell, the labels of a task")
    assert METAPHORS.findall("no source spoke, and there is room")


def test_the_index_leads_to_every_page():
    index = ROOT / "docs" / "index.md"
    names = (link.partition("#")[0] for link in LINK.findall(prose(index)))
    linked = {(index.parent / name).resolve() for name in names}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - {index} <= linked


def test_every_page_that_code_names_is_there():
    listed = subprocess.run(
        ["git", "grep", "-IhoE", r"(^|[^A-Za-z0-9_/.-])docs/[A-Za-z0-9_./-]+\.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = set(MENTION.findall(listed.stdout))
    if listed.returncode > 1:
        pytest.skip("no git checkout")
    assert len(names) > 20
    missing = {name for name in names if not (ROOT / name).is_file()}
    assert not missing


def missing_files(text: str) -> set[str]:
    """The files of code, tests and tools that a text names and that are not there."""
    known = ("", "vlmsel", "vlmsel/selection")
    return {
        name
        for name in CODE_FILE.findall(text)
        if not any((ROOT / k / name).exists() for k in known)
    }


def missing_modules(text: str) -> set[str]:
    """The dotted names below `vlmsel` that a text holds and that no module or package has."""
    return {name for name in DOTTED.findall(text) if not is_name(name.split(".")[1:])}


def is_name(parts: list[str]) -> bool:
    """True if modules, and names in the last of them, lead to a dotted name."""
    place = ROOT / "vlmsel"
    for part in parts:
        if (place / part).is_dir():
            place /= part
        elif (place / f"{part}.py").exists():
            return True
        else:
            return re.search(rf"\b{part}\b", (place / "__init__.py").read_text()) is not None
    return True


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=str)
def test_every_file_and_module_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    # The files that CONTRIBUTING.md adds are those of its recipes.
    new = set(re.findall(r"^# (\S+\.py)$", text, re.MULTILINE)) if page.parent == ROOT else set()
    modules = {name.removesuffix(".py").replace("/", ".") for name in new}
    assert missing_files(text) - new == set()
    assert missing_modules(text) - modules == set()


def unknown_imports(code: str) -> set[str]:
    """Find names that an example imports from vlmsel and no module has."""
    imports = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom))
    names = ((node.module or "", alias.name) for node in imports for alias in node.names)
    return {f"{m}.{name}" for m, name in names if m.startswith("vlmsel") and not has_name(m, name)}


def has_name(module: str, name: str) -> bool:
    """True if a module's file holds a name, or a package a module of that name."""
    place = ROOT / module.replace(".", "/")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if (place / f"{name}.py").exists():
        return True
    return file.exists() and re.search(rf"\b{name}\b", file.read_text()) is not None


def test_examples_and_benchmarks_import_what_is_there():
    examples = [code for page in PAGES for code in PYTHON.findall(page.read_text(encoding="utf-8"))]
    assert len(examples) > 15
    examples += [path.read_text(encoding="utf-8") for path in (ROOT / "bench").glob("*.py")]
    new = {"vlmsel.measurements.contrast.Contrast"}
    assert set().union(*map(unknown_imports, examples)) <= new


def test_names_that_are_not_there_are_found():
    assert missing_files("`vlmsel/no_such.py`, `bench/ranking.py`") == {"vlmsel/no_such.py"}
    text = "vlmsel.no_such.thing vlmsel.selection.registry.make_selector vlmsel.select"
    assert missing_modules(text) == {"vlmsel.no_such.thing"}


def test_the_architecture_is_that_of_the_package():
    text = (ROOT / "docs" / "internals" / "architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    flows = "data flows one way"
    (layers,) = (contract["layers"] for contract in contracts if contract["name"] == flows)
    assert "\n".join(["```", *layers, "```"]) in text
    folders = {path.parent.name for path in (ROOT / "vlmsel").glob("*/__init__.py")}
    listed = re.findall(r"^\| `vlmsel/(\w+)` \|", text, re.MULTILINE)
    assert set(listed) == folders
    places = re.findall(r"`(vlmsel/[\w/]+(?:\.py|/))`", text)
    assert len(places) > 15
    assert [place for place in places if not (ROOT / place).exists()] == []

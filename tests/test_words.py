"""Words of the code: names and docstrings that any engineer would use, as CONTRIBUTING.md asks."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vlmsel"
FILES = sorted(PACKAGE.rglob("*.py"))
# Nouns of the field; others that end so are no names for a module.
NOUNS = {"embedding", "handwriting", "ped", "ranking"}
QUESTIONS = re.compile(
    r"(What|Where|Whether|How|Which|Who|Whose|When|Why|Does|Is|Are|Do|Can|Has|If)\b"
)
PRONOUNS = {"said", "there", "gone", "own", "one", "left", "mine", "here", "now", "apart", "both"}
METAPHORS = re.compile(
    r"\b(crews?|seats?|starv\w+|fed|heard|spoken?|speaks?|listens?|feeds?)\b",
    re.I,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@cache
def trees() -> dict[Path, ast.Module]:
    """Every module's tree; collecting the tests parses nothing."""
    return {path.relative_to(PACKAGE.parent): ast.parse(path.read_text("utf-8")) for path in FILES}


def faults_of(rule: str) -> list[str]:
    return [
        f"{path}:{line}: {text}"
        for path, tree in trees().items()
        for line, text in RULES[rule](tree)
    ]


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


def questions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """A docstring begins with a verb or a noun."""
    return ((line, text) for line, text in docstrings(tree) if QUESTIONS.match(text))


def pronouns(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """A variable is named after what it holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in PRONOUNS:
            yield node.lineno, node.id
        if isinstance(node, ast.arg) and node.arg in PRONOUNS:
            yield node.lineno, node.arg


def metaphors(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Pictures come from computing: worker, pool, slot, queue, cache."""
    for line, text in docstrings(tree):
        if found := METAPHORS.search(text):
            yield line, found[0]
    for node in ast.walk(tree):
        name = getattr(node, "name", "") or getattr(node, "id", "")
        if isinstance(name, str) and METAPHORS.search(name.replace("_", " ")):
            yield getattr(node, "lineno", 1), name


RULES = {"questions": questions, "pronouns": pronouns, "metaphors": metaphors}


@pytest.mark.parametrize("rule", RULES)
def test_code_is_written_in_plain_words(rule: str) -> None:
    assert not faults_of(rule)


def test_no_module_is_named_by_a_participle() -> None:
    assert not [str(f) for f in FILES if f.stem not in NOUNS and re.search("(ing|ed)$", f.stem)]


def test_one_stem_is_one_module() -> None:
    """But for the calls in `api` and the commands, which bear the names of what they call."""
    stems: dict[str, list[str]] = defaultdict(list)
    for file in FILES:
        where = file.relative_to(PACKAGE)
        if where.parts[0] != "api" and where.parts[:2] != ("cli", "commands"):
            stems[file.stem].append(str(where))
    stems.pop("__init__")
    assert not {stem: places for stem, places in stems.items() if len(places) > 1}


def test_one_name_is_one_class() -> None:
    classes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(str(path))
    assert not {name: places for name, places in classes.items() if len(places) > 1}


def test_the_rules_find_what_they_forbid() -> None:
    code = 'def f(own):\n    """Where a starved crew sits."""\n    gone = 1\n'
    tree = ast.parse(code)
    assert all(list(rule(tree)) for rule in RULES.values())

"""Exit codes and variables of docs/guide/exit-codes.md, compared with the code both ways."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from vlmsel.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "exit-codes.md").read_text(encoding="utf-8")
MODULES = sorted([*(ROOT / "vlmsel").rglob("*.py"), *(ROOT / "jobs").glob("*.py")])
CODE = {path: path.read_text(encoding="utf-8") for path in MODULES}
NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}\*?")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def cells(title: str) -> Iterator[str]:
    """The first cells of a section's table."""
    yield from re.findall(r"^\| (.+?) \|", section(title), re.MULTILINE)[1:]


def variables(title: str) -> set[str]:
    return {name for cell in cells(title) for name in re.findall(r"`([A-Z_]+\*?)`", cell)}


def codes(title: str) -> set[int]:
    return {int(cell) for cell in cells(title) if cell.isdigit()}


def strings(node: ast.AST) -> set[str]:
    """All string constants below a node that look like a variable's name."""
    texts = (
        found.value
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str)
    )
    return {text for text in texts if NAME.fullmatch(text)}


def module_constants(trees: list[ast.Module]) -> dict[str, set[str]]:
    """Names of module constants, with the variables' names that they hold."""
    known: dict[str, set[str]] = {}
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                known.setdefault(node.targets[0].id, set()).update(strings(node.value))
    return known


def resolved(node: ast.AST, known: dict[str, set[str]]) -> set[str]:
    """The variables that an expression names: by literals, and by constants of any module."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return strings(node).union(*(known.get(name, set()) for name in names))


def is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "environ"


def named_by(node: ast.AST, known: dict[str, set[str]]) -> set[str]:
    """The variables that one statement or expression reads or sets."""
    if isinstance(node, ast.Subscript) and is_environ(node.value):
        return resolved(node.slice, known)
    if isinstance(node, ast.Compare) and any(map(is_environ, node.comparators)):
        return resolved(node.left, known)
    if isinstance(node, ast.BinOp) and is_environ(node.left):
        return resolved(node.right, known)
    if isinstance(node, ast.comprehension | ast.GeneratorExp):
        return _of_comprehension(node, known)
    return _of_call(node, known) if isinstance(node, ast.Call) else set()


def _of_call(node: ast.Call, known: dict[str, set[str]]) -> set[str]:
    """Methods of `os.environ`, `getenv`, options with `envvar`, `_environment(NAME=...)`."""
    found = set[str]()
    for keyword in node.keywords:
        if keyword.arg == "envvar":
            found |= resolved(keyword.value, known)
    function = node.func
    if isinstance(function, ast.Attribute) and is_environ(function.value) and node.args:
        found |= resolved(node.args[0], known)
    if isinstance(function, ast.Attribute) and function.attr == "getenv":
        found |= resolved(node.args[0], known)
    if isinstance(function, ast.Name) and function.id == "_environment":
        found |= {word.arg for word in node.keywords if word.arg}
        found |= {name for word in node.keywords if not word.arg for name in resolved(word, known)}
    return found


def _of_comprehension(node: ast.AST, known: dict[str, set[str]]) -> set[str]:
    """`get(name) for name in NAMES`, and `... if item[0].startswith("AWS_")` as `AWS_*`."""
    if not any(is_environ(part) for part in ast.walk(node)):
        return set()
    if isinstance(node, ast.comprehension):
        parts = (part for test in node.ifs for part in strings(test))
        return {f"{part}*" for part in parts if part.endswith("_")}
    return resolved(node.generators[0].iter, known)


def variables_of_the_code() -> set[str]:
    texts = (text for text in CODE.values() if re.search("environ|envvar|getenv", text))
    trees = [ast.parse(text) for text in texts]
    known = module_constants(trees)
    return set[str]().union(*(named_by(node, known) for tree in trees for node in ast.walk(tree)))


READ = "Variables that vlmsel reads"
SET = "Variables that vlmsel sets for processes that it starts"


def test_the_page_names_every_variable_of_the_code_and_no_other():
    found = variables_of_the_code()
    assert {"VLMSEL_STORE", "AWS_REGION", "AWS_*", "RAY_ADDRESS", "VLMSEL_RAY_CLUSTER"} <= found
    assert found == variables(READ) | variables(SET)


def test_a_new_variable_would_be_found():
    known = {"MINE": {"VLMSEL_MINE"}}
    code = 'os.getenv("VLMSEL_A"); os.environ[MINE]; "VLMSEL_B" in os.environ; f(envvar="VLMSEL_C")'
    nodes = ast.walk(ast.parse(code))
    found = set[str]().union(*(named_by(node, known) for node in nodes))
    assert found == {"VLMSEL_A", "VLMSEL_MINE", "VLMSEL_B", "VLMSEL_C"}


def test_the_variables_of_the_makefile_and_of_the_cluster_are_on_the_page():
    make = re.findall(r"^export ([A-Z_]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    files = [path.read_text() for path in (ROOT / "cluster").rglob("*") if path.is_file()]
    cluster = re.findall(
        r"(?:ENV|--env|\\\n) +([A-Z_]+)=|\{name: ([A-Z_]+), value", "\n".join(files)
    )
    names = {*make, *(name for pair in cluster for name in pair if name)}
    assert {"OMP_NUM_THREADS", "RAY_AUTH_MODE", "HF_HOME"} <= names
    assert names <= set(re.findall(r"`([A-Z_]+)`", PAGE))


def test_every_variable_of_a_library_is_used_somewhere_here():
    places = [*(ROOT / "cluster").rglob("*"), ROOT / "Makefile"]
    pages = (ROOT / "docs").rglob("*.md")
    places += [page for page in pages if page.name != "exit-codes.md"]
    texts = (path.read_text(encoding="utf-8") for path in places if path.is_file())
    text = "\n".join([*CODE.values(), *texts])
    listed = variables("Variables of libraries that are often needed")
    assert listed
    assert {name for name in listed if name not in text} == set()


def test_the_exit_codes_of_the_command_line():
    defined = {value for name, value in vars(app).items() if name.startswith("EXIT_")}
    assert codes("Exit codes of `vlmsel`") == defined
    literal = re.compile(r"(?:typer\.Exit|sys\.exit)\(((?:\d+)(?: if .+? else \d+)?)\)")
    for path, text in CODE.items():
        for words in literal.findall(text):
            assert {int(code) for code in re.findall(r"\b\d+\b", words)} <= defined, path


def test_the_exit_codes_of_a_submitted_job():
    tree = ast.parse((ROOT / "jobs" / "submit.py").read_text(encoding="utf-8"))
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    defined = {
        code.value
        for node in constants
        if "EXIT_" in ast.unparse(node.targets[0])
        for code in ast.walk(node.value)
        if isinstance(code, ast.Constant)
    }
    # Beside them the job's own 0, and click's 2 for wrong options.
    assert codes("Exit codes of `jobs/submit.py`") == defined | {0, 2}


def test_the_exit_codes_of_the_audit():
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / ".ci" / "dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (sentence,) = re.findall(r"^`make audit` has (.+)$", PAGE, re.MULTILINE)
    named = {int(code) for code in re.findall(r"\b(\d+) \(", sentence)}
    assert named == {value for name, value in vars(module).items() if name.startswith("EXIT_")}

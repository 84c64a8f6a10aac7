"""The laboratory through its command line: tables that are wrong, and what is said of them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from vlmsel.cli.app import run
from vlmsel.evaluation.studies import STUDIES
from vlmsel.evaluation.studies.zoo_draws import other_zoos

TASKS = ("mnist", "svhn", "dtd", "eurosat", "gtsrb")
MANY = (*TASKS, "cars", "pets", "pcam", "stl10", "sun397")
HEADER = "dataset,model,pretrained,acc1\n"
SHAPES = "model,pretrained,task,block,block_name,conductance\n"


@dataclass(frozen=True)
class Said:
    """What a command gave back."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Laboratory:
    """A store, and commands on it."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    uri: str

    def __call__(self, *args: str) -> Said:
        self.capture.readouterr()
        tracked = [] if args[0] == "import" else ["--tracking-uri", self.uri]
        code = run([*args, "--store", str(self.folder / "store"), *tracked])
        said = self.capture.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    def load(self, kind: str, text: str | bytes, *more: str, name: str = "table") -> Said:
        """Import a table under `name`."""
        file = self.folder / f"{name}.csv"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return self("import", kind, str(file), *more)

    def judge(self, *more: str) -> Said:
        """Evaluate average rank, unless told otherwise."""
        selectors = () if "--selector" in more else ("--selector", "average-rank")
        return self("evaluate", "--imported", *selectors, *more)


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> str:
    """One database for all tests, since making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("tracking")
    return f"sqlite:///{shutil.copy(empty_database, folder)}"


@pytest.fixture
def lab(tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str) -> Laboratory:
    return Laboratory(tmp_path, capsys, uri)


def accuracy(model: int, task: int) -> float:
    return round(0.3 + 0.05 * model + 0.01 * ((7 * model + 3 * task) % 5), 3)


def long(
    models: int = 4,
    tasks: tuple[str, ...] = TASKS,
    value: Callable[[int, int], float] = accuracy,
) -> str:
    rows = (f"{t},m{i},x,{value(i, j)}\n" for i in range(models) for j, t in enumerate(tasks))
    return HEADER + "".join(rows)


def shapes(models: range = range(4), tasks: tuple[str, ...] = TASKS) -> str:
    """Profiles; model i has 3 + i blocks."""
    return SHAPES + "".join(
        f"m{i},x,{task},{b},b{b},{1e-5 * (1 + (i + 2) * (j + 2) * (b + 3) % 7)}\n"
        for i in models
        for j, task in enumerate(tasks)
        for b in range(3 + i)
    )


def test_percent_must_be_said(lab: Laboratory) -> None:
    percent = long(value=lambda i, j: 100 * accuracy(i, j))
    said = lab.load("accuracies", percent)
    assert (said.code, "--percent" in said.err) == (2, True)
    assert lab.load("accuracies", percent, "--percent").code == 0


def test_doubtful_percentages_are_said_and_kept(lab: Laboratory) -> None:
    percent = long(value=lambda i, j: accuracy(i, j) * (1 if (i, j) == (1, 2) else 100))
    said = lab.load("accuracies", percent, "--percent")
    assert said.code == 0
    assert f"doubtful: acc1 = {accuracy(1, 2)} (m1/x on {TASKS[2]}) is at most 1 %" in said.err


def test_headers_in_quotes_and_other_encodings(lab: Laboratory) -> None:
    quoted = ",".join(f'"{name}"' for name in HEADER.strip().split(","))
    assert lab.load("accuracies", long().replace(HEADER.strip(), quoted)).code == 0
    said = lab.load("accuracies", long().encode("utf-16"))
    assert said.code == 2
    assert "not UTF-8 text; save it again as CSV UTF-8" in said.err


def test_of_many_unknown_tasks_some_are_named_and_the_rest_counted(lab: Laboratory) -> None:
    more = "".join(f"moon{i},m0,x,0.3\n" for i in range(50))
    said = lab.load("accuracies", long() + more)
    assert (said.code, said.err.count("unknown name")) == (0, 30)
    assert "... and 20 more; --json lists all" in said.err
    assert len(json.loads(lab.load("accuracies", long() + more, "--json").out)["left_out"]) == 50


def test_unknown_tasks_are_named(lab: Laboratory) -> None:
    said = lab.load("accuracies", f"{long()}moon,m0,x,0.3\n")
    assert said.code == 0
    assert "left out task moon (1 values): unknown name" in said.err
    nothing = lab.load("accuracies", long(tasks=("moon", "mars")))
    assert nothing.code == 2
    assert "nothing in it can be used (task mars: unknown name" in nothing.err


def test_too_small_a_table_is_one_line(lab: Laboratory) -> None:
    assert lab.load("accuracies", long(1)).code == 0
    said = lab.judge()
    assert said.code == 2
    assert "error: no task can be held out: there is only one model, m0/x; give at" in said.err


def test_windows_files_with_extra_columns_read_the_same(lab: Laboratory) -> None:
    for kind, text, name in (("accuracies", long(), "table"), ("profiles", shapes(), "profiles")):
        plain = lab.load(kind, text, name=name).err
        windows = b"\xef\xbb\xbf" + text.replace("\n", ",more\r\n").encode()
        said = lab.load(kind, windows, name=name)
        assert said.code == 0
        assert "left out column more" in said.err
        assert plain.splitlines()[-1] in said.err


def test_two_tables_that_differ_must_be_chosen(lab: Laboratory) -> None:
    lab.load("accuracies", long(), name="one")
    lab.load("accuracies", long(value=lambda i, j: 1 - accuracy(i, j)), name="two")
    said = lab.judge()
    assert said.code == 2
    assert "contradict each other on 20 (model, task) pairs" in said.err
    assert "--accuracies one" in said.err
    chosen = lab.judge("--accuracies", "two")
    assert chosen.code == 0
    assert "imported tables two," in chosen.out


def test_profiles_find_accuracies_under_the_name_of_the_other_activation(lab: Laboratory) -> None:
    table = long().replace("m3,x", "RN50,openai")
    lab.load("accuracies", table)
    lab.load("profiles", shapes().replace("m3,x", "RN50-quickgelu,openai"), name="profiles")
    said = lab.judge()
    assert "RN50-quickgelu/openai of the profiles is RN50/openai of the accuracies" in said.err
    assert "4 models" in said.out


def test_duplicates_count_once_unless_kept(lab: Laboratory) -> None:
    lab.load("accuracies", long())
    twin = "".join(
        line.replace("m1,x", "m3,x") + "\n" for line in shapes(range(1, 2)).splitlines()[1:]
    )
    lab.load("profiles", shapes(range(3)) + twin, name="profiles")
    said = lab.judge()
    assert "3 models" in said.out
    assert "left out model m3/x: its profiles equal those of m1/x; counted once" in said.err
    kept = lab.judge("--keep-duplicates")
    assert "4 models" in kept.out
    assert "counted once" not in kept.err


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("dcd.eat=4", "dcd has no option eat; did you mean eta?"),
        ("dcd.eta=x", "option eta='x': input should be a valid number"),
        ("dcd4.eta=1", "there is no selector 'dcd4'; did you mean dcd"),
        ("eta=1", "write it as SELECTOR.KEY=VALUE"),
    ],
)
def test_wrong_options(lab: Laboratory, option: str, why: str) -> None:
    lab.load("accuracies", long())
    said = lab.judge("--option", option)
    assert said.code == 2
    assert why in said.err


def test_options_reach_the_selector(lab: Laboratory) -> None:
    lab.load("accuracies", long(value=lambda i, j: 0.3 + 0.01 * ((i * 5 + j * 3) % 7)))
    lab.load("profiles", shapes(), name="profiles")
    both = ("--selector", "average-rank", "--selector", "dcd", "--json")
    rows = json.loads(lab.judge(*both, "--option", "dcd.gamma=0").out)["summary"]
    metrics = {(r["selector"], r["metric"]): r["mean"] for r in rows}
    # Gamma 0 weighs all sources alike, which is average rank.
    assert metrics["dcd", "tau"] == metrics["average-rank", "tau"]


def test_the_verdict_and_the_markdown_page(lab: Laboratory) -> None:
    # With fewer than ten tasks nothing could be said.
    lab.load("accuracies", long(tasks=MANY))
    page = lab.folder / "page.md"
    names = ("average-rank", "average-accuracy", "random")
    said = lab.judge(
        *(word for name in names for word in ("--selector", name)), "--markdown", str(page)
    )
    assert "Use average-rank: average-accuracy does not beat average rank on ndcg5" in said.out
    text = page.read_text()
    assert f"| average-rank | {len(MANY)} |" in text
    assert text.rstrip().splitlines()[-1] in said.out
    alone = lab.judge("--selector", "random")
    assert "No verdict: everything is judged against average-rank" in alone.out
    nowhere = lab.judge("--markdown", str(page / "page.md"))
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.err


def test_what_cannot_be_judged_is_said(lab: Laboratory) -> None:
    lab.load("accuracies", long())
    said = lab("evaluate", "--imported")
    assert said.code == 0
    assert "left out selector imagenet: no accuracy on ImageNet is known" in said.err
    assert "selectors combined, cosine, dcd and" in said.err


def test_all_selectors_are_shown_in_groups_and_on_one_page(lab: Laboratory) -> None:
    lab.load("accuracies", long(tasks=MANY))
    head = "model,pretrained,task,text-acc1,inter_close\n"
    rows = (
        f"m{i},x,{t},{accuracy(i, j)},{0.1 * i}\n" for i in range(4) for j, t in enumerate(MANY)
    )
    told = lab.load("features", head + "".join(rows), name="features")
    assert "40 rows of features of 4 models on 10 tasks" in told.out + told.err
    page = lab.folder / "page.md"
    said = lab("evaluate", "--imported", "--selector", "all", "--markdown", str(page))
    assert said.code == 0
    text = page.read_text()
    assert "# Every selector on one bench\n\nMade by `vlmsel" in text
    for row in ("| average-rank | nothing |", "| modelgpt | text |", "| posterior@25 | labels |"):
        assert row in text
    # What the tables lack is one line with the command that gives it, and no error.
    assert "left out selector swab: it needs embeddings" in said.err
    assert "`vlmsel measure embedding" in said.err
    assert "- selector swab: it needs embeddings" in text
    beside = lab.judge("--selector", "all", "--selector", "dcd")
    assert beside.code == 2
    assert "stands for every selector: name no other beside it" in beside.err


def test_the_study_of_other_zoos(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(STUDIES["zoos"], function=partial(other_zoos, n_zoos=5))
    monkeypatch.setitem(STUDIES, "zoos", few)
    lab.load("accuracies", long())
    said = lab("study", "zoos", "--imported", "--out", str(lab.folder / "out"), "--json")
    assert said.code == 0
    rows = json.loads(said.out)["rows"]
    assert {row["n_zoos"] for row in rows} == {5}
    assert (lab.folder / "out" / "zoos.svg").read_text().count("</svg>") == 1

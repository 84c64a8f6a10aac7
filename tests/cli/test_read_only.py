"""Commands that judge and tell leave a store as it is, and open each of its files once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Lab
from vlmsel.api.laboratory import current_knowledge
from vlmsel.api.workspace import open_workspace
from vlmsel.store.local_folder import LocalFolder

# Of reports and logged runs, nothing is looked at here.
pytestmark = pytest.mark.usefixtures("blank_figures")

Command = Callable[..., Answer]
Listing = dict[str, tuple[int, int]]

# What each reads: cells of kinds, whose files are named by what they hold.
COMMANDS = {
    "evaluate": ["evaluate", "--selector", "dcd", "--selector", "average-rank"],
    "sweep": ["sweep", "--eta", "0,2", "--gamma", "0,5"],
    "study": ["study", "sources", "--selector", "dcd"],
    "report": ["report", "--target", "digits-a"],
    "status": ["status"],
    "status by cell": ["status", "--by", "cell", "--kind", "profile"],
    "dry run": ["measure", "profile", "prediction", "--dry-run"],
}
READS_CELLS = ("evaluate", "sweep", "study", "report")


@pytest.fixture
def ask(own_lab: Lab, vlmsel: Command, tmp_path: Path) -> Callable[[str], Answer]:
    """One of the commands on the store, with everything that it writes elsewhere."""

    def call(name: str) -> Answer:
        args = [*COMMANDS[name], "--store", own_lab.store, "--json"]
        if name in READS_CELLS[:3]:
            args += ["--tracking-uri", own_lab.uri]
        if name == "study":
            args += ["--out", tmp_path / "study"]
        if name == "report":
            args += ["--out", tmp_path / "report.html"]
        return vlmsel(*args)

    return call


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often each file of any store was opened, by its path in the store."""
    counts: Counter[str] = Counter()
    read = LocalFolder.read

    def counting(folder: LocalFolder, path: str) -> bytes:
        counts[path] += 1
        return read(folder, path)

    monkeypatch.setattr(LocalFolder, "read", counting)
    return counts


def listing(store: Path) -> Listing:
    """Size and time of every file, folders too."""
    found = {}
    for path in sorted(store.rglob("*")):
        stat = path.stat()
        found[str(path.relative_to(store))] = (stat.st_size, stat.st_mtime_ns)
    return found


def cells(store: Path, *kinds: str) -> set[str]:
    return {
        path.relative_to(store).as_posix()
        for kind in kinds
        for path in (store / kind).glob("*/*/*.parquet")
    }


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_store_stays_as_it_is(
    own_lab: Lab, ask: Callable[[str], Answer], opened: Counter[str], name: str
) -> None:
    before = listing(own_lab.store)
    answer = ask(name)
    assert answer.code == 0, answer.err
    assert listing(own_lab.store) == before
    assert not {path: n for path, n in opened.items() if n > 1 and path.endswith(".parquet")}
    read = {path for path in opened if path.endswith(".parquet")}
    assert read == (cells(own_lab.store, "profile", "prediction") if name in READS_CELLS else set())


@pytest.mark.parametrize("name", READS_CELLS)
def test_corrupt_files_of_each_kind_are_named_and_left_where_they_are(
    own_lab: Lab, ask: Callable[[str], Answer], opened: Counter[str], name: str
) -> None:
    kinds = ("profile", "prediction")
    victims = {kind: min((own_lab.store / kind).glob("*/*/shapes-a@*.parquet")) for kind in kinds}
    for victim in victims.values():
        damage(victim)
    before = listing(own_lab.store)
    answer = ask(name)
    assert answer.code == 0, answer.err
    assert listing(own_lab.store) == before
    assert max(n for path, n in opened.items() if path.endswith(".parquet")) == 1
    named = [line for line in answer.err.splitlines() if "passed over a corrupt file" in line]
    assert len(named) == len(victims)
    for kind, victim in victims.items():
        model = victim.parent.name.replace("@", "/")
        assert any(f"{kind} of {model} on shapes-a" in line for line in named)


@pytest.mark.parametrize("name", ["status", "status by cell", "dry run"])
def test_what_reads_no_cell_does_not_see_that_one_is_corrupt(
    own_lab: Lab, ask: Callable[[str], Answer], name: str
) -> None:
    damage(next((own_lab.store / "profile").glob("*/*/*.parquet")))
    before = listing(own_lab.store)
    assert ask(name).code == 0
    assert listing(own_lab.store) == before


def test_a_corrupt_prediction_takes_its_accuracy_with_it(own_lab: Lab) -> None:
    """An accuracy over a part of the images would not compare with the others."""
    victim = next((own_lab.store / "prediction").glob("*/*/shapes-a@*.parquet"))
    damage(victim)
    known = current_knowledge(open_workspace(own_lab.store)).accuracies
    assert known.height == 4 * 6 - 1
    lacking = tuple(victim.parent.name.split("@"))
    assert (*lacking, "shapes-a") not in known.select("model", "pretrained", "task").rows()


def test_embeddings_that_nobody_asked_for_are_not_opened(
    own_lab: Lab, vlmsel: Command, ask: Callable[[str], Answer], opened: Counter[str]
) -> None:
    chosen = (own_lab.store / "workspace.json").read_text()
    few = ["--n-images", "1", "--store", own_lab.store]
    assert vlmsel("measure", "embedding", *few).code == 0
    (own_lab.store / "workspace.json").write_text(chosen)
    opened.clear()
    assert ask("evaluate").code == 0
    assert cells(own_lab.store, "embedding")
    assert not cells(own_lab.store, "embedding") & opened.keys()

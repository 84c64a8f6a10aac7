"""The package without its extras: it measures, judges and ranks, and says what is missing."""

import json
import subprocess
import sys
from itertools import chain

import pytest

from tests.cli.conftest import Lab
from vlmsel.extras import LIBRARIES

MISSING = (*chain(*LIBRARIES.values()), "sqlalchemy", "alembic", "uvicorn", "aiohttp")
CODE = """
import json, sys
for name in {missing!r}:
    sys.modules[name] = None
from vlmsel.cli import run
for args in {commands!r}:
    print(json.dumps([run(args)]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def said(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], str, str]:
    """Exit codes, output and messages of some commands in one process without any extra."""
    store = ["--store", str(lab.store)]
    catalogs = [*store, "--zoo", str(lab.zoo), "--tasks", str(lab.tasks)]
    commands = [
        ["evaluate", *store, "--selector", "average-rank", "--json"],
        ["measure", "prediction", *catalogs],
        ["measure", "prediction", *catalogs, "--executor", "ray"],
        ["evaluate", *store, "--tracking-uri", "sqlite:///x.db"],
    ]
    code = CODE.format(missing=MISSING, commands=commands)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path_factory.mktemp("core"),
    )
    codes = [json.loads(line)[0] for line in done.stderr.splitlines() if line.startswith("[")]
    return codes, done.stdout, done.stderr


def test_measuring_and_judging_need_no_extra(said):
    codes, out, err = said
    assert codes[:2] == [0, 0], err
    document = json.JSONDecoder().raw_decode(out[out.index("{") :])[0]
    assert document["mlflow"] == {"uri": None, "runs": []}
    assert "nothing is logged: a log of runs needs mlflow" in err


@pytest.mark.parametrize(("place", "extra"), [(2, "ray"), (3, "mlflow")])
def test_what_needs_an_extra_says_how_to_install_it(said, place, extra):
    codes, _, err = said
    assert codes[place] == 2, err
    lines = [line for line in err.splitlines() if f"pip install 'vlmsel[{extra}]'" in line]
    assert any(line.startswith("error: ") for line in lines), err
    assert "Traceback" not in err

"""Start-up of every command: processor time of `vlmsel COMMAND --help`, beside Python's own.

python bench/startup.py                       # this checkout
python bench/startup.py --beside ../old       # and another checkout, in turns
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from typer.main import get_command

from vlmsel.cli.app import app

HERE = Path(__file__).parents[1]
CODE = "import sys; from vlmsel.cli import main; sys.argv[0] = 'vlmsel'; main()"
NOTHING = "pass"


def cpu_s(checkout: Path, code: str, *words: str) -> float:
    """Processor time of one process, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", code, *words]
    subprocess.run(command, env=environment, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    checkouts = [HERE, *([options.beside.resolve()] if options.beside else [])]
    commands: list[tuple[str, ...]] = [(), *((name,) for name in get_command(app).commands)]
    table = Table(title=f"median of {options.rounds} rounds, {os.cpu_count()} cores")
    for column in ("command", *(f"{checkout.name}, CPU s" for checkout in checkouts), "ratio"):
        table.add_column(column, justify="left" if column == "command" else "right")
    rows = [("python -c pass", NOTHING, ())]
    rows += [(" ".join(["vlmsel", *words]), CODE, (*words, "--help")) for words in commands]
    for title, code, words in rows:
        # Checkouts take turns, so that both meet the same other work.
        taken = [[cpu_s(c, code, *words) for c in checkouts] for _ in range(options.rounds)]
        medians = [statistics.median(column) for column in zip(*taken, strict=True)]
        ratio = f"{medians[0] / medians[1]:.2f}" if len(medians) > 1 else ""
        table.add_row(title, *(f"{value:.2f}" for value in medians), ratio)
    Console().print(table)


if __name__ == "__main__":
    main()

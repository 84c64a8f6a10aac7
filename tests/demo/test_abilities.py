"""The summary of the zoo: agreement of rankings by hand, and the real zoo's diversity."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from vlmsel.demo import MANIFEST, abilities
from vlmsel.demo.families import demo_tasks
from vlmsel.demo.manifest import read_manifest, write_manifest

REAL = read_manifest(MANIFEST)


def test_families_with_rankings_of_their_own():
    """Twins agree fully; families alternate between one ranking and its reverse."""
    families = list(dict.fromkeys(task.family for task in demo_tasks()))
    records = tuple(
        replace(
            REAL.models[0],
            model=f"m{i}",
            accuracy={
                task.name: 0.1 * (i if families.index(task.family) % 2 else 9 - i)
                for task in demo_tasks()
            },
        )
        for i in range(5)
    )
    found = abilities.agreement(replace(REAL, models=records))
    assert found.twins == pytest.approx(1.0)
    # Of the pairs of 12 families, 30 agree and 36 are opposed.
    assert found.others == pytest.approx((30 - 36) / 66)


def test_equals_share_their_mean_rank():
    assert abilities._ranks([0.5, 0.9, 0.5, 0.1]) == [2.5, 1.0, 2.5, 4.0]


def test_twins_of_the_real_zoo_are_alike_and_other_tasks_are_not():
    found = abilities.agreement(REAL)
    assert found.twins > 0.6
    assert found.others < 0.4
    assert found.average_rank < found.twins


def test_command_prints_a_row_per_family_and_needs_no_torch():
    code = "import sys, vlmsel.demo.abilities as d; d.main(False, d.MANIFEST);"
    code += "assert not {'torch', 'open_clip'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(MANIFEST.parents[2])},
    )
    families = {task.family for task in demo_tasks()}
    assert families <= {line.split(" | ")[0].lstrip("| ") for line in done.stdout.splitlines()}


def test_help_says_what_it_does():
    done = CliRunner().invoke(_app(), ["--help"])
    assert done.exit_code == 0
    assert "--by-task" in done.output


def _app():
    import typer

    app = typer.Typer()
    app.command()(abilities.main)
    return app


def test_manifest_survives_writing(tmp_path):
    write_manifest(tmp_path / "manifest.json", REAL)
    assert read_manifest(tmp_path / "manifest.json") == REAL
    assert json.loads((tmp_path / "manifest.json").read_text()) == json.loads(MANIFEST.read_text())


def test_new_records_take_the_place_of_old_ones():
    newer = replace(REAL.models[1], seed=99)
    names = [record.model for record in REAL.models]
    updated = REAL.with_records([newer], names)
    assert [record.model for record in updated.models] == names
    assert updated.record(newer.model) == newer
    assert updated.record("nobody") is None

"""Ends of commands: what failed is named, and the exit code is true."""

import pytest
import typer

from vlmsel.cli.views.plan_run import finish_beside, finish_for_images
from vlmsel.evidence.failure import Failure
from vlmsel.execution.run_summary import RunSummary

FAULT = Failure("m", "p", "", None, "no weights")


@pytest.mark.parametrize("finish", [finish_beside, lambda s, n: finish_for_images(s, 0, n)])
def test_failures_count_and_so_does_what_was_not_begun(finish, capsys):
    finish(RunSummary(), 0)
    finish(RunSummary(faults=(FAULT,)), 1)
    with pytest.raises(typer.Exit):
        finish(RunSummary(faults=(FAULT,)), 0)
    with pytest.raises(typer.Exit):
        finish(RunSummary(n_left=3), 5)
    assert "stopped by --max-hours with 3 cells left" in capsys.readouterr().err

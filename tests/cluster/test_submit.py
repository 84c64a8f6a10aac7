"""What the submitter makes of Ray's answers; jobs on a real cluster are in tests/integration."""

import importlib.util
from pathlib import Path

import pytest

SUBMIT = Path(__file__).parents[2] / "jobs" / "submit.py"


@pytest.fixture(scope="module")
def submit():
    spec = importlib.util.spec_from_file_location("submit", SUBMIT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "given"), [(1, 1), (2, 2), (137, 137), (-9, 137), (-15, 143), (None, 1), (0, 1)]
)
def test_the_code_is_that_of_the_jobs_command(submit, code, given):
    assert submit.job_code(code) == given


def test_codes_of_the_submitter_are_none_of_a_command(submit):
    assert not {submit.EXIT_REFUSED, submit.EXIT_STOPPED} & {0, 1, 2, 130, 137, 143}


def test_the_log_is_not_said_again(submit):
    message = (
        "Job entrypoint command failed with exit code 2, last available logs (truncated to 20,000 "
        "chars):\nerror: another refresh works on it"
    )
    assert submit.job_reason(message) == "Job entrypoint command failed with exit code 2"
    assert submit.job_reason(None) == ""
    assert submit.job_reason("the environment cannot be made") == "the environment cannot be made"

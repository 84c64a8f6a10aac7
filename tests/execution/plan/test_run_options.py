import pytest

from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.run_options import RunOptions


def test_an_option_of_the_other_executor_is_refused_and_not_dropped() -> None:
    with pytest.raises(ExecutionError, match="local executor"):
        RunOptions(executor="ray", device="cpu")
    for options in ({"n_workers": 2}, {"n_gpus": 1}, {"address": "auto"}):
        with pytest.raises(ExecutionError, match="--executor ray"):
            RunOptions(**options)  # type: ignore[arg-type]

import pytest
import torch

from vlmsel.errors import ExecutionError
from vlmsel.execution.work.device import best_device, check_device


def test_torch_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device() == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device() == "cpu"


def test_a_device_that_is_there_is_fine() -> None:
    assert check_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["cuda:77", "gpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ExecutionError, match=f"device '{name}' is not there: use cpu"):
        check_device(name)

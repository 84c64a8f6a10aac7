import errno

import pytest
import requests

from vlmsel.errors import ModelError, StoreUnavailableError, TaskError, UnavailableError
from vlmsel.tasks.outages import UNAVAILABLE, is_unavailable, may_pass, read_error

# The hub's client, under whichever name it is installed.
TransportError = type("TransportError", (Exception,), {"__module__": "httpx._exceptions"})

PASSING = [
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ESTALE, "Stale file handle"),
    OSError(errno.ETIMEDOUT, "Connection timed out"),
    ConnectionError("refused"),
    TimeoutError(),
    requests.ConnectionError("refused"),
    requests.Timeout("no answer"),
    TransportError("reset"),
    OSError("When reading: AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 7"),
    OSError("When reading: AWS Error SLOW_DOWN during GetObject operation: Please reduce"),
    OSError("When reading: AWS Error UNKNOWN (HTTP status 503) during GetObject operation: none"),
    OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"),
    UnavailableError("away"),
    StoreUnavailableError("away"),
]
LASTING = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EACCES, "Permission denied"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
    OSError("some library's"),
    OSError("When reading: AWS Error ACCESS_DENIED during GetObject operation: none"),
    OSError("When reading: AWS Error NO_SUCH_BUCKET during GetObject operation: none"),
    OSError("google::cloud::Status(PERMISSION_DENIED: no)"),
    ValueError("wrong"),
    ModelError("wrong"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_also_as_the_cause_of_another(error: Exception) -> None:
    assert may_pass(error)
    other = ModelError("weights cannot be had")
    other.__cause__ = error
    assert may_pass(other)
    assert isinstance(read_error("x", error), UnavailableError)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_stays_as_it_is(error: Exception) -> None:
    assert not may_pass(error)


def test_a_file_that_was_found_before_may_come_back() -> None:
    assert isinstance(read_error("x", FileNotFoundError()), UnavailableError)
    assert type(read_error("x", PermissionError())) is TaskError


def test_the_reason_of_an_image_says_that_it_may_pass() -> None:
    assert is_unavailable(f"{UNAVAILABLE}a.png: stale")
    assert not is_unavailable("a.png: corrupt")

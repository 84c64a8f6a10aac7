"""Faults of disks, networks and object stores that may pass, so that a later try may do better."""

import errno
import re

from vlmsel.errors import StoreUnavailableError, TaskError, UnavailableError
from vlmsel.tasks.clouds import STATUS, aws_code

# The kind of a failure that may pass: the next run tries again without being asked.
TRANSIENT = "transient"
# Before the reason of an image that could not be read, in notes and tables.
UNAVAILABLE = "unavailable: "

ERRNOS = """
    EAGAIN EBUSY ECOMM ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH EINTR EIO EMFILE
    ENETDOWN ENETRESET ENETUNREACH ENFILE ENOBUFS ENODEV ENOLINK ENONET ENOTCONN ENXIO EPIPE
    EREMOTEIO ESHUTDOWN ESTALE ETIME ETIMEDOUT
"""
PASSING = frozenset(getattr(errno, name) for name in ERRNOS.split() if hasattr(errno, name))
AWS_PASSING = {
    "NETWORK_CONNECTION",
    "INTERNAL_FAILURE",
    "SERVICE_UNAVAILABLE",
    "THROTTLING",
    "SLOW_DOWN",
    "REQUEST_TIMEOUT",
    "REQUEST_TIME_TOO_SKEWED",
    "REQUEST_EXPIRED",
}
# As Arrow writes Google's codes.
GOOGLE_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED"}
SERVER_FAULT = re.compile(r"HTTP (?:status|response code):? (?:5\d\d|429)")
# Their faults of transport are no OSErrors.
HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
TRANSPORT = ("TransportError", "ConnectionError", "Timeout", "TimeoutException")


def may_pass(error: BaseException) -> bool:
    """Return whether a later try may do better; the causes of an error count, too."""
    if isinstance(error, UnavailableError | StoreUnavailableError):
        return True
    if isinstance(error, ConnectionError | TimeoutError) or _is_transport(error):
        return True
    if isinstance(error, OSError) and _passes(error):
        return True
    return error.__cause__ is not None and may_pass(error.__cause__)


def is_unavailable(reason: str) -> bool:
    """Return whether the reason of a failed image says that it may pass."""
    return reason.startswith(UNAVAILABLE)


def read_error(message: str, error: BaseException) -> TaskError:
    """The error of ours for a source that was found before and cannot be read.

    That it is not there may pass: a share that is away looks like that.
    """
    passes = may_pass(error) or isinstance(error, FileNotFoundError)
    return UnavailableError(message) if passes else TaskError(message)


def _passes(error: OSError) -> bool:
    text = str(error)
    if SERVER_FAULT.search(text):
        return True
    if code := aws_code(error):
        return code in AWS_PASSING
    if status := STATUS.search(text):
        return status[1] in GOOGLE_PASSING
    return error.errno in PASSING


def _is_transport(error: BaseException) -> bool:
    return any(
        kind.__name__ in TRANSPORT and kind.__module__.partition(".")[0] in HTTP_LIBRARIES
        for kind in type(error).__mro__
    )

"""Faults of disks and object stores, told as a `StoreError` that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from vlmsel.errors import StoreError, StoreUnavailableError
from vlmsel.tasks.clouds import AWS_REASONS, aws_code, cloud_reason
from vlmsel.tasks.outages import may_pass

DISK_REASONS = {
    errno.ENOSPC: "the disk is full: free space and run again, nothing measured is lost",
    errno.EDQUOT: "the disk quota is used up: free space and run again, nothing measured is lost",
    errno.EROFS: "the file system is read-only: choose a store that can be written",
    errno.EACCES: "permission denied: choose a store that you may use, or change its permissions",
    errno.EPERM: "permission denied: choose a store that you may use, or change its permissions",
    errno.ENOTDIR: "a part of that path is a file, not a folder: choose another store",
    errno.EEXIST: "a part of that path is a file, not a folder: choose another store",
    errno.ENAMETOOLONG: "a name is too long here: shorten the model's or task's name",
}


class MissingFileError(StoreError):
    """A file that was named is not there."""


class DeniedError(StoreError):
    """The account may not do that: as a worker, which needs no right to delete."""


@contextmanager
def disk_faults(action: str, path: str) -> Iterator[None]:
    """`OSError` of the local file system as `StoreError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"cannot {action} {path}: it is not there") from error
    except OSError as error:
        reason = DISK_REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
        kind = DeniedError if error.errno in (errno.EACCES, errno.EPERM) else _kind(error)
        raise kind(f"cannot {action} {path}: {reason}") from error


@contextmanager
def server_faults(action: str, address: str) -> Iterator[None]:
    """`OSError` of pyarrow as `StoreError`, without the server's words: they may hold keys."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"cannot {action} {address}: it is not there") from None
    except OSError as error:
        code = aws_code(error)
        if code == "NO_SUCH_KEY":
            raise MissingFileError(f"cannot {action} {address}: it is not there") from None
        if isinstance(error, PermissionError):
            code = "ACCESS_DENIED"
        reason = AWS_REASONS.get(code or "") or cloud_reason(error)
        unknown = (
            f"the server answered {type(error).__name__}: check the address and the credentials"
        )
        kind = DeniedError if code == "ACCESS_DENIED" else _kind(error)
        raise kind(f"cannot {action} {address}: {reason or unknown}") from None


def _kind(error: OSError) -> type[StoreError]:
    return StoreUnavailableError if may_pass(error) else StoreError

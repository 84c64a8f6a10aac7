"""Faults of disks and object stores, told as a `StoreError` that says what to do."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vlmsel.errors import StoreError
from vlmsel.tasks.google import google_reason

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
NO_SUCH_BUCKET = "the bucket does not exist: create it or correct the address"
SERVER_REASONS = {
    "NO_SUCH_BUCKET": NO_SUCH_BUCKET,
    "ACCESS_DENIED": "access is denied: check the credentials and the bucket's policy",
    "INVALID_ACCESS_KEY_ID": "the access key is unknown: check the credentials",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong: check the credentials",
    "NETWORK_CONNECTION": "the server cannot be reached: check the endpoint and the network",
}


class MissingFileError(StoreError):
    """A file that was named is not there."""


@contextmanager
def disk_faults(action: str, path: str) -> Iterator[None]:
    """`OSError` of the local file system as `StoreError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"cannot {action} {path}: it is not there") from error
    except OSError as error:
        reason = DISK_REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
        raise StoreError(f"cannot {action} {path}: {reason}") from error


@contextmanager
def server_faults(action: str, address: str) -> Iterator[None]:
    """`OSError` of pyarrow as `StoreError`, without the server's words: they may hold keys."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"cannot {action} {address}: it is not there") from None
    except OSError as error:
        if google := google_reason(error):
            raise StoreError(f"cannot {action} {address}: {google}") from None
        code = re.search(r"AWS Error (\w+)", str(error))
        name = code.group(1) if code else type(error).__name__
        if name == "NO_SUCH_KEY":
            raise MissingFileError(f"cannot {action} {address}: it is not there") from None
        # A HEAD request has no body, so the code of a refusal is unknown there.
        if "HTTP response code 403" in str(error) or isinstance(error, PermissionError):
            name = "ACCESS_DENIED"
        reason = SERVER_REASONS.get(
            name, f"the server answered {name}: check the address and the credentials"
        )
        raise StoreError(f"cannot {action} {address}: {reason}") from None

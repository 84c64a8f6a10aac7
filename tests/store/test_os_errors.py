"""Faults are told in one line with what to do, and without the server's own words."""

import errno

import pytest

from vlmsel.errors import StoreError
from vlmsel.store.os_errors import MissingFileError, disk_faults, server_faults


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "cannot write /x: the disk is full"),
        (errno.EROFS, "cannot write /x: the file system is read-only"),
        (errno.EACCES, "cannot write /x: permission denied"),
        (errno.EDQUOT, "cannot write /x: the disk quota is used up"),
        (errno.EIO, "cannot write /x: what the system said"),
    ],
)
def test_disk_faults(number: int, message: str) -> None:
    with pytest.raises(StoreError, match=message), disk_faults("write", "/x"):
        raise OSError(number, "what the system said")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AWS Error NO_SUCH_BUCKET during PutObject: secret", "the bucket does not exist"),
        ("AWS Error ACCESS_DENIED during PutObject: secret", "access is denied"),
        ("AWS Error UNKNOWN (HTTP response code 403) secret", "access is denied"),
        ("AWS Error SLOW_DOWN during PutObject: secret", "the server answered SLOW_DOWN"),
        ("secret", "the server answered OSError"),
    ],
)
def test_server_faults_drop_the_servers_words(text: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught, server_faults("write", "s3://b/x"):
        raise OSError(text)
    assert "secret" not in str(caught.value)


def test_missing_files_can_be_told_apart() -> None:
    with pytest.raises(MissingFileError), disk_faults("read", "/x"):
        raise FileNotFoundError
    with pytest.raises(MissingFileError), server_faults("read", "s3://b/x"):
        raise OSError("AWS Error NO_SUCH_KEY during GetObject")

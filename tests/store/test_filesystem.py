"""Folders on disk and in a bucket behave the same, and every fault is one clear line."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import moto.settings
import pytest

from vlmsel.errors import StoreError
from vlmsel.store import local_folder
from vlmsel.store.filesystem import open_folder


def test_write_read_list_move_delete(store_uri: str) -> None:
    folder = open_folder(store_uri)
    assert folder.files("x") == []
    assert folder.names("x") == []
    folder.write_atomic("x/one%2F@.bin", b"1")
    folder.write_atomic("x/y/two.bin", b"2")
    assert sorted(folder.files("x")) == ["x/one%2F@.bin", "x/y/two.bin"]
    assert folder.names("x") == ["one%2F@.bin"]
    assert folder.folders("x") == ["y"]
    folder.write_atomic("x/y/two.bin", b"3")
    assert folder.read("x/y/two.bin") == b"3"
    assert folder.modified("x/y/two.bin") > 1.6e9
    folder.move("x/y/two.bin", "z/three.bin")
    folder.move("x/y/two.bin", "z/three.bin")
    assert folder.files("x/y") == []
    assert folder.read("z/three.bin") == b"3"
    folder.delete("z/three.bin")
    folder.delete("z/three.bin")
    assert folder.files("z") == []


def test_files_at_the_root(store_uri: str) -> None:
    folder = open_folder(store_uri)
    folder.write_atomic("top.json", b"{}")
    assert folder.names("") == ["top.json"]


def test_absent_file_is_named(store_uri: str) -> None:
    folder = open_folder(store_uri)
    folder.write_atomic("a", b"")
    with pytest.raises(StoreError, match=r"cannot read .*none\.bin: it is not there"):
        folder.read("none.bin")


def test_file_address_is_a_local_path(tmp_path: Path) -> None:
    open_folder(f"file://{tmp_path}/a%20b").write_atomic("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("ftp://host/x", "ftp:// is unknown"),
        ("s3:/bucket/x", "write s3:// with two slashes"),
        ("gs:bucket/x", "write gs:// with two slashes"),
        ("s3:///x", "no bucket"),
        ("s3://bucket/x?endpiont_override=h", "unknown option endpiont_override"),
    ],
)
def test_impossible_addresses(uri: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_folder(uri)


def test_absent_bucket(s3_endpoint: str, s3_keys: None) -> None:
    folder = open_folder(
        f"s3://no-such-bucket/x?endpoint_override={s3_endpoint}&scheme=http&region=us-east-1"
    )
    with pytest.raises(StoreError, match=r"write s3://no-such-bucket/x/y: the bucket does not"):
        folder.write_atomic("y", b"1")
    with pytest.raises(StoreError, match="the bucket does not exist"):
        folder.files("profiles")


def test_denied_bucket(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server runs in this process; from now on it asks for a user's permissions.
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    folder = open_folder(s3_uri)
    refused = r"access key is unknown|access is denied"
    with pytest.raises(StoreError, match=refused) as caught:
        folder.write_atomic("y", b"1")
    assert "testing" not in str(caught.value)
    with pytest.raises(StoreError, match=refused):
        folder.files("profiles")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAUSER:topsecret@bucket/x",
        "s3://AKIAUSER:top/secret@bucket/x",
        "s3://bucket/x?secret_key=topsecret",
        "gs://topsecret@bucket/x",
        "gs://bucket/x?access_token=topsecret",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(StoreError, match="put them into the environment") as caught:
        open_folder(uri)
    message = str(caught.value)
    assert "topsecret" not in message
    assert "AKIAUSER" not in message


def test_unreachable_server_shows_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUSER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    folder = open_folder("s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http&region=r")
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        folder.write_atomic("y", b"1")
    text = str(caught.value) + folder.address + str(caught.value.__cause__)
    assert "topsecret" not in text
    assert "AKIAUSER" not in text


def test_endpoint_from_the_environment(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address, _, query = s3_uri.partition("?")
    host = query.split("&")[0].partition("=")[2]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    open_folder(address).write_atomic("env", b"1")
    assert open_folder(s3_uri).read("env") == b"1"


def test_s3_write_is_one_put(s3_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = open_folder(s3_uri)
    with caplog.at_level(logging.INFO, logger="werkzeug"):
        folder.write_atomic("cell", b"1" * 1_000_000)
    requests = [record.getMessage() for record in caplog.records if record.name == "werkzeug"]
    assert len(requests) == 1
    assert "PUT /" in requests[0]
    assert "uploadId" not in requests[0]


def test_a_failed_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_folder(tmp_path)
    folder.write_atomic("x/old", b"old")

    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_folder.os, "replace", fail)
    with pytest.raises(StoreError, match="disk is full"):
        folder.write_atomic("x/old", b"new")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["old"]
    assert folder.read("x/old") == b"old"


def test_store_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file, not a folder"):
        open_folder(tmp_path / "file" / "store").write_atomic("x", b"1")
    with pytest.raises(StoreError, match="is a file, not a folder"):
        open_folder(tmp_path / "file").files("profiles")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_denied_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="permission denied"):
        open_folder(tmp_path).write_atomic("x/y", b"1")


def test_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted: {mounted.stderr.decode().strip()}")
    try:
        folder = open_folder(tmp_path)
        folder.write_atomic("x/small", b"1")
        with pytest.raises(StoreError, match="disk is full"):
            folder.write_atomic("x/large", b"1" * 200_000)
        assert [path.name for path in (tmp_path / "x").iterdir()] == ["small"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


WRITER = """
import sys
from vlmsel.store.filesystem import open_folder
folder = open_folder(sys.argv[1])
print("ready", flush=True)
for number in range(10**9):
    folder.write_atomic(f"x/{number % 3}", bytes([number % 251]) * 100_000)
"""


def test_kill_in_the_middle_of_writes_leaves_whole_files(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            while not folder.names("x"):
                pass
            writer.kill()
        for name in folder.names("x"):
            data = folder.read(f"x/{name}")
            assert len(data) == 100_000
            assert len(set(data)) == 1

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.addresses import (
    absolute_address,
    absolute_path,
    is_address,
    output_address,
    quote_path,
)
from vlmsel.errors import StoreError, TaskError


def address(location: str | Path, base: Path | None = None) -> str:
    return absolute_address(location, "store", StoreError, base=base)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("x", "/here/x"),
        ("./x", "/here/x"),
        ("../x", "/here/../x"),
        (" lead and trail ", "/here/ lead and trail "),
        ("My%20Photos", "/here/My%20Photos"),
        ("what?#&=", "/here/what?#&="),
        ("写真/ünï", "/here/写真/ünï"),
        ("a:b", "/here/a:b"),
        ("set:100:fire:x", "/here/set:100:fire:x"),
        ("./s3:/x", "/here/s3:/x"),
        ("caf\udce9", "/here/caf\udce9"),
        ("new\nline", "/here/new\nline"),
        ("x/{000..009}.tar", "/here/x/{000..009}.tar"),
        ("/a/b/", "/a/b"),
        ("/a:/b", "/a:/b"),
        (Path("x"), "/here/x"),
        ("file:///data/a%20b", "/data/a b"),
        ("FILE:///data/x", "/data/x"),
        ("file://localhost/data/x", "/data/x"),
        ("file:///data/caf%E9", "/data/caf\udce9"),
        ("s3://bucket/x", "s3://bucket/x"),
        (" S3://bucket/x?region=a", "s3://bucket/x?region=a"),
        ("gs://bucket", "gs://bucket"),
    ],
)
def test_what_is_said_means_the_same_everywhere(location: str | Path, expected: str) -> None:
    assert address(location, Path("/here")) == expected


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "store: the name is empty"),
        (" \n", "store: the name is empty"),
        ("a\0b", "character 0"),
        ("s3:/bucket/x", "write s3:// with two slashes"),
        ("s3:bucket/x", "write s3:// with two slashes"),
        ("gs:/bucket", "write gs:// with two slashes"),
        ("file:/x", "write file:// with two slashes"),
        ("http:/x", "write http:// with two slashes"),
        ("abfs:/x", "write abfs:// with two slashes"),
        (Path("s3://bucket/x"), "write s3:// with two slashes"),
        ("http://host/x", "scheme http:// is unknown"),
        ("ftp://host/x", "scheme ftp:// is unknown"),
        ("file://host/x", "names a host: write file:///host/x"),
        ("file://x", "names a host"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("gs://?a=b", "names no bucket"),
        ("s3://key:secret@bucket/x", "no credentials in s3://"),
        ("~no-such-user-here/x", "home is not known"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(location: str | Path, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        address(location)
    assert "secret" not in str(caught.value)


def test_home_and_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    assert address("~/x") == "/home/me/x"
    assert address("~/x", Path("/here")) == "/home/me/x"
    assert address("x") == f"{tmp_path}/x"
    assert address("x", Path("sub")) == f"{tmp_path}/sub/x"


@given(st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text))
def test_saying_it_again_changes_nothing(text: str) -> None:
    try:
        once = address(text, Path("/here"))
    except StoreError:
        return
    assert is_address(once) or os.path.isabs(once)
    assert address(once, Path("/elsewhere")) == once


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0f3a").write_bytes(b"")
    (tmp_path / "model.safetensors").symlink_to("blobs/0f3a")
    (tmp_path / "folder").symlink_to("blobs")
    for name in ("model.safetensors", "folder/0f3a", "folder"):
        found = absolute_path(name, "weights", TaskError, base=tmp_path)
        assert found == tmp_path / name


@pytest.mark.parametrize("location", ["s3://bucket/x.yaml?endpoint_override=h", "gs://b/x"])
def test_an_address_is_no_local_file(location: str) -> None:
    with pytest.raises(TaskError, match=r"catalog (s3|gs)://\S+ is an address, and a local file"):
        absolute_path(location, "catalog", TaskError)


def test_what_a_job_of_ray_writes_is_not_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output_address("x", "store", StoreError) == os.path.abspath("x")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    for location in ("x", "../x", ".vlmsel/store"):
        with pytest.raises(StoreError, match="a job of Ray does not run in the folder"):
            output_address(location, "store", StoreError)
    for location in ("/x", "s3://bucket/x", "file:///x", "~/x"):
        output_address(location, "store", StoreError)


@pytest.mark.parametrize(
    "path", ["/a b/My%20Photos", "/what?/x", "/a#b", "/写真", "/new\nline", "/a&b=c;d"]
)
def test_a_path_in_a_uri_is_read_back_as_it_was(path: str) -> None:
    from sqlalchemy.engine import make_url

    quoted = quote_path(Path(path), "database", StoreError)
    assert make_url(f"sqlite:///{quoted}").database == path


def test_a_path_that_no_uri_can_hold_is_refused() -> None:
    with pytest.raises(StoreError, match="is no UTF-8"):
        quote_path(Path("/caf\udce9"), "database", StoreError)

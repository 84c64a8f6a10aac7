"""Stores and images that are not there, refuse, are full, damaged or harmful: one line each."""

import gzip
import io
import struct
import subprocess
import sys
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.cli.conftest import Answer, Lab
from vlmsel.store.store import Store

COMMAND = Path(sys.executable).parent / "vlmsel"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": "hunter2"}
QUICK = ("--set", "n_steps=2", "--set", "rule=left", "--set", "path=uniform")

Profile = Callable[..., Answer]


@pytest.fixture
def profile(
    lab: Lab, tmp_path: Path, vlmsel: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> Profile:
    """`vlmsel profile` of one model on the tasks given as name=images; no secret may be said."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    model = yaml.safe_load(lab.zoo.read_text())["models"][0]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": [model]}))

    def call(*more: object, store: object = tmp_path / "store", **tasks: object) -> Answer:
        specs = [{"name": name, "images": str(images)} for name, images in tasks.items()]
        (tmp_path / "tasks.yaml").write_text(yaml.safe_dump({"tasks": specs}))
        catalogs = ["--zoo", tmp_path / "zoo.yaml", "--tasks", tmp_path / "tasks.yaml"]
        args = ["profile", *map(str, [*catalogs, "--store", store, *QUICK, *more])]
        answer = vlmsel(*args)
        assert "Traceback" not in answer.err
        assert not [secret for secret in KEYS.values() if secret in answer.err + answer.out]
        return answer

    return call


def options(port: int) -> str:
    return f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server without any bucket."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield options(server.get_host_and_port()[1])
    server.stop()


class Refuses(BaseHTTPRequestHandler):
    """An object store that denies everything, and says more than it should."""

    def do_GET(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>AKIATESTING may not</Message></Error>"
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def denied() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield options(server.server_port)
    server.shutdown()
    server.server_close()


def test_a_bucket_that_does_not_exist(profile: Profile, lab: Lab, s3: str) -> None:
    answer = profile(t=lab.images, store=f"s3://nope/x?{s3}")
    assert answer.code == 2
    assert answer.error.startswith("cannot list s3://nope/x: the bucket does not exist: create it")
    for name in ("x", "x.tar", "x-*.tar"):
        answer = profile(t=f"s3://nope/{name}?{s3}")
        assert answer.code == 2
        assert f"s3://nope/{name}" in answer.error
        assert "does not exist" in answer.error
    assert "the bucket does not exist: create it" in profile(t=f"s3://nope/x?{s3}").error


def test_a_bucket_that_denies(profile: Profile, lab: Lab, denied: str) -> None:
    answer = profile(t=lab.images, store=f"s3://theirs/x?{denied}")
    assert answer.code == 2
    assert "cannot list s3://theirs/x" in answer.error
    assert "access is denied: check the credentials and the bucket's policy" in answer.error
    for name in ("x", "x.tar"):
        answer = profile(t=f"s3://theirs/{name}?{denied}")
        assert answer.code == 2
        assert f"s3://theirs/{name} cannot be reached: access is denied" in answer.error


@pytest.mark.parametrize("place", ["store", "images"])
def test_credentials_in_an_address(profile: Profile, lab: Lab, place: str) -> None:
    address = "s3://AKIATESTING:hunter2@bucket/x"
    answer = profile(t=lab.images, store=address) if place == "store" else profile(t=address)
    assert answer.code == 2
    assert "no credentials in s3:// addresses: put them into the environment" in answer.error


def tar(path: Path, name: str, data: bytes) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return path


def no_tar(folder: Path) -> tuple[Path, str]:
    path = folder / "shard.tar"
    path.write_bytes(b"hello, this is no tar at all " * 99)
    return path, "it is no tar, or damaged: replace it"


def outside(folder: Path) -> tuple[Path, str]:
    return tar(folder / "s.tar", "../../evil.png", b"x"), "'../../evil.png' points outside"


def endless(folder: Path) -> tuple[Path, str]:
    info = tarfile.TarInfo("x.png")
    info.size = 5 << 30
    with gzip.open(folder / "bomb.tar.gz", "wb") as file:
        file.write(info.tobuf())
    return folder / "bomb.tar.gz", "has 5368709120 bytes; shard refused"


@pytest.mark.parametrize("make", [no_tar, outside, endless])
def test_a_bad_shard_is_named_and_the_rest_goes_on(
    profile: Profile, lab: Lab, tmp_path: Path, make: Callable[[Path], tuple[Path, str]]
) -> None:
    path, said = make(tmp_path)
    alone = profile(bad=path)
    assert alone.code == 2
    assert str(path) in alone.error
    assert said in alone.error
    answer = profile(good=lab.images, bad=path)
    assert answer.code == 1
    (warning,) = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    assert str(path) in warning
    assert said in warning
    assert "1 cells measured" in answer.err
    assert not list(tmp_path.parent.rglob("evil.png"))
    again = profile("--allow-failures", "1", good=lab.images, bad=path)
    assert again.code == 0


def bomb(width: int, height: int) -> bytes:
    """A true PNG, black and white, of some ten kilobytes whose pixels take a gigabyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_fails_alone(profile: Profile, lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "bomb.png").write_bytes(bomb(20_000, 20_000))
    (folder / "good.png").write_bytes((lab.images / "000.png").read_bytes())
    answer = profile(t=folder)
    assert answer.code == 1
    assert "image bomb.png: too large" in answer.err
    assert "scale it down" in answer.err
    assert "1 cells measured (1 images)" in answer.err


def test_two_models_of_one_name(lab: Lab, profile: Profile, tmp_path: Path) -> None:
    models = yaml.safe_load((tmp_path / "zoo.yaml").read_text())["models"] * 2
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": models}))
    answer = profile(t=lab.images)
    assert answer.code == 2
    assert answer.error.startswith(f"{tmp_path}/zoo.yaml: two models of one name: ")
    assert answer.error.endswith("remove one")
    assert not (tmp_path / "store").exists()


def test_a_full_disk_loses_nothing(profile: Profile, lab: Lab, small_disk: Path) -> None:
    store = small_disk / "store"
    tasks = {f"t{number}": lab.images for number in range(12)}
    answer = profile(store=store, **tasks)
    assert answer.code == 2
    assert answer.error.startswith(f"cannot write {store}/")
    assert answer.error.endswith(
        "the disk is full: free space and run again, nothing measured is lost"
    )
    (digest,) = Store(store).settings("profile")
    measured = Store(store).cells("profile", digest)
    assert 0 < len(measured) < 12
    assert Store(store).verify("profile", digest) == []
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    rest = profile("--json", store=store, **tasks)
    assert rest.code == 0
    assert f'"measured": {12 - len(measured)},' in rest.out

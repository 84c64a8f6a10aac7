"""Images and packed files of them, made on the spot."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

MakePng = Callable[..., bytes]
MakeTar = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def png() -> MakePng:
    """A small PNG of one colour, different for every number."""

    def make(number: int = 0) -> bytes:
        buffer = io.BytesIO()
        colour = (number % 256, number // 256, 7)
        Image.new("RGB", (6, 4), colour).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def folder(tmp_path: Path, png: MakePng) -> Path:
    """Three cats and two dogs in folders named after them."""
    root = tmp_path / "pets"
    for number, name in enumerate(("cat/a", "cat/b", "cat/c", "dog/a", "dog/b")):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return root


@pytest.fixture
def make_tar() -> MakeTar:
    """Write a tar of the given members; returns its path."""

    def make(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
        with tarfile.open(path, mode) as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture(scope="session")
def s3_options() -> Iterator[str]:
    """A mock S3 server with the bucket `images`; the options that reach it."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    environment = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.setenv(name, "testing")
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="images")
    yield f"region=us-east-1&scheme=http&endpoint_override={host}:{port}"
    environment.undo()
    server.stop()


@pytest.fixture
def put(s3_options: str) -> Callable[[str, bytes], None]:
    """Put an object into the bucket `images`."""
    endpoint = s3_options.rpartition("=")[2]
    client = boto3.client("s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1")

    def put_object(key: str, data: bytes) -> None:
        client.put_object(Bucket="images", Key=key, Body=data)

    return put_object

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_tensor

from tests.execution.conftest import draw_task
from vlmsel.errors import TaskError
from vlmsel.execution.work import decoded_images as module
from vlmsel.execution.work.decoded_images import STALE_S, DecodedCache, decode_shard, tensor_bytes
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import index_task
from vlmsel.tasks.shards import Shard, plan_shards
from vlmsel.tasks.task_catalog import TaskSpec

ROOM = 10**8


class Transform:
    """to_tensor, counted."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: Image.Image) -> Tensor:
        self.calls += 1
        return to_tensor(image)


@pytest.fixture
def task(tmp_path: Path) -> TaskSpec:
    return draw_task(tmp_path / "task", seed=0)


@pytest.fixture
def shard(task: TaskSpec) -> Shard:
    return plan_shards(index_task(task), n_images=None)[0]


def test_every_image_is_decoded_in_shard_order(shard: Shard) -> None:
    found = decode_shard(shard, to_tensor)
    assert found.images is not None
    assert found.refs == shard.images
    assert found.n_decoded == len(shard.images)
    for ref, image in zip(found.refs, found.images, strict=True):
        with Image.open(ref.source.removeprefix("file://")) as file:
            assert torch.equal(image, to_tensor(file))


def test_an_unreadable_image_fails_alone(task: TaskSpec, tmp_path: Path) -> None:
    bad = tmp_path / "task" / "circle" / "0.png"
    bad.write_bytes(bad.read_bytes()[:60])
    shard = plan_shards(index_task(task), n_images=None)[0]
    found = decode_shard(shard, to_tensor)
    [(ref, reason)] = found.failed
    assert ref.image_id == "circle/0.png"
    assert "PNG" in reason or "truncated" in reason
    assert len(found.refs) == len(shard.images) - 1


class OddTransform:
    """Works but for the images whose number is named."""

    def __init__(self, odd: dict[int, object]) -> None:
        self._odd = odd
        self._number = -1

    def __call__(self, image: Image.Image) -> object:
        self._number += 1
        found = self._odd.get(self._number, to_tensor(image))
        if isinstance(found, BaseException):
            raise found
        return found


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (IndexError("beyond\nthe end"), "failed on 32x32 pixels: IndexError: beyond the end"),
        (SystemExit(0), "its code asked to exit (SystemExit 0)"),
        (OSError("no https://me:secretword@host"), "OSError: no https://***@host"),
        (AssertionError(), "AssertionError"),
        (None, "gave NoneType of 32x32 pixels"),
        (torch.zeros(3, 4), "gave (3, 4) of 32x32 pixels, and no (3, H, W)"),
        (torch.zeros(3, 8, 8), "gave (3, 8, 8) torch.float32 of 32x32 pixels, and (3, 32, 32)"),
        (torch.zeros(3, 32, 32, dtype=torch.float64), "torch.float64 of 32x32 pixels, and"),
    ],
    ids=range(8),
)
def test_a_picture_that_a_transform_fails_on_fails_alone(
    shard: Shard, odd: object, said: str
) -> None:
    found = decode_shard(shard, OddTransform({1: odd}))
    [(ref, reason)] = found.failed
    assert ref == shard.images[1]
    assert said in reason
    assert "secretword" not in reason
    assert found.images is not None
    assert len(found.images) == len(shard.images) - 1


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("2 GB")])
def test_too_little_memory_is_no_fault_of_a_picture(shard: Shard, error: Exception) -> None:
    with pytest.raises(type(error)):
        decode_shard(shard, OddTransform({0: error}))


def test_a_source_that_is_gone_gives_no_tensor_and_a_reason_each(
    task: TaskSpec, shard: Shard, tmp_path: Path
) -> None:
    for path in (tmp_path / "task").rglob("*.png"):
        path.unlink()
    found = decode_shard(shard, to_tensor)
    assert found.images is None
    assert len(found.failed) == len(shard.images)


def test_a_network_fault_is_asked_again_and_only_for_what_is_missing(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = [ImageRef(r.image_id, r.sha256, "s3://bucket/x", None, r.label) for r in shard.images]
    content = {
        r.image_id: Path(r.source.removeprefix("file://")).read_bytes() for r in shard.images
    }
    asked: list[int] = []

    def flaky(part: Shard) -> Iterator[tuple[ImageRef, bytes | TaskError]]:
        asked.append(len(part.images))
        for number, ref in enumerate(part.images):
            broken = len(asked) == 1 and number < 2
            yield ref, TaskError("timeout") if broken else content[ref.image_id]

    monkeypatch.setattr(module, "read_shard", flaky)
    found = decode_shard(Shard("t", 0, tuple(remote)), to_tensor, pauses_s=(0.0, 0.0))
    assert asked == [len(remote), 2]
    assert (found.refs, found.failed) == (tuple(remote), ())


def test_the_second_model_of_one_preprocessing_decodes_nothing(shard: Shard) -> None:
    first, second = DecodedCache(ROOM), DecodedCache(ROOM)
    transform = Transform()
    one = first.get("p", shard, transform)
    two = second.get("p", shard, transform)
    assert transform.calls == len(shard.images)
    assert (one.n_decoded, two.n_decoded) == (len(shard.images), 0)
    assert one.images is not None
    assert two.images is not None
    assert torch.equal(one.images, two.images)
    assert one.refs == two.refs


def test_another_preprocessing_or_other_images_are_decoded_anew(shard: Shard) -> None:
    cache, transform = DecodedCache(ROOM), Transform()
    cache.get("p", shard, transform)
    assert cache.get("q", shard, transform).n_decoded == len(shard.images)
    part = Shard(shard.task, 0, shard.images[1:])
    assert cache.get("p", part, transform).n_decoded == len(part.images)


def test_two_at_once_decode_once(shard: Shard) -> None:
    transform = Transform()
    caches = [DecodedCache(ROOM), DecodedCache(ROOM)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda cache: cache.get("p", shard, transform), caches))
    assert transform.calls == len(shard.images)


def test_a_shard_with_a_failed_image_is_read_again(task: TaskSpec, tmp_path: Path) -> None:
    shard = plan_shards(index_task(task), n_images=None)[0]
    victim = tmp_path / "task" / "circle" / "0.png"
    good = victim.read_bytes()
    victim.unlink()
    cache = DecodedCache(ROOM)
    assert len(cache.get("p", shard, to_tensor).failed) == 1
    victim.write_bytes(good)
    assert cache.get("p", shard, to_tensor).failed == ()


def test_the_bound_holds_and_zero_keeps_nothing(shard: Shard, tmp_path: Path) -> None:
    one = decode_shard(shard, to_tensor).images
    assert one is not None
    folder = tmp_path / "cache-folder"
    cache = DecodedCache(one.nbytes + 2000, folder)
    cache.get("p", shard, to_tensor)
    assert cache.get("q", shard, to_tensor).n_decoded > 0
    assert cache.get("q", shard, to_tensor).n_decoded > 0
    assert cache.get("p", shard, to_tensor).n_decoded == 0
    assert sum(path.stat().st_size for path in folder.iterdir()) <= one.nbytes + 2000
    DecodedCache(0, tmp_path / "never").get("p", shard, to_tensor)
    assert not (tmp_path / "never").exists()


def test_stale_entries_give_way(shard: Shard, tmp_path: Path) -> None:
    one = decode_shard(shard, to_tensor).images
    assert one is not None
    folder = tmp_path / "cache-folder"
    cache = DecodedCache(one.nbytes + 2000, folder)
    cache.get("p", shard, to_tensor)
    old = time.time() - STALE_S - 1
    for path in folder.iterdir():
        os.utime(path, (old, old))
    cache.get("q", shard, to_tensor)
    assert cache.get("q", shard, to_tensor).n_decoded == 0


def test_a_damaged_entry_is_decoded_anew(shard: Shard, tmp_path: Path) -> None:
    folder = tmp_path / "cache-folder"
    cache = DecodedCache(ROOM, folder)
    cache.get("p", shard, to_tensor)
    [entry] = folder.glob("*.safetensors")
    whole = entry.read_bytes()
    flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
    for damaged in (whole[:100], flipped):
        entry.write_bytes(damaged)
        assert cache.get("p", shard, to_tensor).n_decoded == len(shard.images)
    assert cache.get("p", shard, to_tensor).n_decoded == 0


def test_a_folder_of_somebody_else_is_not_used_and_the_run_goes_on(
    shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache-folder"
    folder.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    cache = DecodedCache(ROOM, folder)
    for _ in range(2):
        assert cache.get("p", shard, to_tensor).n_decoded == len(shard.images)
    assert list(folder.iterdir()) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"decoded images are not kept: {folder} belongs to another user; set TMPDIR to another "
        "folder"
    ]


def test_nothing_behind_a_link_is_read_written_or_deleted(
    shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    old = time.time() - STALE_S - 1
    for name in ("thesis.tex", "0" * 32 + ".safetensors"):
        (precious / name).write_text(name)
        os.utime(precious / name, (old, old))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{module.FOLDER}-{os.getuid()}").symlink_to(precious)
    assert DecodedCache(ROOM).get("p", shard, to_tensor).n_decoded == len(shard.images)
    assert sorted(path.name for path in precious.iterdir()) == [
        "0" * 32 + ".safetensors",
        "thesis.tex",
    ]


def test_only_files_that_we_named_are_deleted(shard: Shard, tmp_path: Path) -> None:
    folder = tmp_path / "cache-folder"
    cache = DecodedCache(ROOM, folder)
    cache.get("p", shard, to_tensor)
    mine = {"a" * 32 + ".safetensors", "b" * 32 + ".lock", "c" * 32 + ".12.part"}
    others = {"notes.txt", "A" * 32 + ".lock", "a" * 31 + ".lock", "a" * 32 + ".x.part", "d" * 32}
    old = time.time() - STALE_S - 1
    for name in mine | others:
        (folder / name).write_text("x")
        os.utime(folder / name, (old, old))
    (folder / ("e" * 32 + ".lock")).mkdir()
    (tmp_path / "target").write_text("x")
    link = folder / ("f" * 32 + ".lock")
    link.symlink_to(tmp_path / "target")
    os.utime(link, (old, old), follow_symlinks=False)
    cache.get("q", shard, to_tensor)
    left = {path.name for path in folder.iterdir()}
    assert not left & mine
    assert others <= left
    assert {"e" * 32 + ".lock", link.name} <= left


def test_a_lock_that_is_never_given_back_costs_the_cache_only(shard: Shard, tmp_path: Path) -> None:
    folder = tmp_path / "cache-folder"
    cache = DecodedCache(ROOM, folder, lock_wait_s=0.05)
    cache.get("p", shard, to_tensor)
    [entry], [lock] = folder.glob("*.safetensors"), folder.glob("*.lock")
    entry.unlink()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert cache.get("p", shard, to_tensor).n_decoded == len(shard.images)
        assert list(folder.glob("*.safetensors")) == []
    assert cache.get("p", shard, to_tensor).n_decoded == len(shard.images)
    assert cache.get("p", shard, to_tensor).n_decoded == 0


def test_a_user_without_a_name_has_a_cache(
    shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = DecodedCache(ROOM)
    assert cache.get("p", shard, to_tensor).n_decoded == len(shard.images)
    assert cache.get("p", shard, to_tensor).n_decoded == 0


def test_bytes_of_a_picture_are_those_of_its_tensor() -> None:
    assert tensor_bytes(lambda image: torch.zeros(3, 5, 7)) == 3 * 5 * 7 * 4

    def fail(image: Image.Image) -> torch.Tensor:
        raise SystemExit(1)

    assert tensor_bytes(fail) is None

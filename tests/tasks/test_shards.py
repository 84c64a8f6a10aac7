import hashlib
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.errors import TaskError
from vlmsel.tasks import parquets, tars
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import TaskIndex, index_task
from vlmsel.tasks.locations import open_source
from vlmsel.tasks.shards import MOST_IMAGES, Shard, plan_shards, read_shard, strata
from vlmsel.tasks.task_catalog import TaskSpec

MakePng = Callable[..., bytes]
MakeTar = Callable[..., Path]


def ref(image_id: str) -> ImageRef:
    return ImageRef(
        image_id, hashlib.sha256(image_id.encode()).hexdigest(), "/s.tar", image_id, None
    )


def made(ids: list[str]) -> TaskIndex:
    return TaskIndex("t", tuple(ref(i) for i in ids))


def contents(plan: tuple[Shard, ...]) -> set[tuple[str, ...]]:
    return {tuple(r.image_id for r in shard.images) for shard in plan}


ids = st.lists(st.text("abc0123", min_size=1, max_size=6), min_size=1, max_size=150, unique=True)


def ranked(names: list[str]) -> list[str]:
    return sorted(names, key=lambda n: hashlib.sha256(n.encode()).hexdigest())


@pytest.mark.parametrize(
    ("n_images", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (25, [(0, 25)]),
        (26, [(0, 25), (25, 26)]),
        (100, [(0, 25), (25, 50), (50, 100)]),
        (500, [(0, 25), (25, 50), (50, 100), (100, 200), (200, 400), (400, 500)]),
    ],
)
def test_strata(n_images: int, expected: list[tuple[int, int]]) -> None:
    assert strata(n_images) == expected


@given(st.integers(0, 100_000))
def test_strata_cover_every_rank_once(n_images: int) -> None:
    found = strata(n_images)
    assert all(low < high for low, high in found)
    assert sum(high - low for low, high in found) == n_images
    assert [low for low, _ in found[1:]] == [high for _, high in found[:-1]]


@settings(deadline=None, max_examples=60)
@given(
    ids,
    st.integers(1, 40),
    st.integers(1, 80),
    st.one_of(st.none(), st.integers(1, 160)),
    st.randoms(),
)
def test_every_chosen_image_is_in_one_shard_whatever_the_order(
    names: list[str], size: int, most: int, n_images: int | None, rng: random.Random
) -> None:
    limits = {"n_images": n_images, "shard_images": size, "most_images": most}
    plan = plan_shards(made(names), **limits)
    chosen = ranked(names)[:n_images]
    assert [shard.number for shard in plan] == list(range(len(plan)))
    shards = iter(plan)
    for low, high in strata(len(chosen)):
        stratum = sorted(chosen[low:high])
        limit = max(size, min(most, len(stratum)))
        parts: list[list[str]] = []
        while sum(map(len, parts)) < len(stratum):
            parts.append([r.image_id for r in next(shards).images])
        assert [name for part in parts for name in part] == stratum
        assert all(1 <= len(part) <= limit for part in parts)
        assert all(2 * len(part) >= limit for part in parts[:-1])
        if len(stratum) <= limit:
            assert len(parts) == 1
    assert next(shards, None) is None
    shuffled = list(names)
    rng.shuffle(shuffled)
    assert plan_shards(made(shuffled), **limits) == plan


@given(st.integers(1, 400), st.integers(1, 400))
def test_more_images_measure_the_new_ones_only(fewer: int, more: int) -> None:
    few, many = sorted((fewer, more))
    index = made([f"image-{i}" for i in range(400)])
    before, after = plan_shards(index, n_images=few), plan_shards(index, n_images=many)
    # All but the stratum that the smaller number cuts short.
    whole = [high for _, high in strata(few) if high in {h for _, h in strata(many)}]
    kept = set(ranked([r.image_id for r in index.images])[: max(whole, default=0)])
    shared = [s.images for s in before if {r.image_id for r in s.images} <= kept]
    assert [s.images for s in after][: len(shared)] == shared
    assert {r.image_id for images in shared for r in images} == kept
    if few in {25, 50, 100, 200, 400}:
        assert contents(before) <= contents(after)


@pytest.mark.parametrize("n_images", [25, 50, 100, 200, 400])
def test_kinds_that_want_different_numbers_share_their_shards(n_images: int) -> None:
    index = made([f"image-{i}" for i in range(400)])
    some, whole = plan_shards(index, n_images=n_images), plan_shards(index, n_images=None)
    assert some == whole[: len(some)]
    assert sum(len(shard.images) for shard in some) == n_images


def test_few_images_come_in_one_shard_and_many_in_large_ones() -> None:
    index = made([f"image-{i}" for i in range(3200)])
    sizes = [len(shard.images) for shard in plan_shards(index, n_images=None)]
    assert sizes[:4] == [25, 25, 50, 100]
    assert max(sizes) <= MOST_IMAGES
    assert len(sizes) < 3200 / (MOST_IMAGES / 2)


def test_a_new_image_changes_few_shards() -> None:
    names = [f"image-{i}" for i in range(2000)]
    before = contents(plan_shards(made(names), n_images=None))
    after = [contents(plan_shards(made([*names, f"new-{i}"]), n_images=None)) for i in range(20)]
    changed = [len(before - keys) for keys in after]
    # The one that it falls into, and in each later stratum those that an image leaves or enters.
    assert sum(changed) / len(changed) < len(strata(2000))
    assert max(changed) <= 2 * len(strata(2000))
    assert len(before) > 20


def test_a_new_image_of_the_last_stratum_changes_one_shard_or_two() -> None:
    names = [f"image-{i}" for i in range(2000)]
    before = contents(plan_shards(made(names), n_images=None))
    late = [new for i in range(40) if (new := f"new-{i}") in ranked([*names, new])[1600:]]
    assert late
    for new in late:
        after = contents(plan_shards(made([*names, new]), n_images=None))
        assert len(before - after) <= 2


def test_a_new_image_replaces_one_of_the_chosen_at_most() -> None:
    names = [f"image-{i}" for i in range(100)]
    (before,) = contents(plan_shards(made(names), n_images=25))
    for i in range(20):
        (after,) = contents(plan_shards(made([*names, f"new-{i}"]), n_images=25))
        assert len(set(before) - set(after)) <= 1


@pytest.mark.parametrize(
    "bad",
    [
        {"n_images": 0},
        {"n_images": None, "shard_images": 0},
        {"n_images": None, "most_images": 0},
    ],
)
def test_numbers_below_one_are_refused(bad: dict[str, int | None]) -> None:
    with pytest.raises(TaskError, match=r"(n_images|(shard|most)_images) must be at least 1"):
        plan_shards(made(["a"]), **bad)


@pytest.fixture
def tasks(tmp_path: Path, folder: Path, png: MakePng, make_tar: MakeTar) -> dict[str, TaskSpec]:
    """The same five images in a folder, in two tars and in a Parquet file."""
    for name, part in (("s-0.tar", range(3)), ("s-1.tar", range(3, 5))):
        make_tar(tmp_path / name, {f"{i}.png": png(i) for i in part})
    pq.write_table(pa.table({"image": [png(i) for i in range(5)]}), tmp_path / "x.parquet")
    images = {"folder": folder, "tar": tmp_path / "s-*.tar", "parquet": tmp_path / "x.parquet"}
    return {kind: TaskSpec(name=kind, images=str(path)) for kind, path in images.items()}


def plan_one(task: TaskSpec, n_images: int | None = None) -> Shard:
    (shard,) = plan_shards(index_task(task), n_images=n_images)
    return shard


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
def test_every_image_is_read_once_with_its_bytes(
    tasks: dict[str, TaskSpec], kind: str, png: MakePng
) -> None:
    shard = plan_one(tasks[kind])
    found = list(read_shard(shard))
    assert sorted(r.image_id for r, _ in found) == sorted(r.image_id for r in shard.images)
    for image, data in found:
        assert isinstance(data, bytes)
        assert hashlib.sha256(data).hexdigest() == image.sha256
    assert {data for _, data in found} == {png(i) for i in range(5)}


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_each_source_file_is_opened_once(
    tasks: dict[str, TaskSpec], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = plan_one(tasks[kind])
    opened: list[str] = []

    def noting(source: str, **options: int) -> object:
        opened.append(source)
        return open_source(source, **options)

    monkeypatch.setattr(tars if kind == "tar" else parquets, "open_source", noting)
    assert len(list(read_shard(shard))) == 5
    assert sorted(opened) == sorted({r.source for r in shard.images})


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
def test_a_source_that_went_away_fails_its_images_only(
    tasks: dict[str, TaskSpec], kind: str
) -> None:
    shard = plan_one(tasks[kind])
    removed = shard.images[0].source
    Path(removed).unlink()
    for image, data in read_shard(shard):
        assert isinstance(data, TaskError) == (image.source == removed)
        if isinstance(data, TaskError):
            assert str(data).startswith(f"{image.image_id}: ")
            assert "cannot be read" in str(data)


def test_an_image_that_changed_is_an_error(tasks: dict[str, TaskSpec], png: MakePng) -> None:
    shard = plan_one(tasks["folder"])
    Path(shard.images[2].source).write_bytes(png(99))
    errors = [r for r, data in read_shard(shard) if isinstance(data, TaskError)]
    assert errors == [shard.images[2]]


def test_a_tar_that_broke_fails_what_comes_after(
    tmp_path: Path, png: MakePng, make_tar: MakeTar
) -> None:
    members = {f"{i}.png": png(i) for i in range(6)}
    path = make_tar(tmp_path / "s.tar", members)
    shard = plan_one(TaskSpec(name="t", images=str(path)))
    path.write_bytes(path.read_bytes()[: 3 * 1024 + 100])
    found = {r.image_id: data for r, data in read_shard(shard)}
    assert len(found) == 6
    assert {i for i, data in found.items() if isinstance(data, bytes)} == {"0", "1", "2"}
    assert "5: damaged or changed since it was indexed" in str(found["5"])


def test_plain_tars_are_sought_and_compressed_ones_passed_through(
    tmp_path: Path, png: MakePng, make_tar: MakeTar, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {f"{i}.png": png(i) for i in range(40)}
    plain = plan_one(TaskSpec(name="t", images=str(make_tar(tmp_path / "s.tar", members))), 3)
    packed = make_tar(tmp_path / "s.tgz", members, "w:gz")
    compressed = plan_one(TaskSpec(name="t", images=str(packed)), 3)
    expected = {ref.image_id: members[f"{ref.image_id}.png"] for ref in plain.images}
    assert {ref.image_id: data for ref, data in read_shard(compressed)} == expected
    monkeypatch.setattr(tarfile, "open", None)
    assert {ref.image_id: data for ref, data in read_shard(plain)} == expected


def test_a_member_that_is_gone_is_said(tmp_path: Path, png: MakePng, make_tar: MakeTar) -> None:
    path = make_tar(tmp_path / "s.tgz", {"a.png": png(1), "b.png": png(2)}, "w:gz")
    shard = plan_one(TaskSpec(name="t", images=str(path)))
    make_tar(path, {"a.png": png(1)}, "w:gz")
    found = {r.image_id: data for r, data in read_shard(shard)}
    assert found["a"] == png(1)
    assert str(found["b"]) == "b: it is no longer in its source file"


def test_shards_are_read_from_an_object_store(
    s3_options: str, put: Callable[[str, bytes], None], tasks: dict[str, TaskSpec], png: MakePng
) -> None:
    for path in Path(tasks["tar"].images).parent.glob("s-*.tar"):
        put(f"read/{path.name}", path.read_bytes())
    shard = plan_one(TaskSpec(name="t", images=f"s3://images/read/s-*.tar?{s3_options}"))
    assert {data for _, data in read_shard(shard)} == {png(i) for i in range(5)}

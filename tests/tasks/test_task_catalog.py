from pathlib import Path

import pytest

from vlmsel.errors import CatalogError, TaskError
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec, folder_task, load_tasks


def test_local_paths_are_made_absolute_and_remote_ones_left(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(
        "tasks:\n"
        "  - {name: a, images: 'pets/{0..3}.tar', classnames: [cat, dog]}\n"
        "  - {name: b, images: 's3://bucket/b', prompts: 'clip-benchmark:mnist'}\n"
        "  - {name: c, images: /data/c}\n"
    )
    a, b, c = load_tasks(tmp_path / "tasks.yaml").tasks
    assert a.images == f"{tmp_path.resolve()}/pets/{{0..3}}.tar"
    assert a.classnames == ("cat", "dog")
    assert b.images == "s3://bucket/b"
    assert c.images == "/data/c"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{name: a, image: x}", "did you mean images|key 'images': Field required"),
        ("{name: a, images: x, class_names: [b]}", "unknown key 'class_names'; did you mean"),
        ("{name: a, images: x, classnames: []}", "key 'classnames'"),
        ("{name: a, images: x, classnames: [1]}", "should be a valid string"),
        ("{name: a, images: x, templates: ['{}']}", "`templates` need `classnames`"),
        ("{name: a, images: x, classnames: [b], templates: [photo]}", "'photo' must hold {} once"),
        ("{name: a, images: x, classnames: [b], templates: ['{} {c}']}", "must hold {} once"),
        ("{name: a, images: x, prompts: 'cifar10'}", "key 'prompts'"),
        (
            "{name: a, images: x, prompts: 'clip-benchmark:b', classnames: [b], templates: ['{}']}",
            "`prompts` is not used",
        ),
        ("{name: a, images: x}, {name: a, images: y}", "two tasks of one name: a"),
    ],
)
def test_impossible_entries_are_refused(tmp_path: Path, entry: str, reason: str) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text(f"tasks: [{entry}]")
    with pytest.raises(CatalogError, match=reason) as caught:
        load_tasks(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_find_suggests_the_nearest() -> None:
    catalog = TaskCatalog(tasks=(TaskSpec(name="eurosat", images="/a"),))
    assert catalog.find("eurosat").images == "/a"
    with pytest.raises(TaskError, match="'euroset' is not in this catalog; did you mean eurosat"):
        catalog.find("euroset")
    with pytest.raises(TaskError, match="its tasks: eurosat"):
        catalog.find("zzz")


def test_a_folder_is_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = folder_task("photos")
    assert (spec.name, spec.images) == ("photos", str(tmp_path / "photos"))
    assert folder_task("photos", name="mine").name == "mine"
    remote = folder_task("s3://bucket/some/photos/?region=eu")
    assert (remote.name, remote.images) == ("photos", "s3://bucket/some/photos/?region=eu")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("trail ", r"trail\x20"),
        ("new\nline", r"new\nline"),
        ("caf\udce9", r"caf\xe9"),
        ("nb\u00a0", r"nb\xa0"),
        ("set:100:fire:x", "set:100:fire:x"),
        ("\u202egnp", r"\u202egnp"),
    ],
)
def test_a_folder_of_any_name_is_a_target(tmp_path: Path, folder: str, name: str) -> None:
    spec = folder_task(tmp_path / folder)
    assert (spec.name, spec.images) == (name, str(tmp_path / folder))


def test_a_target_of_a_long_name_is_shortened_and_a_task_of_one_is_refused(tmp_path: Path) -> None:
    long = "写" * 60
    name = folder_task(tmp_path / long).name
    assert name.startswith("写写")
    assert len(name) < 30
    assert folder_task(tmp_path / (long + "a")).name != name
    (tmp_path / "t.yaml").write_text(f"tasks: [{{name: {long}, images: x}}]", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"the name is too long: .* it takes 540 bytes"):
        load_tasks(tmp_path / "t.yaml")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("pics", "{here}/pics"),
        ("../pics", "{here}/../pics"),
        ("my pics/ünï", "{here}/my pics/ünï"),
        ("file:///data/a%20b", "/data/a b"),
        ("s3://bucket/x", "s3://bucket/x"),
        ("s3:/bucket/x", "s3:/bucket/x"),  # fails its task alone, when it is read
    ],
)
def test_images_are_seen_from_the_catalogs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, expected: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.yaml").write_text(
        f"tasks: [{{name: t, images: '{address}'}}]", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    for source in ("sub/t.yaml", tmp_path / "sub" / "t.yaml"):
        (task,) = load_tasks(source).tasks
        assert task.images == expected.format(here=tmp_path / "sub")


@pytest.mark.parametrize("address", ["", "s3://bucket/t.yaml", "s3:/b/t.yaml", "http://h/t.yaml"])
def test_a_catalog_is_a_local_file(address: str) -> None:
    with pytest.raises(CatalogError, match=r"task catalog.* (empty|an address|two slashes|http)"):
        load_tasks(address)

from pathlib import Path

import pytest

from vlmsel.errors import CatalogError, TaskError
from vlmsel.tasks.catalog import TaskCatalog, TaskSpec, folder_task, load_tasks


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
    ("entry", "said"),
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
def test_impossible_entries_are_refused(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text(f"tasks: [{entry}]")
    with pytest.raises(CatalogError, match=said) as caught:
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

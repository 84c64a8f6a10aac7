"""``vlmsel select``: the table, what is said beside it, and the exit code."""

import json
import re
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from vlmsel import select as select_from_python
from vlmsel.cli.app import run
from vlmsel.errors import TrackingError
from vlmsel.settings import AttributionSettings


@pytest.fixture(scope="module")
def measured(lab, tmp_path_factory) -> Path:
    """The laboratory's store with profiles of its images, too."""
    store = Path(shutil.copytree(lab.store, tmp_path_factory.mktemp("profiled") / "store"))
    assert run(["select", str(lab.images), "--store", str(store), "--selector", "dcd"]) == 0
    return store


@pytest.fixture
def profiled(own_lab, measured):
    """The same as `own_lab`, where a selector of profiles has nothing to measure."""
    shutil.rmtree(own_lab.store)
    shutil.copytree(measured, own_lab.store)
    return own_lab


def test_the_table_says_all_that_is_promised_and_a_second_run_measures_nothing(own_lab, vlmsel):
    for number in range(3):
        with Image.open(own_lab.images / f"00{number}.png") as image:
            image.rotate(90).save(own_lab.images / f"turned-{number}.png")
    command = ["select", own_lab.images, "--store", own_lab.store, "--selector", "dcd"]
    first = vlmsel(*command)
    assert first.code == 0, first.err
    for header in ("rank", "model", "score", "average"):
        assert header in first.out
    for promise in ("true rank", "in top 5", "by images"):
        assert promise not in first.out, "with 6 sources nothing can be promised"
    # Of 9, as many as of each source.
    assert "images: 8 images, the first 4 of 4 models" in first.out
    headline = first.out.splitlines()[0]
    assert headline.startswith("images: No trustworthy ranking for these images. ")
    assert "6 known tasks are too few, 10 are needed" in headline
    assert "6 known tasks" not in first.err, "said once"
    assert "4 cells to measure" in first.err

    # With the options of every command that measures.
    again = vlmsel(*command, "--no-verify", "--threads", "1")
    assert again.code == 0
    assert "4 cells are measured already, nothing to do" in again.err
    assert again.out == first.out


def test_json_is_one_document_with_the_same_ranking_as_from_python(profiled, vlmsel):
    args = ["--selector", "dcd", "--top", "2", "--json"]
    answer = vlmsel("select", profiled.images, "--store", profiled.store, *args)
    said = json.loads(answer.out)
    assert [row["rank"] for row in said["ranking"]] == [1, 2]
    assert said["selector"] == "dcd"
    assert 1 <= said["effective_sources"] <= said["n_sources"] == 6
    found = select_from_python(profiled.images, store=profiled.store, selector="dcd")
    assert found.ranking.head(2).to_dicts() == said["ranking"]
    assert found.headline == said["headline"]
    assert [notice.code for notice in found.warnings] == [one["code"] for one in said["warnings"]]
    assert (said["is_trustworthy"], said["few_sources"]) == (False, True)
    assert said["expected_loss"] is None
    assert said["unlike_every_source"] == found.unlike_every_source


def test_average_rank_shows_neither_intervals_nor_itself_beside_itself(own_lab, vlmsel):
    args = ["--selector", "average-rank"]
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store, *args)
    assert answer.code == 0
    assert "by images" not in answer.out
    assert "average:" not in answer.out


def listing(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*"))


def test_where_nothing_is_asked_of_the_images_no_model_looks_at_them(own_lab, vlmsel):
    command = ["select", own_lab.images, "--store", own_lab.store]
    before = listing(own_lab.store)
    answer = vlmsel(*command)
    assert answer.code == 0, answer.err
    assert "images not looked at" in answer.out
    assert "--profile-anyway" in answer.err
    assert "cells" not in answer.err
    assert listing(own_lab.store) == before


def test_images_are_looked_at_on_request(profiled, vlmsel):
    command = ["select", profiled.images, "--store", profiled.store, "--json"]
    looked = vlmsel(*command, "--profile-anyway")
    assert "4 cells are measured already" in looked.err
    said = json.loads(looked.out)
    assert (said["selector"], said["images_looked_at"], said["n_images"]) == (
        "average-rank",
        True,
        6,
    )
    # What was measured once is read again, since it costs nothing.
    assert json.loads(vlmsel(*command).out)["novelty"] == said["novelty"]


def test_at_80_columns_names_are_whole_and_nothing_wraps(profiled, vlmsel, monkeypatch):
    from vlmsel.cli.views import console

    monkeypatch.setattr(console.stdout, "_width", 80)
    args = ["--selector", "dcd"]
    answer = vlmsel("select", profiled.images, "--store", profiled.store, *args)
    table = answer.out.split("score: lower")[0].splitlines()[1:]
    assert all(len(line) <= 80 for line in table)
    for name in ("demo-vit-general/demo", "demo-resnet-letters/demo"):
        assert any(name in line for line in table)
    assert "sources that spoke most" in answer.out.split("score: lower")[1]


def test_uniform_similarity_is_told(profiled, vlmsel):
    # One image of every source says nothing about which is near when gamma cannot tell them apart.
    args = ["--selector", "dcd-uniform", "--json"]
    said = json.loads(vlmsel("select", profiled.images, "--store", profiled.store, *args).out)
    assert said["near_uniform"] == (said["effective_sources"] / said["n_sources"] > 0.9)
    assert (said["notice"] is not None) == said["near_uniform"]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be this large and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_bad_images_among_good_ones_are_skipped_counted_and_named(own_lab, vlmsel):
    good = (own_lab.images / "000.png").read_bytes()
    for name in ("003.png", "004.png", "005.png"):
        # Of more than the 8 images that this store profiles, only 8 would be looked at.
        (own_lab.images / name).unlink()
    (own_lab.images / "corrupt.png").write_bytes(b"not an image at all")
    (own_lab.images / "huge.png").write_bytes(png_header(60_000, 60_000))
    (own_lab.images / "truncated.png").write_bytes(good[: len(good) // 2])
    Image.new("RGBA", (1, 1)).save(own_lab.images / "tiny.png")
    command = ["select", own_lab.images, "--store", own_lab.store, "--selector", "dcd"]

    answer = vlmsel(*command)
    assert answer.code == 1
    assert "images: 4 images" in answer.out
    warnings = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    skipped = [w.split(":")[1].split()[-1] for w in warnings if "skipped image" in w]
    assert skipped == ["corrupt.png", "huge.png", "truncated.png"], answer.err
    assert "--allow-failures 3 accepts that" in answer.err

    accepted = vlmsel(*command, "--allow-failures", "3", "--json")
    assert accepted.code == 0
    failed = {row["image_id"] for row in json.loads(accepted.out)["failed_images"]}
    assert failed == {"corrupt.png", "huge.png", "truncated.png"}


def test_a_folder_without_any_readable_image_fails_also_the_second_time(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"no image " + name.encode())
    for more in ([], [], ["--retry-failed"]):
        answer = vlmsel("select", folder, "--store", own_lab.store, "--json", *more)
        assert answer.code == 2
        assert answer.out == ""
        assert "none of 2 image(s) could be measured" in answer.error
        assert "not an image of a known format" in answer.error
        # Found before any model is loaded: nothing was begun.
        assert answer.err.count("\n") == 1


def test_a_folder_of_more_images_than_are_used_says_so(own_lab, vlmsel):
    for number in range(6):
        image = (own_lab.images / f"00{number}.png").read_bytes()
        (own_lab.images / f"more-{number}.png").write_bytes(image + b"more")
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store)
    assert answer.code == 0, answer.err
    assert f"{own_lab.images} holds 12 images; 8 are used, as of each source task" in answer.err


def test_missing_and_empty_folders_are_named(lab, vlmsel, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, said in ((tmp_path / "none", "does not exist"), (empty, "is empty")):
        answer = vlmsel("select", folder, "--store", lab.store)
        assert answer.code == 2
        assert answer.error == f"folder {folder} {said}"
        assert answer.err.count("\n") == 1
    (empty / "notes.txt").write_text("no image")
    answer = vlmsel("select", empty, "--store", lab.store)
    assert answer.code == 2
    assert answer.error.startswith(f"no image in folder {empty}: 1 files, none of them ")


def test_other_settings_say_what_differs(lab, vlmsel):
    answer = vlmsel("select", lab.images, "--store", lab.store, "--preset", "paper")
    assert answer.code == 2
    mine, paper = AttributionSettings(), AttributionSettings.preset("paper")
    for name in ("n_steps", "rule", "granularity"):
        said = f"{name} {getattr(mine, name)} (store) vs {getattr(paper, name)} (asked)"
        assert said in answer.error


def test_a_selector_that_lacks_what_it_needs_is_found_before_the_work(lab, vlmsel):
    answer = vlmsel("select", lab.images, "--store", lab.store, "--selector", "imagenet")
    assert answer.code == 2
    assert "no accuracy on ImageNet is known" in answer.error
    assert "usable are average-accuracy, average-rank" in answer.error
    assert "to measure" not in answer.err


def test_a_model_that_fails_is_left_out_of_the_ranking_and_counted(profiled, vlmsel, tmp_path):
    text = profiled.zoo.read_text()
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(text + "- model: ViT-B-32\n  pretrained: gone\n  weights: /none/weights.pt\n")
    command = ["select", profiled.images, "--store", profiled.store, "--zoo", zoo]
    answer = vlmsel(*command)
    assert answer.code == 1
    assert "left out: ViT-B-32/gone" in answer.err
    assert "the first 4 of 4 models" in answer.out
    assert vlmsel(*command, "--allow-failures", "1").code == 0
    assert vlmsel(*command, "--selector", "dcd").code == 1


def test_the_report_tells_the_target_as_the_command_does(own_lab, vlmsel, tmp_path):
    page, folder = tmp_path / "page.html", tmp_path / "digits-a"
    shutil.copytree(own_lab.images, folder)
    (folder / "bad.png").write_bytes(b"no image")
    args = ["--report", page, "--json", "--allow-failures", "9"]
    answer = vlmsel("select", folder, "--store", own_lab.store, *args)
    said, text = json.loads(answer.out), page.read_text()
    facts = dict(re.findall(r"<dt>([^<]+)</dt>\s*<dd>([^<]+)</dd>", text))
    assert "target:" not in text
    assert str(facts["images of the target"]) == str(said["n_images"])
    assert facts["failed"] == "1", "one image, whatever the number of models"


def test_a_report_is_written_beside_the_ranking(own_lab, vlmsel, tmp_path):
    page = tmp_path / "page.html"
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store, "--report", page)
    assert answer.code == 0
    assert "Which model for images?" in page.read_text()


@pytest.mark.parametrize("option", ["--top=0", "--allow-failures=-1"])
def test_numbers_out_of_range_are_usage_errors(lab, vlmsel, option):
    assert vlmsel("select", lab.images, "--store", lab.store, option).code == 2


def test_a_ranking_is_logged_where_it_is_said(own_lab, vlmsel):
    command = ["select", own_lab.images, "--store", own_lab.store, "--selector", "average-rank"]
    answer = vlmsel(*command, "--tracking-uri", own_lab.uri, "--experiment", "choices")
    assert answer.code == 0, answer.err
    assert "logged in MLflow" in answer.err
    from mlflow.tracking import MlflowClient

    client = MlflowClient(own_lab.uri)
    experiment = client.get_experiment_by_name("choices")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'select'")
    assert run.data.params["selector"] == "average-rank"
    assert run.data.params["first"] in answer.out


def test_a_ranking_that_cannot_be_logged_ends_with_1(own_lab, vlmsel, tmp_path, monkeypatch):
    def fail(*args: object, **more: object) -> str:
        raise TrackingError("the server has gone")

    monkeypatch.setattr("vlmsel.tracking.log_run_summary", fail)
    command = ["select", own_lab.images, "--store", own_lab.store, "--tracking-uri", own_lab.uri]
    answer = vlmsel(*command, "--selector", "average-rank", "--json")
    assert answer.code == 1
    assert json.loads(answer.out)["ranking"]
    assert "not logged in MLflow: the server has gone" in answer.err
    # Where class names give an answer its report comes first.
    page = tmp_path / "page.html"
    names = ("--classnames", "a,b", "--dry-run", "--report", page)
    answer = vlmsel(*command, *names)
    assert answer.code == 1
    assert page.is_file()
    assert answer.err.index("report: ") < answer.err.index("not logged in MLflow")

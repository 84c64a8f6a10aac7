"""``vlmsel select``: the table, what is said beside it, and the exit code."""

import json
import re
import shutil
import struct
import zlib
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient
from PIL import Image

from vlmsel import select as select_from_python
from vlmsel.errors import TrackingError
from vlmsel.settings import AttributionSettings


def test_the_table_says_all_that_is_promised_and_a_second_run_measures_nothing(own_lab, vlmsel):
    command = ["select", own_lab.images, "--store", own_lab.store, "--selector", "dcd"]
    first = vlmsel(*command)
    assert first.code == 0, first.err
    for header in ("rank", "model", "score", "average"):
        assert header in first.out
    for promise in ("true rank", "in top 5", "by images"):
        assert promise not in first.out, "with 6 sources nothing can be promised"
    assert "images: 6 images, the first 4 of 4 models" in first.out
    headline = first.out.splitlines()[0]
    assert headline.startswith("images: No trustworthy ranking for these images. ")
    assert "6 known tasks are too few, 10 are needed" in headline
    assert "6 known tasks" not in first.err, "said once"
    assert "4 cells to measure" in first.err

    again = vlmsel(*command)
    assert again.code == 0
    assert "4 cells are measured already, nothing to do" in again.err
    assert again.out == first.out


def test_json_is_one_document_with_the_same_ranking_as_from_python(own_lab, vlmsel):
    args = ["--selector", "dcd", "--top", "2", "--json"]
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store, *args)
    said = json.loads(answer.out)
    assert [row["rank"] for row in said["ranking"]] == [1, 2]
    assert said["selector"] == "dcd"
    assert 1 <= said["effective_sources"] <= said["n_sources"] == 6
    found = select_from_python(own_lab.images, store=own_lab.store, selector="dcd")
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

    looked = vlmsel(*command, "--profile-anyway", "--json")
    assert "4 cells to measure" in looked.err
    said = json.loads(looked.out)
    assert (said["selector"], said["images_looked_at"], said["n_images"]) == (
        "average-rank",
        True,
        6,
    )
    # What was measured once is read again, since it costs nothing.
    assert json.loads(vlmsel(*command, "--json").out)["novelty"] == said["novelty"]


def test_the_choice_of_the_selector_does_not_depend_on_the_images(own_lab, vlmsel, tmp_path):
    black = tmp_path / "black"
    black.mkdir()
    for number in range(6):
        Image.new("RGB", (32, 32)).save(black / f"{number}.png")
    answers = [
        json.loads(vlmsel("select", folder, "--store", own_lab.store, "--json").out)
        for folder in (own_lab.images, black)
    ]
    assert answers[0]["selector"] == answers[1]["selector"]
    assert answers[0]["ranking"] == answers[1]["ranking"]
    assert answers[1]["headline"].startswith("No trustworthy ranking for these images. 6 of 6 ")
    assert len(answers[1]["constant_images"]) == 6


def test_the_run_options_of_every_measuring_command_are_there(own_lab, vlmsel):
    args = ["--selector", "dcd", "--no-verify", "--threads", "1"]
    assert vlmsel("select", own_lab.images, "--store", own_lab.store, *args).code == 0


def test_at_80_columns_names_are_whole_and_nothing_wraps(own_lab, vlmsel, monkeypatch):
    from vlmsel.cli.views import console

    monkeypatch.setattr(console.stdout, "_width", 80)
    args = ["--selector", "dcd"]
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store, *args)
    table = answer.out.split("score: lower")[0].splitlines()[1:]
    assert all(len(line) <= 80 for line in table)
    for name in ("demo-vit-general/demo", "demo-resnet-letters/demo"):
        assert any(name in line for line in table)
    assert "sources that spoke most" in answer.out.split("score: lower")[1]


def test_uniform_similarity_is_told(own_lab, vlmsel):
    # One image of every source says nothing about which is near when gamma cannot tell them apart.
    args = ["--selector", "dcd-uniform", "--json"]
    said = json.loads(vlmsel("select", own_lab.images, "--store", own_lab.store, *args).out)
    assert said["near_uniform"] == (said["effective_sources"] / said["n_sources"] > 0.9)
    assert (said["notice"] is not None) == said["near_uniform"]


def test_a_folder_called_like_a_source_task_is_another_task(own_lab, vlmsel, tmp_path):
    folder = tmp_path / "digits-a"
    shutil.copytree(own_lab.images, folder)
    answer = vlmsel("select", folder, "--store", own_lab.store, "--json")
    said = json.loads(answer.out)
    assert (said["target"], said["n_sources"]) == ("digits-a", 6)
    assert vlmsel("status", "--store", own_lab.store).code == 0


def test_two_folders_with_the_same_images_have_cells_of_their_own(own_lab, vlmsel, tmp_path):
    copy = Path(shutil.copytree(own_lab.images, tmp_path / "copy"))
    command = ["--store", own_lab.store, "--selector", "dcd", "--json"]
    one = json.loads(vlmsel("select", own_lab.images, *command).out)
    answer = vlmsel("select", copy, *command)
    assert "4 cells to measure" in answer.err
    assert json.loads(answer.out)["ranking"] == one["ranking"]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be this large and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("selector", [[], ["--selector", "dcd"]], ids=["unseen", "dcd"])
def test_bad_images_among_good_ones_are_skipped_counted_and_named(own_lab, vlmsel, selector):
    good = (own_lab.images / "000.png").read_bytes()
    for name in ("003.png", "004.png", "005.png"):
        # Of more than the 8 images that this store profiles, only 8 would be looked at.
        (own_lab.images / name).unlink()
    (own_lab.images / "corrupt.png").write_bytes(b"not an image at all")
    (own_lab.images / "huge.png").write_bytes(png_header(60_000, 60_000))
    (own_lab.images / "truncated.png").write_bytes(good[: len(good) // 2])
    Image.new("RGBA", (1, 1)).save(own_lab.images / "tiny.png")
    command = ["select", own_lab.images, "--store", own_lab.store, *selector]

    answer = vlmsel(*command)
    assert answer.code == 1
    assert ("images: 4 images" if selector else "images not looked at") in answer.out
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
    args = ["--selector", "dcd"]
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store, *args)
    assert answer.code == 0, answer.err
    assert f"{own_lab.images} holds 12 images; 8 are used, as of each source task" in answer.err
    assert "images: 8 images" in answer.out


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


def test_a_misspelt_selector_is_found_before_the_work(lab, vlmsel):
    answer = vlmsel("select", lab.images, "--store", lab.store, "--selector", "dcd-poled")
    assert answer.code == 2
    assert "no selector 'dcd-poled'; did you mean dcd-pooled" in answer.error
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("selector", "lack"),
    [("imagenet", "no accuracy on ImageNet is known"), ("oracle-similarity", "true accuracies")],
)
def test_a_selector_that_lacks_what_it_needs_is_found_before_the_work(
    own_lab, vlmsel, selector, lack
):
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store, "--selector", selector)
    assert answer.code == 2
    assert lack in answer.error
    assert "usable are average-accuracy, average-rank" in answer.error
    assert "to measure" not in answer.err


def test_one_source_is_little_and_none_too_little(own_lab, vlmsel, tmp_path):
    tasks = yaml.safe_load(Path(own_lab.tasks).read_text())
    tasks["tasks"] = tasks["tasks"][:1]
    alone = tmp_path / "one.yaml"
    alone.write_text(yaml.safe_dump(tasks))
    images = ["select", own_lab.images, "--store", own_lab.store, "--zoo", own_lab.zoo]
    answer = vlmsel(*images, "--tasks", alone)
    assert answer.code == 0, answer.err
    assert "1 known task is too few, 10 are needed" in answer.out.splitlines()[0]
    assert "in top 5" not in answer.out
    learning = vlmsel(*images, "--tasks", alone, "--selector", "combined")
    assert learning.code == 2
    assert "it needs 2 source tasks with accuracies, there is 1: run `vlmsel" in learning.error
    assert "to measure" not in learning.err


def test_a_store_without_predictions_is_refused_before_the_work(own_lab, vlmsel):
    shutil.rmtree(own_lab.store / "prediction")
    answer = vlmsel("select", own_lab.images, "--store", own_lab.store)
    assert answer.code == 2
    assert "holds no accuracy of this zoo on these tasks: run `vlmsel accuracy`" in answer.error
    assert "to measure" not in answer.err


def test_a_model_that_fails_is_left_out_of_the_ranking_and_counted(own_lab, vlmsel, tmp_path):
    text = own_lab.zoo.read_text()
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(text + "- model: ViT-B-32\n  pretrained: gone\n  weights: /none/weights.pt\n")
    command = ["select", own_lab.images, "--store", own_lab.store, "--zoo", zoo]
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

"""``vlmsel label`` before its page is there: what would be done, and refusals in one line."""

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Lab
from vlmsel.api.answer import AnswerOptions, answer_images
from vlmsel.api.known_zoo import known_zoo
from vlmsel.cli.commands.label import write_select_command

Command = Callable[..., Answer]
NAMES = ["--classnames", "a,c,h"]


@pytest.fixture
def label(lab: Lab, vlmsel: Command, tmp_path: Path) -> Command:
    def call(*args: object, images: Path = lab.images) -> Answer:
        out = () if "--out" in args else ("--out", tmp_path / "labels.csv")
        return vlmsel("label", images, "--store", lab.store, *out, "--no-browser", *args)

    return call


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(label, lab, tmp_path):
    found = label(*NAMES, "--dry-run", "--json")
    assert found.code == 0, found.err
    said = json.loads(found.out)
    assert (said["images"], said["labelled"], len(said["to_run"])) == (6, 0, 4)
    assert said["labels_file"] == str(tmp_path / "labels.csv")
    assert list(tmp_path.iterdir()) == []
    assert "labels would go to" in label(*NAMES, "--dry-run").out


def test_labels_lie_beside_the_store(lab, vlmsel):
    words = ["label", lab.images, "--store", lab.store, *NAMES, "--dry-run", "--json"]
    said = json.loads(vlmsel(*words).out)
    assert said["labels_file"] == str(lab.store.parent / "labels" / "images.csv")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "labels need the names of the classes: give --classnames a,b,c"),
        ([*NAMES, "--order", "codo"], "there is no picking order 'codo'"),
        ([*NAMES, "--out", "."], "that is a folder; give --out FILE"),
    ],
)
def test_impossible_options_are_one_line(label, args, said):
    found = label(*args)
    assert found.code == 2
    assert said in found.error


def test_a_folder_without_pictures_is_one_line(label, tmp_path):
    (tmp_path / "empty").mkdir()
    found = label(*NAMES, images=tmp_path / "empty")
    assert found.code == 2
    assert "empty" in found.error


def test_a_port_in_use_is_one_line(label, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = label(*NAMES, "--port", port)
    assert found.code == 2
    assert f"port {port} cannot be used" in found.error
    assert "give another --port" in found.error
    assert not (tmp_path / "labels.csv").exists()


def test_the_command_of_the_answer_can_be_typed(lab):
    zoo = known_zoo(str(lab.store), None, None)
    asked = AnswerOptions(
        classnames=("a b", "c"), templates=("the {}.",), tolerance=0.01, dry_run=True
    )
    answer = answer_images(lab.images, zoo, asked)
    said = "--store s --classnames 'a b,c' --template 'the {}.' --tolerance 1"
    assert write_select_command(answer, "s") == f"vlmsel select {lab.images} {said}"
    commas = replace(answer, options=replace(asked, classnames=("a, b", "c")))
    assert "--classnames CLASSES.txt" in write_select_command(commas, "s")

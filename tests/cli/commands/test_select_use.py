"""``vlmsel select --use probe|fine-tune``: labels and the sources' probes, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlmsel.errors import TrackingError


@pytest.fixture(scope="module")
def own_embedded(embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with embeddings of the sources, to which those of the pictures are added."""
    return Path(shutil.copytree(embedded, tmp_path_factory.mktemp("embedded") / "store"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("VLMSEL_CACHE", str(tmp_path_factory.getbasetemp() / "select-cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight pictures of two classes, and a file that labels them."""
    rng, place = np.random.default_rng(0), tmp_path_factory.mktemp("own") / "pictures"
    place.mkdir()
    rows = ["image,label"]
    for i in range(8):
        picture = rng.integers(100, 255, size=(32, 32, 3), dtype=np.uint8)
        picture[slice(0, 16) if i % 2 else slice(16, 32)] //= 4
        Image.fromarray(picture).save(place / f"{i}.png")
        rows.append(f"{i}.png,{'above' if i % 2 else 'below'}")
    (place.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    return place


def test_a_zoo_is_ranked_for_a_probe_with_weights_of_the_sources(
    own_embedded, few, folder, vlmsel, own_uri, monkeypatch
):
    args = (folder, "--labels", folder.parent / "labels.csv", "--store", own_embedded, *few)
    answer = vlmsel("select", *args, "--use", "probe", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["use"] == "probe"
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert next(iter(found["weights"])) == "average-rank"
    assert found["n_models"] == 3
    scores = [row["score"] for row in found["ranking"]]
    assert scores == sorted(scores)
    assert all(row["low"] <= row["high"] for row in found["ranking"])

    def fail(*args: object, **more: object) -> str:
        raise TrackingError("the server has gone")

    monkeypatch.setattr("vlmsel.tracking.log_run_summary", fail)
    unlogged = vlmsel("select", *args, "--use", "probe", "--json", "--tracking-uri", own_uri)
    assert unlogged.code == 1
    assert json.loads(unlogged.out)["ranking"] == found["ranking"]
    assert "not logged in MLflow: the server has gone" in unlogged.err
    again = vlmsel("select", *args, "--use", "fine-tune")
    assert again.code == 0, again.err
    assert "nothing to do" in again.err
    assert "for fine-tune: " in again.out
    assert "no accuracy after fine-tuning is known" in again.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "needs labels"),
        (("--labels", "LABELS", "--classnames", "a,b"), "--classnames belongs to --use zero-shot"),
        (("--labels", "LABELS", "--labels-are-random"), "--labels-are-random belongs to"),
        (("--labels", "LABELS", "--questions", "q.jsonl"), "--questions belongs to"),
        (("--labels", "LABELS", "--answers", "words"), "--answers belongs to --use zero-shot"),
        (("--labels", "LABELS", "--tolerance", "5"), "--tolerance belongs to --use zero-shot"),
        (("--labels", "LABELS", "--set", "n_steps=3"), "--set says how profiles are measured"),
        (("--labels", "LABELS", "--selector", "dcd"), "--selector belongs to --use zero-shot"),
        (("--labels", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_answered_is_refused(embedded, folder, vlmsel, options, words):
    labels = str(folder.parent / "labels.csv")
    given = [labels if option == "LABELS" else option for option in options]
    answer = vlmsel("select", folder, "--use", "probe", "--store", embedded, *given)
    assert answer.code == 2
    assert words in answer.error

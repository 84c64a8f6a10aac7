import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest
import torch

from vlmsel.api import exactness
from vlmsel.attribution.exactness import Case, Record, SettingsGrid
from vlmsel.cli.commands import exactness as command
from vlmsel.errors import TrackingError
from vlmsel.settings import AttributionSettings

GRID = SettingsGrid(
    (AttributionSettings(), AttributionSettings(rule="left", path="uniform", n_steps=2)),
    ("blur",),
    (("attribution", "gradient"),),
    reference_steps=17,
)


@pytest.fixture(scope="module")
def case() -> Case:
    """One demo model with one picture."""
    return replace(found := next(iter(exactness.demo_cases())), images=found.images[:1])


@pytest.fixture(scope="module")
def records(case: Case) -> list[Record]:
    """What the study measures of it, in few settings."""
    return list(exactness.measure([case], GRID))


@pytest.fixture
def quick(case: Case, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    """The study of this one model, which is measured once for all tests."""

    def give_records(cases: Sequence[Case], grid: SettingsGrid) -> Iterator[Record]:
        assert (list(cases), grid) == ([case], GRID)
        return iter(records)

    monkeypatch.setattr(exactness, "study_cases", lambda _: [case])
    monkeypatch.setattr(exactness, "measure", give_records)
    monkeypatch.setattr(command, "run_exactness", partial(command.run_exactness, grid=GRID))


def test_the_study_writes_table_figure_and_run(lab, vlmsel, quick, tmp_path):
    out = tmp_path / "out"
    args = ("--out", out, "--store", tmp_path / "store", "--tracking-uri", lab.uri)
    answer = vlmsel("study", "exactness", *args, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    rows = {row["setting"]: row for row in said["rows"]}
    assert rows["refined/adaptive/9"]["mean"] < rows["left/uniform/2"]["mean"]
    assert len((out / "exactness.csv").read_text().splitlines()) == len(said["rows"]) + 1
    assert "the default" in (out / "exactness.svg").read_text()
    assert said["mlflow"]["run"]
    n = len(said["rows"])
    assert f"{n}/{n} demo-vit-digits: bf16" in answer.err
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("blank_figures")
def test_the_table_on_the_screen_is_in_percent(lab, vlmsel, quick, tmp_path):
    answer = vlmsel("study", "exactness", "--out", tmp_path, "--tracking-uri", lab.uri)
    assert answer.code == 0, answer.err
    assert "demo zoo: L1 error of the normalised profile, %" in answer.out
    assert "the demo zoo alone" in answer.err
    assert f"table {tmp_path / 'exactness.csv'}, figure" in answer.err


@pytest.mark.usefixtures("blank_figures")
def test_a_study_that_cannot_be_logged_is_written_and_shown(
    lab, vlmsel, quick, tmp_path, monkeypatch
):
    def fail(*args: object, **more: object) -> str:
        raise TrackingError("the server has gone")

    monkeypatch.setattr("vlmsel.tracking.log_run_summary", fail)
    args = ("--out", tmp_path, "--tracking-uri", lab.uri, "--json")
    answer = vlmsel("study", "exactness", *args)
    assert answer.code == 1
    found = json.loads(answer.out)
    assert found["rows"]
    assert found["mlflow"] is None
    assert (tmp_path / "exactness.csv").is_file()
    assert "not logged in MLflow: the server has gone" in answer.err


@pytest.mark.parametrize(
    "option", [("--zoo", "demo"), ("--selector", "dcd"), ("--seed", "3"), ("--imported",)]
)
def test_options_without_effect_are_refused(lab, vlmsel, option):
    answer = vlmsel("study", "exactness", *option, "--tracking-uri", lab.uri)
    assert answer.code == 2
    assert f"{option[0]} has no effect on study exactness" in answer.err


def test_weights_belong_to_this_study(lab, vlmsel, tmp_path):
    args = ("--weights", tmp_path / "x.pth", "--tracking-uri", lab.uri)
    answer = vlmsel("study", "images", "--store", lab.store, *args)
    assert answer.code == 2
    assert "--weights belongs to study exactness, not to images" in answer.err


def test_weights_that_are_none(lab, vlmsel, tmp_path):
    answer = vlmsel(
        "study", "exactness", "--weights", tmp_path / "no.pth", "--tracking-uri", lab.uri
    )
    assert answer.code == 2
    assert "no.pth" in answer.err
    torch.save([1], tmp_path / "list.pth")
    answer = vlmsel(
        "study", "exactness", "--weights", tmp_path / "list.pth", "--tracking-uri", lab.uri
    )
    assert answer.code == 2
    assert "list.pth" in answer.err


def test_it_stands_in_the_list(vlmsel):
    rows = json.loads(vlmsel("study", "--json").out)
    assert "exactness" in {row["study"] for row in rows}

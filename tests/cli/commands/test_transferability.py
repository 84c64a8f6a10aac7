"""``vlmsel study transferability``: table, figure, page; and what it refuses."""

import json

import pytest

TABLE = "pool,setting,dataset,model,accuracy\n" + "".join(
    f"cnn (3),fine-tune,set-{t},{model},{50 + 10 * i + t}\n"
    for t in range(4)
    for i, model in enumerate(("resnet34", "resnet50", "resnet101"))
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "tables" / "fine.csv"
    path.parent.mkdir()
    path.write_text(TABLE)
    return path


def test_the_study_writes_table_figure_page_and_run(lab, vlmsel, table, tmp_path):
    out = tmp_path / "out"
    args = ("--tables", table.parent, "--out", out, "--tracking-uri", lab.uri)
    answer = vlmsel("study", "transferability", *args, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    taus = {row["selector"]: row for row in said["rows"] if row["metric"] == "weighted_tau"}
    assert taus["average-rank"]["mean"] == taus["size"]["mean"] == 1
    assert said["mlflow"]["run"]
    assert len((out / "transferability.csv").read_text().splitlines()) == len(said["rows"]) + 1
    page = (out / "transferability.md").read_text()
    assert said["page"] == str(out / "transferability.md")
    assert "## cnn: 3 models, 4 data sets" in page
    assert page.splitlines()[2].startswith("Made by `vlmsel")
    assert "weighted tau" in (out / "transferability.svg").read_text()


def test_without_json_pools_are_shown(lab, vlmsel, table, tmp_path):
    args = ("--tables", table, "--out", tmp_path / "out", "--tracking-uri", lab.uri)
    answer = vlmsel("study", "transferability", *args)
    assert answer.code == 0, answer.err
    assert "cnn: weighted tau" in answer.out
    assert "average-rank" in answer.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("transferability",), "name files or a folder with --tables"),
        (("transferability", "--tables", "no.csv"), "table no.csv is not there"),
        (("transferability", "--tables", "x", "--imported"), "--imported has no effect on study"),
        (("zoos", "--tables", "x"), "--tables belongs to study transferability, not to zoos"),
    ],
)
def test_what_makes_no_sense_is_refused(vlmsel, tmp_path, args, says):
    uri = f"sqlite:///{tmp_path}/unused.db"
    answer = vlmsel("study", *args, "--out", tmp_path / "out", "--tracking-uri", uri)
    assert answer.code == 2
    assert says in answer.err
    assert not answer.out

"""``vlmsel evaluate --use probe`` and ``vlmsel import probes``: what is shown, kept and refused."""

import json

import pytest

PROBES = "model,pretrained,dataset,fewshot_k,lp_acc1\n" + "".join(
    f"ViT-B-{m},openai,set-{t},{k},{0.3 + 0.1 * m + 0.01 * t + (0.05 if k < 0 else 0)}\n"
    for m in range(3)
    for t in range(4)
    for k in (10, -1)
)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "probe-cache"
    monkeypatch.setenv("VLMSEL_CACHE", str(folder))
    return folder


def test_scores_are_judged_and_kept(lab, embedded, few, vlmsel, tmp_path):
    args = ("evaluate", "--use", "probe", "--shots", "1,2", "--draws", "1", *few)
    args = (*args, "--store", embedded)
    page = tmp_path / "page.md"
    answer = vlmsel(*args, "--tracking-uri", lab.uri, "--json", "--markdown", page)
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    names = {row["selector"] for row in found["summary"]}
    assert {"average-rank", "zero-shot", "size", "logme@2", "mixture@1", "posterior@2"} <= names
    assert "hscore@2" not in names
    assert any("noise included" in row["reason"] for row in found["left_out"])
    whole = [row for row in found["probes"] if row["shots"] is None]
    assert len(whole) == 3 * 3
    assert len(found["mlflow"]["runs"]) == len(names)
    assert "--use probe --shots 1,2 --draws 1" in page.read_text()
    again = vlmsel(*args, "--tracking-uri", lab.uri)
    assert "probes: 0 computed, 27 were in the cache" in again.err
    assert "tau for probe" in again.out
    assert "the mixture is" in again.out


def test_without_embeddings_it_says_how_to_get_some(lab, vlmsel):
    answer = vlmsel("evaluate", "--use", "probe", "--store", lab.store)
    assert answer.code == 2
    assert "vlmsel measure embedding" in answer.error


@pytest.mark.parametrize("shots", ["0", "x", "", "1,,2", "-1", "1.5"])
def test_shots_that_are_none(lab, vlmsel, shots):
    answer = vlmsel("evaluate", "--use", "probe", f"--shots={shots}", "--store", lab.store)
    assert answer.code == 2
    assert "write numbers above 0" in answer.error


@pytest.mark.parametrize("option", [("--labels", "10"), ("--selector", "dcd")])
def test_options_of_the_other_evaluation_are_refused(lab, vlmsel, option):
    answer = vlmsel("evaluate", "--use", "probe", *option, "--store", lab.store)
    assert answer.code == 2
    assert f"{option[0]} has no meaning" in answer.error


def test_published_probes_are_imported_and_judged(lab, vlmsel, tmp_path):
    (tmp_path / "probes.csv").write_text(PROBES)
    store = tmp_path / "store"
    answer = vlmsel("import", "probes", tmp_path / "probes.csv", "--store", store)
    assert answer.code == 0, answer.err
    assert "24 probe accuracies of 3 models on 4 tasks" in answer.err
    args = ("evaluate", "--imported", "--use", "probe", "--store", store)
    answer = vlmsel(*args, "--tracking-uri", lab.uri, "--json")
    assert answer.code == 0, answer.err
    taus = {
        row["selector"]: row["mean"]
        for row in json.loads(answer.out)["summary"]
        if row["metric"] == "tau"
    }
    assert taus["few-shot-probe@10"] == taus["average-rank"] == 1.0
    wrong = vlmsel(*args, "--shots", "5")
    assert wrong.code == 2
    assert "of 10 shots" in wrong.error


def test_a_table_of_another_kind_is_refused(vlmsel, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    answer = vlmsel("import", "probes", tmp_path / "x.csv", "--store", tmp_path / "store")
    assert answer.code == 2
    assert "x.csv" in answer.error

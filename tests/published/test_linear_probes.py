from pathlib import Path

import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published.linear_probes import read_linear_probes
from vlmsel.published.stored_tables import read_probes, write_probes
from vlmsel.store.filesystem import open_folder

REAL = DATA / "transferability" / "clip_linear_probe_best.csv"
HEAD = "model,pretrained,dataset,fewshot_k,lp_acc1\n"


def write(folder: Path, *rows: str) -> Path:
    path = folder / "probes.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


def test_shots_are_numbers_and_all_images_are_null(tmp_path):
    path = write(tmp_path, "RN50,openai,vtab/dtd,10,0.5", "RN50,openai,vtab/dtd,-1,0.7")
    frame = read_linear_probes(path).frame
    assert frame.select("task", "shots", "acc1").rows() == [("dtd", None, 0.7), ("dtd", 10, 0.5)]


def test_a_data_set_under_two_names_counts_once(tmp_path):
    path = write(tmp_path, "RN50,openai,cifar100,-1,0.5", "RN50,openai,vtab/cifar100,-1,0.6")
    found = read_linear_probes(path)
    assert found.frame["acc1"].to_list() == [0.5]
    assert "without vtab/" in found.left_out.item(0, "reason")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("RN50,openai,dtd,0,0.5", "fewshot_k is 0"),
        ("RN50,openai,dtd,1.5,0.5", "fewshot_k is 1.5"),
        ("RN50,openai,dtd,,0.5", "fewshot_k"),
        ("RN50,openai,dtd,many,0.5", "fewshot_k"),
        ("RN50,openai,dtd,10,good", "lp_acc1|acc1"),
        ("RN50,openai,dtd,10,50", "percent"),
    ],
)
def test_impossible_cells_are_refused_in_one_line(tmp_path, row, words):
    with pytest.raises(StoreError, match=words):
        read_linear_probes(write(tmp_path, row))


def test_a_table_that_contradicts_itself_is_refused(tmp_path):
    path = write(tmp_path, "RN50,openai,dtd,10,0.5", "RN50,openai,dtd,10,0.6")
    with pytest.raises(StoreError, match="contradicts itself"):
        read_linear_probes(path)


def test_another_layout_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("model,acc\nRN50,1\n")
    with pytest.raises(StoreError, match="expected"):
        read_linear_probes(tmp_path / "x.csv")


def test_the_store_gives_back_what_it_keeps(tmp_path):
    path = write(tmp_path, "RN50,openai,dtd,10,0.5", "RN50,openai,dtd,-1,0.7")
    folder = open_folder(tmp_path / "store")
    frame = read_linear_probes(path).frame
    write_probes(folder, frame, "mine")
    assert read_probes(folder).drop("source").equals(frame)


@pytest.mark.skipif(not REAL.exists(), reason="published tables are not here")
def test_the_published_table_has_12_models_on_20_tasks():
    frame = read_linear_probes(REAL).frame
    assert frame.select("model", "pretrained").n_unique() == 12
    assert frame["task"].n_unique() == 20
    assert sorted(frame["shots"].drop_nulls().unique()) == [10, 25]
    assert {"imagenet1k", "svhn", "cifar100"} <= set(frame["task"])

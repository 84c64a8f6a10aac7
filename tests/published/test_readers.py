"""Published tables: the layouts of the three sources, and every way in which a table can be bad."""

from pathlib import Path

import polars as pl
import pytest

from tests.shared_data import DATA
from vlmsel.errors import StoreError
from vlmsel.published import (
    read_lovm_table,
    read_openclip_results,
    read_published_profiles,
    stored_tables,
)
from vlmsel.published.names import with_own_names
from vlmsel.published.twin_profiles import duplicate_groups
from vlmsel.store import Store

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the published tables are not in {DATA} (VLMSEL_SHARED_DATA)"
)

OPENCLIP = """name,pretrained,params (M),FLOPs (B),Average perf. on 3 datasets,Stanford Cars,\
Oxford-IIIT Pet,MSCOCO,Moon rocks
ViT-B-32,laion2b_e16,151.28,14.78,0.5,0.84,0.90,0.4,0.1
ViT-B-32,openai,151.28,14.78,0.5,0.60,0.87,0.3,0.2
"""
LOVM = """,task,dataset,model_fullname,model,pretrained,mean_per_class_recall,acc1,acc5
0,zeroshot_classification,cars,ViT-B-32 openai,ViT-B-32,openai,0.61,0.60,0.95
1,zeroshot_classification,pets,ViT-B-32 openai,ViT-B-32,openai,0.87,0.88,
2,zeroshot_retrieval,flickr30k,ViT-B-32 openai,ViT-B-32,openai,,0.5,
"""
PROFILES = """model,pretrained,task,block,block_name,conductance
RN50,openai,car,0,layer1,0.1
RN50,openai,car,1,layer2,0.2
RN50,openai,dr,0,layer1,0.3
RN50,openai,dr,1,layer2,0.4
"""
UNKNOWN = "unknown name: give it a line in a file for --names (docs/internals/store.md)"


@pytest.fixture
def table(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text)
        return path

    return write


def left_out(imported) -> list[tuple[str, str, int, str]]:
    return imported.left_out.select("what", "name", "count", "reason").rows()


def test_openclip_layout(table) -> None:
    result = read_openclip_results(table(OPENCLIP))
    assert result.frame.select("pretrained", "task", "acc1", "mean_per_class_recall").rows() == [
        ("laion2b_e16", "cars", 0.84, None),
        ("laion2b_e16", "pets", 0.90, 0.90),
        ("openai", "cars", 0.60, None),
        ("openai", "pets", 0.87, 0.87),
    ]
    assert left_out(result) == [
        ("task", "Moon rocks", 2, UNKNOWN),
        ("task", "MSCOCO", 2, "a retrieval task, no classification accuracy"),
    ]


def test_lovm_layout(table) -> None:
    result = read_lovm_table(table(LOVM))
    assert result.frame.rows() == [
        ("ViT-B-32", "openai", "cars", 0.60, 0.95, 0.61, None),
        ("ViT-B-32", "openai", "pets", 0.88, None, 0.87, None),
    ]
    assert left_out(result) == [("row", "zeroshot_retrieval", 1, "not zeroshot_classification")]


def test_lovm_with_full_names_only(table) -> None:
    text = "dataset,model_fullname,acc1\ncars,ViT-B-32 openai,0.6\ncars,BLIP,0.7\n"
    result = read_lovm_table(table(text))
    assert result.frame.select("model", "pretrained", "acc1").rows() == [
        ("ViT-B-32", "openai", 0.6)
    ]
    assert result.left_out.height == 1
    assert "pretrained" in result.left_out["reason"][0]


def test_profile_layout(table) -> None:
    result = read_published_profiles(table(PROFILES))
    assert result.frame.select("task", "block", "conductance").rows() == [
        ("cars", 0, 0.1),
        ("cars", 1, 0.2),
        ("diabetic_retinopathy", 0, 0.3),
        ("diabetic_retinopathy", 1, 0.4),
    ]
    assert result.left_out.is_empty()


def test_quickgelu_names(table) -> None:
    assert set(read_lovm_table(table(LOVM), quickgelu=True).frame["model"]) == {
        "ViT-B-32-quickgelu"
    }
    text = OPENCLIP + "ViT-B-32-quickgelu,openai,151.28,14.78,0.5,0.61,0.88,0.3,0.2\n"
    result = read_openclip_results(table(text), quickgelu=True)
    right = result.frame.filter(pl.col("pretrained") == "openai")
    assert right.select("model", "acc1").rows() == [
        ("ViT-B-32-quickgelu", 0.61),
        ("ViT-B-32-quickgelu", 0.88),
    ]
    reason = "the table has it under its right name too"
    assert ("model", "ViT-B-32/openai", 2, reason) in left_out(result)


def test_missing_cells_are_left_out_and_counted(table) -> None:
    result = read_openclip_results(table(OPENCLIP.replace("0.84", "").replace("0.87", "NaN")))
    assert result.frame.height == 2
    assert ("value", "cars", 1, "missing accuracy") in left_out(result)
    assert ("value", "pets", 1, "missing accuracy") in left_out(result)


def test_a_profile_with_a_gap_is_left_out_whole(table) -> None:
    result = read_published_profiles(table(PROFILES.replace("0.2", "n/a")))
    assert set(result.frame["task"]) == {"diabetic_retinopathy"}
    reason = "missing value, so the whole profile is left out"
    assert left_out(result) == [("value", "RN50/openai/cars", 1, reason)]


def test_a_profile_with_other_blocks_is_left_out(table) -> None:
    more = "".join(f"RN50,openai,mnist,{block},x,0.1\n" for block in (0, 1, 2))
    more += "".join(f"RN50,openai,svhn,{block},x,0.1\n" for block in (0, 1))
    result = read_published_profiles(table(PROFILES + more))
    assert set(result.frame["task"]) == {"cars", "diabetic_retinopathy", "svhn"}
    reason = "other blocks than the model's other profiles"
    assert left_out(result) == [("profile", "RN50/openai/mnist", 1, reason)]


def test_identical_rows_count_once(table) -> None:
    line = LOVM.splitlines()[1].replace("0,zero", "9,zero") + "\n"
    result = read_lovm_table(table(LOVM + line))
    assert result.frame.height == 2
    assert ("row", "duplicates", 1, "identical rows, kept once") in left_out(result)


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (read_lovm_table, LOVM + LOVM.splitlines()[1].replace("0.60", "0.7") + "\n"),
        (read_openclip_results, OPENCLIP + "ViT-B-32,openai,1,1,1,0.61,0.87,0.3,0.2\n"),
        (read_published_profiles, PROFILES + "RN50,openai,car,1,layer2,0.3\n"),
    ],
)
def test_contradicting_rows_are_named(table, reader, text: str) -> None:
    with pytest.raises(StoreError, match=r"contradicts itself for 1 .*/openai/cars"):
        reader(table(text))


def test_percent_must_be_said(table) -> None:
    percent = OPENCLIP.replace(",0.84,0.90", ",84.0,90.0").replace(",0.60,0.87", ",60.0,87.0")
    with pytest.raises(StoreError, match=r"above 1: .*percent=True \(--percent\)"):
        read_openclip_results(table(percent))
    result = read_openclip_results(table(percent), percent=True)
    assert result.frame["acc1"].to_list() == pytest.approx([0.84, 0.90, 0.60, 0.87])
    with pytest.raises(StoreError, match="these are fractions"):
        read_openclip_results(table(OPENCLIP), percent=True)
    with pytest.raises(StoreError, match="above 100"):
        read_openclip_results(table(percent.replace("84.0", "840")), percent=True)


@pytest.mark.parametrize("cell", ["abc", "inf", "1e999", "0.8.4"])
def test_a_cell_that_is_no_number_is_named(table, cell: str) -> None:
    with pytest.raises(StoreError, match=r"is no number .*ViT-B-32"):
        read_openclip_results(table(OPENCLIP.replace("0.84", cell)))
    with pytest.raises(StoreError, match="is no number"):
        read_lovm_table(table(LOVM.replace("0.60", cell)))
    with pytest.raises(StoreError, match="is no number"):
        read_published_profiles(table(PROFILES.replace("0.2", cell)))


def test_negative_values_are_refused(table) -> None:
    with pytest.raises(StoreError, match="negative"):
        read_lovm_table(table(LOVM.replace("0.60", "-0.60")))
    with pytest.raises(StoreError, match=r">= 0"):
        read_published_profiles(table(PROFILES.replace("0.2", "-0.2")))


@pytest.mark.parametrize(
    "reader", [read_openclip_results, read_lovm_table, read_published_profiles]
)
def test_files_that_are_no_table(tmp_path: Path, table, reader) -> None:
    with pytest.raises(StoreError, match="is not there"):
        reader(tmp_path / "none.csv")
    with pytest.raises(StoreError, match="is empty"):
        reader(table(""))
    with pytest.raises(StoreError, match=r"another layout: expected columns .*, found a, b"):
        reader(table("a,b\n1,2\n"))
    with pytest.raises(StoreError, match="cannot be read"):
        reader(tmp_path)
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(StoreError, match=r"table .*binary\.csv"):
        reader(tmp_path / "binary.csv")


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (read_openclip_results, OPENCLIP),
        (read_lovm_table, LOVM),
        (read_published_profiles, PROFILES),
    ],
)
def test_a_header_alone_is_no_table(table, reader, text: str) -> None:
    with pytest.raises(StoreError, match="no rows"):
        reader(table(text.splitlines()[0] + "\n"))


def test_one_model_and_one_task_are_readable(table) -> None:
    table_read = read_lovm_table(table("\n".join(LOVM.splitlines()[:2]) + "\n"))
    assert table_read.frame.height == 1


def test_unknown_tasks_are_listed_not_dropped(table) -> None:
    result = read_published_profiles(table(PROFILES.replace("dr", "moonrocks")))
    assert set(result.frame["task"]) == {"cars"}
    assert left_out(result) == [("task", "moonrocks", 2, UNKNOWN)]


@needs_data
def test_published_tables_join() -> None:
    accuracies = read_openclip_results(DATA / "openclip_results.csv")
    profiles = read_published_profiles(DATA / "published_profiles.csv")
    lovm = read_lovm_table(DATA / "lovm_eval_table.csv")
    assert profiles.left_out.is_empty()
    assert lovm.left_out.is_empty()
    # Eighteen tasks of the profiles have accuracies in open_clip's table, all in LOVM's.
    profiled = profiles.frame.select("model", "pretrained", "task").unique()
    joined = accuracies.frame.join(profiled, on=["model", "pretrained", "task"])
    assert joined["task"].n_unique() == 18
    assert joined.select("model", "pretrained").unique().height == 26
    assert set(profiles.frame["task"]) <= set(lovm.frame["task"])
    raw = pl.read_csv(DATA / "lovm_eval_table.csv")
    assert lovm.frame["acc1"].sum() == pytest.approx(raw["acc1"].sum())


@needs_data
def test_published_duplicates_are_the_known_ones() -> None:
    profiles = read_published_profiles(DATA / "published_profiles.csv").frame
    assert duplicate_groups(profiles) == [
        (("RN101", tag), ("RN101-quickgelu", tag)) for tag in ("openai", "yfcc15m")
    ]


@needs_data
def test_imports_go_through_the_store(tmp_path: Path) -> None:
    profiles = read_published_profiles(DATA / "published_profiles.csv").frame
    stored_tables.write_profiles(Store(tmp_path).folder, profiles, "published")
    kept = stored_tables.read_profiles(Store(tmp_path).folder)
    assert kept.select(profiles.columns).equals(profiles)
    accuracies = read_lovm_table(DATA / "lovm_eval_table.csv").frame
    stored_tables.write_accuracies(Store(tmp_path).folder, accuracies, "lovm")
    kept = stored_tables.read_accuracies(Store(tmp_path).folder)
    assert kept.select(accuracies.columns).equals(accuracies)


def test_a_profile_of_zeros_is_left_out_and_absurd_values_are_refused(table) -> None:
    zeros = PROFILES.replace("0.1", "0").replace("0.2", "0.0")
    found = read_published_profiles(table(zeros))
    assert found.frame["conductance"].to_list() == [0.3, 0.4]
    assert found.left_out["reason"].to_list() == ["all zero, so there is nothing to compare"]
    with pytest.raises(StoreError, match="conductance of 0 to 1e"):
        read_published_profiles(table(PROFILES.replace("0.2", "1e300")))


def test_own_task_names_go_on_top_of_the_shipped_ones(table, tmp_path: Path) -> None:
    names = tmp_path / "names.yaml"
    names.write_text("tasks: {birds: {also: [My Birds]}}")
    text = PROFILES.replace(",dr,", ",my birds,")
    assert set(read_published_profiles(table(text)).frame["task"]) != {"birds", "cars"}
    found = read_published_profiles(table(text), names=with_own_names(names))
    assert "birds" in set(found.frame["task"])
    assert found.left_out.is_empty()


def test_what_may_be_fractions_among_percentages_is_doubted(table) -> None:
    header = "name,pretrained,cars,pets,sun397\n"

    def doubts(rows: str) -> tuple[str, ...]:
        found = read_openclip_results(table(header + rows), percent=True)
        assert found.frame.height == 3 * rows.count("\n"), "doubtful values are kept"
        return found.doubts

    assert doubts("a,x,84,90,50\nb,x,60,80,40\nc,x,70,70,30\n") == ()
    assert doubts("a,x,84,0.9,50\nb,x,60,0.8,40\nc,x,70,0.7,30\n") == (
        "all 3 values of pets are at most 1 %: right, or fractions?",
    )
    (doubt,) = doubts("a,x,84,90,50\nb,x,0.6,0.87,0.4\nc,x,70,70,30\n")
    assert "all 3 values of b/x" in doubt
    (cell,) = doubts("a,x,84,90,50\nb,x,60,0.8,40\nc,x,70,70,30\n")
    assert cell.startswith("acc1 = 0.8 (b/x on pets) is at most 1 %")


def test_a_column_on_another_scale_is_refused(table) -> None:
    header = "dataset,model,pretrained,acc1,acc5,mean_per_class_recall\n"
    rows = "".join(f"{task},a,x,60,0.9,0.5\n" for task in ("cars", "pets", "sun397"))
    with pytest.raises(StoreError, match="no value in column acc5, mean_per_class_recall is above"):
        read_lovm_table(table(header + rows), percent=True)


def test_columns_that_come_twice_are_named(table) -> None:
    for start in ("", "\n", "\r\n\n"):
        with pytest.raises(StoreError, match=r"several columns cars; keep one"):
            read_openclip_results(table(start + "name,pretrained,cars,cars\na,x,0.1,0.2\n"))


def test_columns_without_a_name_are_no_tasks(table) -> None:
    found = read_openclip_results(table(",name,pretrained,cars,,\n0,a,x,0.1,,\n"))
    assert found.frame["task"].to_list() == ["cars"]
    assert [row[:2] for row in left_out(found)] == [("column", "(without a name)")] * 3


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"name;pretrained;cars\na;x;0.1\n", "separated by semicolons; save it again"),
        (b"name\tpretrained\tcars\na\tx\t0.1\n", "separated by tabs"),
        (b"\x1f\x8b\x08\x00", "is compressed; unpack it"),
        ("name,pretrained,cars\na,x,0.1\n".encode("utf-16-le"), "not UTF-8 text"),
        (b'"name,pretrained,cars\n' + b"a,x,0.1\n" * 20_000, "table .*table.csv"),
        (b"name,pretrained,cars\na,x,0.1,0.2\n", "more fields than the header names"),
        (b"\n \n", "is empty"),
        (b"name,pretrained,cars\ra,x,0.1\r", "as old Macs did"),
    ],
    ids=["semicolons", "tabs", "gzip", "utf-16", "open quote", "ragged", "blank", "CR"],
)
def test_other_files_say_what_they_are(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=complaint):
        read_openclip_results(path)


def test_a_block_number_beyond_reason_is_refused(table) -> None:
    with pytest.raises(StoreError, match="whole block number"):
        read_published_profiles(table(PROFILES.replace("openai,car,1", "openai,car,3000000000")))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("name,pretrained,Größe,cars\na,x,0.1,0.2\n".encode(encoding))
    with pytest.raises(StoreError, match="not UTF-8 text; save it again"):
        read_openclip_results(path)

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.documents import MAX_YAML_BYTES, parse_json, parse_yaml, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_plain_documents_are_read_as_yaml_reads_them(value) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert parse_yaml(text) == yaml.safe_load(text)


def bomb(kind: str) -> str:
    lines = ["a0: &a0 [x, x]" if kind == "list" else "a0: &a0 {k: x}"]
    for n in range(1, 40):
        inner = ", ".join([f"*a{n - 1}"] * 9)
        value = f"[{inner}]" if kind == "list" else f"{{<<: [{inner}], k{n}: y}}"
        lines.append(f"a{n}: &a{n} {value}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb("list"), "unfold to more than"),
        (bomb("merge"), "unfold to more than"),
        ("a: &a [*a]", "unfold to more than"),
        ("[" * 4000, "nested too deeply"),
        ("a: " + "{b: " * 3000, "nested too deeply"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' comes twice; keep one"),
        ("tasks:\n- {name: x, images: a, images: b}", "line 2: the key 'images' comes twice"),
        ("a: " + "1" * 5000, "line 1: "),
        ("a: !!timestamp 2001-99-99", "line 1: "),
        ("a: !!int x", "line 1: "),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: [1, 2", "line 1: "),
        ("x" * (MAX_YAML_BYTES + 1), "more than 8 MB"),
    ],
)
def test_what_cannot_be_read_is_a_short_value_error_at_once(text: str, reason: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=reason) as caught:
        parse_yaml(text)
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 300


def test_aliases_and_merges_of_people_are_read() -> None:
    text = "base: &b {n: 1, m: 2}\nother: {<<: *b, n: 3}\nagain: *b"
    assert parse_yaml(text) == {"base": {"n": 1, "m": 2}, "other": {"n": 3, "m": 2}} | {
        "again": {"n": 1, "m": 2}
    }


def test_dates_stay_as_they_were_written() -> None:
    assert parse_yaml("classnames: [2001-01-02, 2001-99-99, 1 2 3]") == {
        "classnames": ["2001-01-02", "2001-99-99", "1 2 3"]
    }


def test_json_nested_too_deeply_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too deeply"):
        parse_json("[" * 100_000)
    path = tmp_path / "x.json"
    path.write_text("{" * 3 + '"a":')
    with pytest.raises(ValueError, match="Expecting"):
        read_json(path)

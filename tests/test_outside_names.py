import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.outside_names import MAX_ENCODED, encoded_length, readable, shown, stored

NAMES = st.text(st.characters(codec=None), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain name.png", "plain name.png"),
        ("写真 ünï :fire: [bold]", "写真 ünï :fire: [bold]"),
        ("a\u200db", "a\u200db"),
        ("new\nline\r\t", r"new\nline\r\t"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202egnp.exe", r"abc\u202egnp.exe"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_cannot_be_seen_is_escaped(name: str, expected: str) -> None:
    assert shown(name) == expected


@given(NAMES)
def test_what_is_shown_is_one_line_that_any_utf8_stream_takes(name: str) -> None:
    text = shown(name)
    text.encode()
    assert len(text.splitlines()) == 1
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
    assert shown(text) == text


@given(NAMES)
def test_only_bytes_that_are_no_text_are_escaped_in_ids(name: str) -> None:
    readable(name).encode()
    if not any("\ud800" <= c <= "\udfff" for c in name):
        assert readable(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trail ", r"trail\x20"),
        (" lead", r"\x20lead"),
        (" ", r"\x20"),
        ("nb\u00a0", r"nb\xa0"),
        ("e\u0301", "é"),
        ("a" * MAX_ENCODED, "a" * MAX_ENCODED),
    ],
)
def test_a_name_is_kept_without_blanks_at_its_ends(name: str, expected: str) -> None:
    assert stored(name) == expected


@given(st.one_of(NAMES, st.text(min_size=40, max_size=200)))
def test_a_kept_name_is_short_and_stays_what_it_is(name: str) -> None:
    kept = stored(name)
    assert 0 < encoded_length(kept) <= MAX_ENCODED
    assert kept == kept.strip()
    assert stored(kept) == kept


def test_long_names_stay_apart() -> None:
    first, second = stored("写" * 60 + "a"), stored("写" * 60 + "b")
    assert first != second
    assert first.startswith("写" * 10)
    assert first[-9] == "~"

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.store.notes import read_note, seal_note

records = st.dictionaries(
    st.text().filter(lambda key: key != "check"),
    st.text() | st.integers() | st.lists(st.lists(st.text())),
    min_size=1,
)


@given(records)
def test_what_is_sealed_is_read(record: dict[str, object]) -> None:
    assert read_note(seal_note(record)) == record


def test_a_flipped_bit_that_still_parses_is_found() -> None:
    note = seal_note({"kind": "error", "reason": "broken", "attempts": 3})
    n_found = 0
    for place in range(len(note)):
        for bit in range(8):
            damaged = bytearray(note)
            damaged[place] ^= 1 << bit
            try:
                json.loads(damaged)
            except ValueError:
                continue
            # A key `check` that is none any more leaves a record that never had one.
            if b'"check"' in damaged:
                with pytest.raises(ValueError, match="checksum"):
                    read_note(bytes(damaged))
            n_found += 1
    assert n_found > 100


@pytest.mark.parametrize("number", range(5))
def test_what_is_no_note_is_a_value_error(number: int) -> None:
    data = [b"", b"[]", b"null", b"[" * 100_000, b'{"a": 1, "check": "x"}'][number]
    with pytest.raises(ValueError, match=r"."):
        read_note(data)


def test_notes_of_versions_without_checksums_are_read() -> None:
    assert read_note(b'{"reason": "old"}') == {"reason": "old"}

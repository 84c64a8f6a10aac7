"""Sizes of the pages of a Parquet file, from the pages' own headers.

A footer may say less than its pages unfold to, and readers allocate what a page's header claims.
pyarrow shows the footer alone, so the few fields that count are read here (Thrift's compact
protocol: type, uncompressed and compressed size are fields 1 to 3 of a page header).
"""

from collections.abc import Iterator
from io import BufferedReader

import pyarrow.parquet as pq

# A header holds statistics, too: values that writers cut short.
MAX_HEADER_BYTES = 1 << 20
UNCOMPRESSED, COMPRESSED = 2, 3
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 12,
)  # fmt: skip
_INTEGERS = (4, 5, 6)
MAX_DEPTH = 8


def page_bytes(stream: BufferedReader, chunk: pq.ColumnChunkMetaData) -> Iterator[int]:
    """Bytes that each page of a column chunk unfolds to, as its own header says.

    Raises:
        ValueError: a header cannot be read.
    """
    offset = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        offset = min(offset, chunk.dictionary_page_offset)
    end = offset + chunk.total_compressed_size
    while offset < end:
        stream.seek(offset)
        fields, length = read_header(stream.read(MAX_HEADER_BYTES))
        folded, unfolded = fields.get(COMPRESSED, -1), fields.get(UNCOMPRESSED, -1)
        if folded < 0 or unfolded < 0:
            raise ValueError("a page without a size")
        yield unfolded
        offset += length + folded


def read_header(data: bytes) -> tuple[dict[int, int], int]:
    """The integers of a struct by the number of their field, and how many bytes it takes.

    Raises:
        ValueError: it is no such struct, or goes on beyond the data.
    """
    reader = _Compact(data)
    try:
        fields = reader.struct(0)
    except IndexError:
        raise ValueError("a page's header is cut off") from None
    return fields, reader.place


class _Compact:
    """Reader of Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def struct(self, depth: int) -> dict[int, int]:
        found: dict[int, int] = {}
        number = 0
        while (head := self._byte()) & 0x0F != _STOP:
            kind = head & 0x0F
            number = number + (head >> 4) if head >> 4 else self._integer()
            if kind in _INTEGERS:
                found[number] = self._integer()
            else:
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError("a page's header is nested too deeply")
        if kind in _INTEGERS:
            self._integer()
        elif kind in (_BYTE, _DOUBLE):
            self._advance(1 if kind == _BYTE else 8)
        elif kind == _BINARY:
            self._advance(self._varint())
        elif kind in (_LIST, _SET):
            self._skip_list(depth)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        elif kind not in (_TRUE, _FALSE):
            raise ValueError(f"a page's header has a field of kind {kind}")

    def _skip_list(self, depth: int) -> None:
        head = self._byte()
        length = head >> 4 if head >> 4 != 0x0F else self._varint()
        for _ in range(length):
            if head & 0x0F in (_TRUE, _FALSE):
                self._advance(1)
            else:
                self._skip(head & 0x0F, depth + 1)

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
            if shift > 63:
                raise ValueError("a page's header holds a number of too many bytes")

    def _byte(self) -> int:
        byte = self._data[self.place]
        self.place += 1
        return byte

    def _advance(self, n_bytes: int) -> None:
        self.place += n_bytes
        if self.place > len(self._data):
            raise IndexError

"""Small JSON notes beside the cells, which carry a checksum as the cells' files do.

A flipped bit that still parses would else be believed: a count, an image's name, a reason.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from vlmsel.documents import parse_json

CHECK = "check"


def seal_note(record: Mapping[str, Any]) -> bytes:
    """The note of a record, with its checksum."""
    return json.dumps({**record, CHECK: _checksum(record)}, sort_keys=True).encode()


def read_note(data: bytes) -> dict[str, Any]:
    """The record of a note; notes of versions without checksums are taken as they are.

    Raises:
        ValueError: it is no note, or damaged.
    """
    record = parse_json(data)
    if not isinstance(record, dict):
        raise ValueError("it is no mapping")
    check = record.pop(CHECK, None)
    if check is not None and check != _checksum(record):
        raise ValueError("it does not fit its checksum")
    return record


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

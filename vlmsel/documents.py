"""Read small JSON documents that come from somewhere else."""

import json
from pathlib import Path
from typing import Any

# Configurations are kilobytes; the largest vocabularies are tens of megabytes.
MAX_BYTES = 64 << 20


def parse_json(data: bytes | str) -> Any:
    """Parse a JSON document; whatever is wrong with it is a ValueError.

    Raises:
        ValueError: it is no JSON, no UTF-8, nested too deeply, or holds a number without end.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """Read and parse a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is too large, or see `parse_json`.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MB")
    return parse_json(data)

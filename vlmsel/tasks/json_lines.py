"""Read JSON lines: one object per line, whose `image` is base64 text or names a picture."""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from typing import Any

from vlmsel.documents import parse_json
from vlmsel.errors import TaskError
from vlmsel.tasks.decoder import MAX_IMAGE_BYTES
from vlmsel.tasks.found_image import FoundImage, unread_digest
from vlmsel.tasks.locations import display, open_source, reason
from vlmsel.tasks.outages import read_error

IMAGE_KEY = "image"
# Base64 takes four characters for three bytes; the rest of a line is text.
MAX_LINE_BYTES = MAX_IMAGE_BYTES // 3 * 4 + (1 << 20)
ADDRESS = "data:"


def read_objects(uri: str) -> Iterator[dict[str, Any]]:
    """The objects of a file, empty lines left out.

    Raises:
        TaskError: it cannot be read, or a line is no JSON object; with its number.
    """
    try:
        with open_source(uri) as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise TaskError(
                        f"{display(uri)}, line {number}: more than {MAX_LINE_BYTES} bytes"
                    )
                if line.strip():
                    yield _object(f"{display(uri)}, line {number}", line)
    except OSError as error:
        raise read_error(f"{display(uri)} cannot be read: {reason(error)}", error) from None


def scan_json_lines(uri: str) -> list[FoundImage]:
    """Every object as an image; one without a picture is empty, which decodes to an error.

    Raises:
        TaskError: see `read_objects`; or pictures are named by path, or are no base64.
    """
    found: list[FoundImage] = []
    for number, row in enumerate(read_objects(uri)):
        data = _picture(f"{display(uri)}, row {number}", row)
        is_large = len(data) > MAX_IMAGE_BYTES
        digest = unread_digest(len(data)) if is_large else hashlib.sha256(data).hexdigest()
        found.append(FoundImage(str(number), str(number), digest, None))
    return found


def read_json_lines(uri: str, rows: set[str]) -> Iterator[tuple[str, bytes | TaskError]]:
    """The pictures of the named rows, in order.

    Raises:
        TaskError: as `scan_json_lines`.
    """
    for number, row in enumerate(read_objects(uri)):
        if str(number) in rows:
            yield str(number), _picture(f"{display(uri)}, row {number}", row)


def decode_text(text: str) -> bytes:
    """The bytes of base64 text, also of a `data:` address.

    Raises:
        ValueError: it is no base64.
    """
    body = text.partition(",")[2] if text.startswith(ADDRESS) else text
    try:
        return b64decode("".join(body.split()), validate=True)
    except Base64Error:
        raise ValueError("it is no base64") from None


def base64_error(where: str, text: str) -> TaskError:
    """The error of a text that is no picture, but perhaps the path of one."""
    return TaskError(
        f"{where}: image '{text[:80]}' is no base64; if it is a path, name the folder that it is "
        "in: `images: FOLDER` beside `questions`"
    )


def _object(where: str, line: bytes) -> dict[str, Any]:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise TaskError(f"{where}: no JSON: {error}") from None
    if not isinstance(row, dict):
        raise TaskError(f"{where}: no JSON object, with keys such as question and options")
    return row


def _picture(where: str, row: dict[str, Any]) -> bytes:
    value = row.get(IMAGE_KEY)
    if value is None or value == "":
        return b""
    if not isinstance(value, str):
        raise TaskError(f"{where}: `image` must be one picture, as base64 text or by its path")
    try:
        return decode_text(value)
    except ValueError:
        raise base64_error(where, value) from None

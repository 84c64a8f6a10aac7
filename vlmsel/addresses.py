"""Paths and addresses as they were said, made to mean the same everywhere, once, at the boundary.

What is said on the command line, to the API or in a catalog is seen from the folder it was said in:
a worker of a cluster has another. So each place is made absolute, or checked as an address, where
it comes in, and handed on like that. Links are not followed: a file is known by the name it was
given, and another node may have another target.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from vlmsel.errors import VlmselError
from vlmsel.redaction import explain_refusal

REMOTE_SCHEMES = ("s3", "gs")
# As urllib reads it: blanks may lead, and a scheme is the same in any case.
_ADDRESS = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
_NO_SLASH = re.compile(r"(file|s3|gs|https?):(?!/)")
_MEANINGFUL = re.compile(r"[%?\x00-\x1f\x7f]")
# Ray starts a job's driver with it; its folder there is not the one the job was submitted from.
_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def absolute_address(
    given: str | Path, what: str, error: type[VlmselError], *, base: Path | None = None
) -> str:
    """An absolute local path, or an address of an object store that names a bucket.

    Args:
        given: a path, ``~/path``, ``file:///path``, ``s3://bucket/key`` or ``gs://bucket/key``.
        what: it is for, as `store`, to begin a message with.
        error: class to raise.
        base: folder that a relative path is seen from; by default the current one.

    Raises:
        VlmselError: of class `error`: empty, another scheme, one slash, no bucket, or credentials.
    """
    text = os.fspath(given)
    if not text.strip():
        raise error(f"{what}: the name is empty (a variable that is not set?)")
    if "\0" in text:
        raise error(f"{what} {text!r}: a name cannot hold the character 0")
    if refused := explain_refusal(text):
        raise error(f"{what}: {refused}")
    if text.startswith("/"):
        return str(Path(text))
    if found := _ADDRESS.match(text):
        return _check_characters(found[1].lower(), found[2], what, error)
    if slip := _ONE_SLASH.match(text) or _NO_SLASH.match(text):
        raise error(
            f"{what} {text}: write {slip[1]}:// with two slashes (or ./{text} for a folder of that "
            "name)"
        )
    return str((base or Path.cwd()).absolute() / _with_home(text, what, error))


def absolute_path(
    given: str | Path, what: str, error: type[VlmselError], *, base: Path | None = None
) -> Path:
    """An absolute local path, where a file or folder on this machine is meant.

    Raises:
        VlmselError: of class `error`: an address of an object store, or see `absolute_address`.
    """
    found = absolute_address(given, what, error, base=base)
    if is_address(found):
        shown = found.partition("?")[0]
        raise error(f"{what} {shown} is an address, and a local file is meant: copy it here first")
    return Path(found)


def output_address(given: str | Path, what: str, error: type[VlmselError]) -> str:
    """Like `absolute_address`, for what is written; in a job of Ray it cannot be relative.

    Raises:
        VlmselError: of class `error`: a relative path in a job, or see `absolute_address`.
    """
    found = absolute_address(given, what, error)
    text = os.fspath(given)
    is_relative = not is_address(found) and not text.startswith(("/", "~", "file:"))
    if is_relative and _RAY_JOB in os.environ:
        raise error(
            f"{what} {text}: a job of Ray does not run in the folder it was submitted from, and "
            "what it writes into its own is deleted; give an absolute path or an address"
        )
    return found


def is_address(text: str) -> bool:
    """Return whether an address of `absolute_address` lies in an object store."""
    return text.startswith(tuple(f"{scheme}://" for scheme in REMOTE_SCHEMES))


def quote_path(path: Path, what: str, error: type[VlmselError]) -> str:
    """An absolute path as a part of a database's URI: what has a meaning there is encoded.

    Blanks, #, and letters of any script have none for SQLAlchemy and are left to be read.

    Raises:
        VlmselError: of class `error`: the path is no UTF-8, which no URI's reader gives back.
    """
    try:
        str(path).encode()
        return _MEANINGFUL.sub(lambda found: quote(found[0]), str(path))
    except UnicodeEncodeError:
        raise error(f"{what}: the path {str(path)!r} is no UTF-8; choose another folder") from None


def _check_characters(scheme: str, rest: str, what: str, error: type[VlmselError]) -> str:
    if scheme == "file":
        path = unquote(rest.removeprefix("localhost"), errors="surrogateescape")
        if not path.startswith("/"):
            raise error(f"{what} file://{rest} names a host: write file:///{rest}")
        return path
    if scheme not in REMOTE_SCHEMES:
        raise error(
            f"{what} address scheme {scheme}:// is unknown: it is neither a path nor file://, "
            "s3:// or gs://"
        )
    if not re.match(r"[^/?#]", rest):
        raise error(
            f"{what} address {scheme}:// names no bucket: it is neither a path nor "
            f"{scheme}://bucket/prefix"
        )
    return f"{scheme}://{rest}"


def _with_home(text: str, what: str, error: type[VlmselError]) -> str:
    if not text.startswith("~"):
        return text
    found = os.path.expanduser(text)
    if not found.startswith("/"):
        raise error(f"{what} {text}: that user's home is not known; write the whole path")
    return found

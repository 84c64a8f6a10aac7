"""One door to object stores: file systems for images and for the store, by the same rules."""

import os
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from pyarrow import ArrowException, fs

from vlmsel.errors import VlmselError
from vlmsel.redaction import explain_refusal
from vlmsel.tasks.clouds import cloud_reason, with_retry_limit

S3_OPTIONS = ("endpoint_override", "scheme", "region", "anonymous")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
Environment = tuple[tuple[str, str], ...]


def open_bucket(address: str, what: str, error: type[VlmselError]) -> tuple[fs.FileSystem, str]:
    """The file system of an address, and the path in it; contacts nothing but to ask for a region.

    Args:
        address: ``s3://bucket/key`` or ``gs://bucket/key``, the key as it is (not encoded). For S3,
            ``?endpoint_override=host:port&scheme=http&region=name&anonymous=true`` choose the
            server; without ``endpoint_override`` the variable AWS_ENDPOINT_URL does. Credentials
            come from the environment.
        what: is opened, to begin a message with.
        error: class to raise.

    Raises:
        VlmselError: of class `error`: an unknown option, credentials, or no such region.
    """
    if refused := explain_refusal(address):
        raise error(f"{what}: {refused}")
    plain, _, query = address.partition("?")
    scheme, _, path = plain.partition("://")
    bucket = path.partition("/")[0]
    if scheme == "gs":
        system = _gs(address, bucket, query, error)
    else:
        system = _s3(f"{what} address {plain}", bucket, query, error)
    return system, path.rstrip("/")


def _s3(shown: str, bucket: str, query: str, error: type[VlmselError]) -> fs.FileSystem:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(options) - set(S3_OPTIONS)):
        raise error(
            f"{shown} has the unknown option {unknown[0]}: known are {', '.join(S3_OPTIONS)}"
        )
    endpoint = options.get("endpoint_override") or os.environ.get("AWS_ENDPOINT_URL", "")
    endpoint_scheme, _, host = endpoint.rpartition("://")
    region = options.get("region") or _region(bucket, host)
    try:
        return _s3_system(
            host.rstrip("/") or None,
            options.get("scheme") or endpoint_scheme or "https",
            region,
            options.get("anonymous", "").lower() in ("1", "true", "yes"),
            _environment(),
        )
    except (OSError, ValueError, ArrowException) as found:
        raise error(
            f"{shown} cannot be opened: check region and credentials ({type(found).__name__})"
        ) from None


def _environment() -> Environment:
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))


def _region(bucket: str, host: str) -> str | None:
    """The region of a bucket at Amazon, where nobody says it; else the library's own way."""
    if host or any(os.environ.get(name) for name in REGION_VARIABLES):
        return None
    return _resolve_region(bucket)


@lru_cache(maxsize=64)
def _resolve_region(bucket: str) -> str | None:
    try:
        return fs.resolve_s3_region(bucket)
    except (OSError, ValueError, ArrowException):
        # What is wrong with the bucket is said where it is read.
        return None


@lru_cache(maxsize=16)
def _s3_system(
    host: str | None, scheme: str, region: str | None, anonymous: bool, environment: Environment
) -> fs.FileSystem:
    # The library reads the environment when it makes one, so another is another.
    del environment
    return fs.S3FileSystem(
        endpoint_override=host,
        scheme=scheme,
        region=region,
        anonymous=anonymous,
        background_writes=False,
        # Small files are then one PUT at close instead of a multipart upload.
        allow_delayed_open=True,
    )


def _gs(address: str, bucket: str, query: str, error: type[VlmselError]) -> fs.FileSystem:
    try:
        return _gs_system(with_retry_limit(f"gs://{bucket}" + (query and f"?{query}")))
    except (OSError, ValueError, ArrowException) as found:
        reason = cloud_reason(found) or f"check options and credentials ({type(found).__name__})"
        shown = unquote(address.partition("?")[0])
        raise error(f"{shown} cannot be opened: {reason}") from None


@lru_cache(maxsize=16)
def _gs_system(uri: str) -> fs.FileSystem:
    return fs.FileSystem.from_uri(uri)[0]

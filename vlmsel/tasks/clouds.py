"""Answers of object stores, in plain words.

Their own words are long, and may hold keys or names of accounts.
"""

import re

STATUS = re.compile(r"google::cloud::Status\((\w+)")
# For the library's own tries, which else go on for a quarter of an hour; also without credentials.
RETRY_S = 30
NO_SUCH_BUCKET = "the bucket does not exist: create it or correct the address"
AWS_CODE = re.compile(r"AWS Error (\w+)")
AWS_REASONS = {
    "NO_SUCH_BUCKET": NO_SUCH_BUCKET,
    "ACCESS_DENIED": "access is denied: check the credentials and the bucket's policy",
    "INVALID_ACCESS_KEY_ID": "the access key is unknown: check the credentials",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong: check the credentials",
    "NETWORK_CONNECTION": "the server cannot be reached: check the endpoint and the network",
}
GOOGLE_REASONS = {
    "UNAVAILABLE": "Google cannot be reached: check the network",
    "DEADLINE_EXCEEDED": "Google cannot be reached: check the network",
    "PERMISSION_DENIED": "access is denied: check the account's rights on the bucket",
    "UNAUTHENTICATED": "access is denied: check the account's rights on the bucket",
    "NOT_FOUND": "it does not exist: create the bucket or correct the address",
}
NO_CREDENTIALS = (
    "no credentials for Google: set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run under a "
    "service account"
)


def cloud_reason(error: BaseException) -> str | None:
    """Say why an object store refused; None for an error of another kind."""
    code = aws_code(error)
    if code is None:
        return google_reason(error)
    return AWS_REASONS.get(
        code, f"the server answered {code}: check the address and the credentials"
    )


def aws_code(error: BaseException) -> str | None:
    """The code in an answer of S3; None for an error that is not of S3."""
    found = AWS_CODE.search(str(error))
    if found is None:
        return None
    # A HEAD request has no body, so the code of a refusal is unknown there.
    return "ACCESS_DENIED" if "HTTP response code 403" in str(error) else found[1]


def google_reason(error: BaseException) -> str | None:
    """Say why Google refused; None for an error that is not Google's."""
    text = str(error)
    found = STATUS.search(text)
    if found is None:
        return None
    if "OAuth2 access token" in text:
        return NO_CREDENTIALS
    return GOOGLE_REASONS.get(found[1], f"Google answered {found[1]}")


def with_retry_limit(uri: str) -> str:
    """A gs:// address that gives up in time, unless it says itself how long to try."""
    if not uri.startswith("gs://") or "retry_limit_seconds=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={RETRY_S}"

"""Google's answers in plain words; what they say at length may hold addresses of accounts."""

import re

STATUS = re.compile(r"google::cloud::Status\((\w+)")
# For the library's own tries, which else go on for a quarter of an hour; also without credentials.
RETRY_S = 30
REASONS = {
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


def google_reason(error: BaseException) -> str | None:
    """Why Google refused; None for an error that is not Google's."""
    text = str(error)
    found = STATUS.search(text)
    if found is None:
        return None
    if "OAuth2 access token" in text:
        return NO_CREDENTIALS
    return REASONS.get(found[1], f"Google answered {found[1]}")


def with_retry_limit(uri: str) -> str:
    """A gs:// address that gives up in time, unless it says itself how long to try."""
    if not uri.startswith("gs://") or "retry_limit_seconds=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={RETRY_S}"

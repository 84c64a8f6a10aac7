"""Keep credentials out of addresses, and out of what is logged, shown or written."""

import re

_USER = re.compile(r"(\w+://)[^/\s]*@")
_SECRET = re.compile(
    r"([?&][^=&\s]*(?:token|secret|password|passwd|signature|credential|key)[^=&\s]*=)[^&\s]+",
    re.IGNORECASE,
)
# As urllib reads it: blanks may lead, and a scheme is the same in any case.
_AUTHORITY = re.compile(r"\s*([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)


def redact(text: object) -> str:
    """The text with user names, passwords and tokens of every URI in it blotted out."""
    return _SECRET.sub(r"\1***", _USER.sub(r"\1***@", str(text)))


def why_refused(address: str) -> str | None:
    """Why an address of images or of a store is refused: it holds credentials; else None.

    Addresses are remembered beside the cells and logged, so secrets have no place in them. No
    bucket's name has a colon: one is a key and its secret, even where a slash in the secret hides
    the @ behind it. The reason repeats nothing of the address but its scheme.
    """
    found = _AUTHORITY.match(address)
    if found is None:
        return None
    scheme, authority = found[1].lower(), found[2]
    in_bucket = "@" in authority or (scheme in ("s3", "gs") and ":" in authority)
    if not in_bucket and not _SECRET.search(address):
        return None
    places = {
        "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, an AWS profile or a role",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS or a service account",
    }
    where = f" ({places[scheme]})" if scheme in places else ""
    return f"no credentials in {scheme}:// addresses: put them into the environment{where}"

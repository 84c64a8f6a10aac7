"""Keep credentials out of what is logged, shown or written."""

import re

_USER = re.compile(r"(\w+://)[^/\s]*@")
_SECRET = re.compile(
    r"([?&][^=&\s]*(?:token|secret|password|passwd|signature|credential|key)[^=&\s]*=)[^&\s]+",
    re.IGNORECASE,
)


def redact(text: object) -> str:
    """The text with user names, passwords and tokens of every URI in it blotted out."""
    return _SECRET.sub(r"\1***", _USER.sub(r"\1***@", str(text)))

"""Names from outside (folders, files, members of archives), as they are shown and as they are kept.

Such a name may hold anything but a slash: control characters that move a terminal's cursor, marks
that turn the reading direction, bytes that are no UTF-8, and as many characters as a disk allows.
"""

import hashlib
import re
import unicodedata
from urllib.parse import quote

# Control, format, lone surrogates, ends of lines and of paragraphs; joiners belong to some scripts.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_BYTE = range(0xDC80, 0xDD00)
_EDGES = re.compile(r"^\s|\s$")
# A file's name has 255 bytes: the rest is for a key, a digest and a suffix.
MAX_ENCODED = 150
_DIGEST_DIGITS = 8


def shown(text: str) -> str:
    r"""The text on one line, with a `\n`, `\x1b` or `\u202e` for what cannot be seen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if _is_unseen(c) else c for c in text)


def readable(text: str) -> str:
    r"""The text as UTF-8 can hold it: a `\xe9` for a byte that was none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_escape(c) if unicodedata.category(c) == "Cs" else c for c in text)
    return text


def stored(name: str, max_encoded: int = MAX_ENCODED) -> str:
    """A name to keep results under: seen, without blanks at its ends, and not too long for a file.

    One that is fine stays as it is. Longer ones get a digest in place of their end, so that two of
    them stay two.
    """
    kept = _EDGES.sub(lambda found: _escape(found[0]), shown(unicodedata.normalize("NFC", name)))
    if encoded_length(kept) <= max_encoded:
        return kept
    mark = "~" + hashlib.sha256(kept.encode()).hexdigest()[:_DIGEST_DIGITS]
    while encoded_length(kept + mark) > max_encoded:
        kept = kept[:-1]
    return kept.rstrip() + mark


def encoded_length(name: str) -> int:
    """Bytes of a name as a part of a file's name, where it is percent-encoded."""
    return len(quote(name, safe="", errors="surrogatepass"))


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN and character not in _JOINERS


def _escape(character: str) -> str:
    code = ord(character)
    if code in _BYTE:
        return f"\\x{code - 0xDC00:02x}"
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if character in short:
        return short[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""Suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], n: int = 3) -> str:
    """`; did you mean A, B?` for a misspelt name, or the empty string when nothing is near."""
    by_folded = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), list(by_folded), n=n, cutoff=0.5)
    return f"; did you mean {', '.join(by_folded[f] for f in found)}?" if found else ""

"""Names of files given by a pattern: `*`, `?`, `[a-z]` within a name, `**` any folders, braces."""

import re
from math import prod

from braceexpand import braceexpand

from vlmsel.errors import TaskError

# A task of so many shards has a hundred million images.
MAX_NAMES = 100_000
_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?")
_CLASS = re.compile(r"\[(!?)(\]?[^\]/]*)\]")


def glob_pattern(path: str) -> re.Pattern[str]:
    """A path with wildcards as a regular expression for whole paths."""
    names = path.rstrip("/").split("/")
    parts = ["(?:[^/]+/)*" if name == "**" else f"{_translate_name(name)}/" for name in names]
    return re.compile("".join(parts).removesuffix("/"))


def expand_braces(text: str, shown: str) -> list[str]:
    """Every name that a pattern with braces stands for, sorted.

    Args:
        text: the pattern.
        shown: the same for messages.

    Raises:
        TaskError: the braces are not balanced, or stand for more than `MAX_NAMES` names.
    """
    # Counted before any is made: two braces of nine digits are enough for all memory.
    if (count := count_names(text)) > MAX_NAMES:
        raise TaskError(
            f"the braces in {shown} stand for {count} files, more than {MAX_NAMES}: narrow them, "
            "or use *"
        )
    try:
        return sorted(set(braceexpand(text)))
    except ValueError as error:
        raise TaskError(f"the braces in {shown} cannot be expanded: {error}") from None


def count_names(text: str) -> int:
    """Bound of the number of names that a pattern with braces stands for."""
    return _alternatives(text, 0)[0]


def _alternatives(text: str, start: int) -> tuple[int, int]:
    """Number of names up to an unmatched closing brace, and its place."""
    total, factors, place = 0, [1], start
    while place < len(text) and (text[place] != "}" or start == 0):
        if text[place] == "\\":
            place += 1
        elif text[place] == "{":
            found = _RANGE.match(text, place + 1)
            if found and text[found.end() : found.end() + 1] == "}":
                factors.append(_length(found))
                place = found.end()
            else:
                inner, place = _alternatives(text, place + 1)
                factors.append(inner)
        elif text[place] == "," and start:
            total += prod(factors)
            factors = [1]
        place += 1
    return total + prod(factors), place


def _length(found: re.Match[str]) -> int:
    first, last = (ord(end) if end.isalpha() else int(end) for end in found.groups()[:2])
    return abs(last - first) // max(1, abs(int(found[3] or 1))) + 1


def _translate_name(part: str) -> str:
    result, place = "", 0
    while place < len(part):
        if found := _CLASS.match(part, place):
            inner = found[2].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            inner = f"\\]{inner[1:]}" if inner.startswith("]") else inner
            result += f"[{'^/' if found[1] else ''}{inner}]"
            place = found.end()
            continue
        result += {"*": "[^/]*", "?": "[^/]"}.get(part[place]) or re.escape(part[place])
        place += 1
    return result

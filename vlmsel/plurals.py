"""Numbers with their nouns."""


def number_of(n: int, single: str, several: str) -> str:
    """`1 label is`, `3 labels are`: a number before the words that go with it."""
    return f"{n} {single if n == 1 else several}"

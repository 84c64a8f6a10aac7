"""Tokens of options in place: what a tokenizer makes of an option right after its prompt.

A tokenizer may join the end of a prompt and the start of an option, or put a token of white space
before it, so that an option is never encoded alone: prompt and option are encoded together, and
what all options share belongs to the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class UnusableOptionsError(Exception):
    """Options that this tokenizer cannot score, with the reason."""


@dataclass(frozen=True)
class OptionTokens:
    """Place after a prompt where options begin, in tokens.

    Attributes:
        n_dropped: tokens at the end of the prompt that encode otherwise before an option.
        shared: tokens that come before every option in their place.
        options: tokens of each option.
    """

    n_dropped: int
    shared: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]


def place_options(
    prompt: Sequence[int], answered: Sequence[Sequence[int]], texts: Sequence[str], *, whole: bool
) -> OptionTokens:
    """Find the options' own tokens.

    Args:
        prompt: its tokens.
        answered: tokens of the prompt with each option after it.
        texts: of the options, for messages.
        whole: keep all tokens of an option, else the first alone.

    Raises:
        UnusableOptionsError: two options have the same tokens, or the same first token where that
            is all that is scored.
    """
    shortest = min(len(tokens) for tokens in answered)
    n_shared = min(_common_prefix(answered), shortest - 1)
    stop = None if whole else n_shared + 1
    options = [tuple(tokens[n_shared:stop]) for tokens in answered]
    first_of: dict[tuple[int, ...], str] = {}
    for option, text in zip(options, texts, strict=True):
        other = first_of.setdefault(option, text)
        if other != text:
            what = "tokens" if whole else "first token"
            raise UnusableOptionsError(
                f"options '{other[:80]}' and '{text[:80]}' have the same {what}, so that the model "
                "cannot tell them apart"
            )
    kept = _common_prefix([prompt, answered[0][:n_shared]])
    return OptionTokens(len(prompt) - kept, tuple(answered[0][kept:n_shared]), tuple(options))


def _common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Number of first tokens that all sequences share."""
    number = 0
    for tokens in zip(*sequences, strict=False):
        if len(set(tokens)) > 1:
            break
        number += 1
    return number

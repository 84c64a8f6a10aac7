"""Rows of question files, in the column names of common exports (MMBench, MMStar, ScienceQA).

question           question
options            `options` or `choices` (a list), or columns A, B, C, ..., or, as MMStar's
Parquet has them, a last line "Options: A: .., B: .." of the question
answer             a letter, a number from 0, or the option's text; missing: no label
hint, id           `hint`; `id`, `question_id` or `index`, else the row's number
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmsel.errors import TaskError
from vlmsel.tasks.questions import LETTERS, ChoiceQuestion

IMAGE = "image"
OPTION_LISTS = ("options", "choices")
IDS = ("id", "question_id", "index")
# A column of them is a list of pictures for one question.
SEVERAL = re.compile(r"images|image_\d+", re.IGNORECASE)
TEXT_COLUMNS = ("question", "answer", "hint", *OPTION_LISTS, *IDS, *LETTERS)
INLINE = re.compile(r"\n\s*Options:\s*(A: .+)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One row of a file of questions.

    Attributes:
        row: its number in the file, from 0.
        own_id: as the file gives it; None where it gives none.
        question: what is asked.
        label: number of the right option; None where the file does not say.
        picture: name of the picture, where the file holds no pictures itself.
    """

    row: int
    own_id: str | None
    question: ChoiceQuestion
    label: int | None
    picture: str | None


def parse_row(where: str, number: int, row: Mapping[str, Any]) -> QuestionRow:
    """A row as a question.

    Raises:
        TaskError: it has no question, no options (an open answer), several pictures, or an answer
            that is none of its options; begins with `where`.
    """
    _refuse_several(where, row)
    text = _text(row.get("question"))
    if text is None:
        raise TaskError(f"{where}: it has no question: a column `question` holds it")
    options = _options(where, row)
    if options is None:
        text, options = _inline_options(where, text)
    _check_options(where, options)
    label = _label(where, row.get("answer"), options)
    own_id = next((found for name in IDS if (found := _text(row.get(name))) is not None), None)
    picture = row.get(IMAGE)
    if isinstance(picture, Mapping):
        picture = picture.get("path")
    question = ChoiceQuestion(text, options, _text(row.get("hint")) or "")
    return QuestionRow(number, own_id, question, label, _text(picture))


def picture_columns(names: Sequence[str]) -> list[str]:
    """Columns that hold several pictures of one question."""
    return [name for name in names if SEVERAL.fullmatch(name)]


def _refuse_several(where: str, row: Mapping[str, Any]) -> None:
    many = [name for name in picture_columns(list(row)) if row[name] not in (None, "", [])]
    listed = isinstance(row.get(IMAGE), list)
    if listed or many:
        name = IMAGE if listed else many[0]
        raise TaskError(
            f"{where}: column '{name}' holds a list of pictures; a question is about one picture "
            f"here, in column '{IMAGE}'"
        )


def _options(where: str, row: Mapping[str, Any]) -> tuple[str, ...] | None:
    for name in OPTION_LISTS:
        value = row.get(name)
        if value is None:
            continue
        if not isinstance(value, list):
            raise TaskError(f"{where}: column '{name}' must hold a list of texts")
        return tuple(_text(option) or "" for option in value)
    lettered = [_text(row.get(letter)) for letter in LETTERS]
    n_options = next((i for i, option in enumerate(lettered) if option is None), len(lettered))
    if any(option is not None for option in lettered[n_options:]):
        raise TaskError(f"{where}: option {LETTERS[n_options]} is missing before later ones")
    return tuple(option for option in lettered[:n_options] if option is not None) or None


def _inline_options(where: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Options that are written in the question, as MMStar's are."""
    found = INLINE.search(text)
    if found is None:
        raise TaskError(
            f"{where}: it has no options, and open answers are not scored: columns `options` or "
            "A, B, C, ... hold them"
        )
    parts, rest = [], found.group(1).removeprefix("A: ")
    for letter in LETTERS[1:]:
        head, mark, tail = rest.partition(f", {letter}: ")
        parts.append(head)
        if not mark:
            break
        rest = tail
    return text[: found.start()].strip(), tuple(part.strip() for part in parts)


def _check_options(where: str, options: tuple[str, ...]) -> None:
    if not 2 <= len(options) <= len(LETTERS):
        raise TaskError(f"{where}: it has {len(options)} option(s); 2 to {len(LETTERS)} are asked")
    if "" in options:
        raise TaskError(f"{where}: option {LETTERS[options.index('')]} is empty")
    twice = [option for place, option in enumerate(options) if option in options[:place]]
    if twice:
        raise TaskError(f"{where}: option '{twice[0][:80]}' comes twice")


def _label(where: str, answer: Any, options: tuple[str, ...]) -> int | None:
    """The number of the right option."""
    if isinstance(answer, list):
        raise TaskError(f"{where}: it has several answers; a question has one here")
    text = _text(answer)
    if text is None:
        return None
    by_text = options.index(text) if text in options else None
    number = _parse_whole_number(answer)
    is_letter = number is None and len(text) == 1 and text in LETTERS
    by_letter = LETTERS.index(text) if is_letter else None
    if number is not None or (text.isdecimal() and by_text is None):
        by_letter, by_text = int(text) if number is None else number, None
    if None not in (by_text, by_letter) and by_text != by_letter:
        raise TaskError(
            f"{where}: answer '{text}' is the letter of one option and the text of another: give "
            "its number, from 0"
        )
    found = by_text if by_letter is None else by_letter
    if found is None or not 0 <= found < len(options):
        raise TaskError(
            f"{where}: answer '{text[:80]}' is none of its {len(options)} options: a letter (A to "
            f"{LETTERS[len(options) - 1]}), a number (0 to {len(options) - 1}) or an option's text"
        )
    return found


def _parse_whole_number(value: Any) -> int | None:
    """A cell that is a whole number; True and False are texts, and so are other numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _text(value: Any) -> str | None:
    """A cell as text; None where it is empty, or pandas' NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def number_rows(rows: Iterator[Mapping[str, Any]], name: str) -> Iterator[QuestionRow]:
    """Parse rows in order; `name` is the file's, for messages."""
    for number, row in enumerate(rows):
        yield parse_row(f"{name}, row {number}", number, row)

"""Multiple-choice questions of a task: what is asked about a picture, among which options."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import Literal

LETTERS = ascii_uppercase
AnswerStyle = Literal["letters", "words"]
# The last line of a question with lettered options, as VLMEvalKit words it.
ANSWER_LETTER = "Answer with the option's letter from the given choices directly."


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """One question about one picture.

    Attributes:
        text: what is asked.
        options: the possible answers, two at least.
        hint: what is said before the question; may be empty.
    """

    text: str
    options: tuple[str, ...]
    hint: str = ""


@dataclass(frozen=True)
class TaskQuestions:
    """Questions of a task, in place of class names and templates. Answers are labels: not here.

    Attributes:
        items: questions by image id, which is that of the question.
        answers: whether a letter or the option's own words are scored as the answer.
        n_options: the most options that a question of the task has.
    """

    items: Mapping[str, ChoiceQuestion]
    answers: AnswerStyle
    n_options: int

    def only(self, image_ids: Iterable[str]) -> "TaskQuestions":
        """The same of some images, in their order."""
        items = {image_id: self.items[image_id] for image_id in image_ids}
        return TaskQuestions(items, self.answers, self.n_options)

    def digest_of(self, image_ids: Iterable[str]) -> str:
        """Digest of what is asked about some images: 16 hex digits."""
        return self.only(image_ids).digest

    @cached_property
    def digest(self) -> str:
        """16 hex digits over all that is asked and how, in order; answers are no part of it."""
        asked = [(self.prompt(item), self.choices(item)) for item in self.items.values()]
        text = json.dumps(["questions", self.answers, self.n_options, asked])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def classnames(self) -> tuple[str, ...]:
        """The letters of the options: what label i is called."""
        return tuple(LETTERS[: self.n_options])

    def prompt(self, question: ChoiceQuestion) -> str:
        """The user's turn, without the picture: for words the question alone."""
        if self.answers == "words":
            return question.text
        hint = [f"Hint: {question.hint}"] if question.hint else []
        options = [f"{LETTERS[i]}. {option}" for i, option in enumerate(question.options)]
        asked = [f"Question: {question.text}", "Options:", *options, ANSWER_LETTER]
        return "\n".join([*hint, *asked])

    def choices(self, question: ChoiceQuestion) -> tuple[str, ...]:
        """The texts that are scored as answers."""
        if self.answers == "words":
            return question.options
        return tuple(LETTERS[: len(question.options)])

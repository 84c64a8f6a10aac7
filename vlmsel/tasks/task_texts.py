"""Texts of a task's classes: prompts, captions and synonyms, from files or from its templates."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from vlmsel.addresses import absolute_path
from vlmsel.documents import parse_yaml, read_json
from vlmsel.errors import TaskError, one_line
from vlmsel.suggest import nearest
from vlmsel.tasks.folder_labels import plain_name
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.tasks.shards import Shard
from vlmsel.tasks.task_catalog import TaskSpec

Role = Literal["prompt", "caption", "synonym"]
SHARD_TEXTS = 4096
MAX_SHOWN = 60
FROM_TEMPLATES = "captions are the task's own templates, filled with each class name"
FROM_NAMES = "the bare name of a class stands for its synonyms"


@dataclass(frozen=True)
class ClassText:
    """One text about a class.

    Attributes:
        text_id: role, class and number, unique within the task.
        role: what it is for.
        class_number: place of its class among the different names of the task.
        text: the words.
    """

    text_id: str
    role: Role
    class_number: int
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the words."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TextShard(Shard):
    """A portion of a task's texts; `images` names them, so that cells are kept as for images.

    Attributes:
        texts: one for each of `images`.
    """

    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskTexts:
    """All texts of a task.

    Attributes:
        task: its name.
        names: the different class names, in class order; classes of one name are one.
        class_numbers: place among `names` of each label.
        texts: of every role, by id.
        notes: what was made of templates or names, one line each.
    """

    task: str
    names: tuple[str, ...]
    class_numbers: tuple[int, ...]
    texts: tuple[ClassText, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def shards(self) -> tuple[TextShard, ...]:
        """The texts in portions, by id."""
        found = []
        for number, start in enumerate(range(0, len(self.texts), SHARD_TEXTS)):
            part = self.texts[start : start + SHARD_TEXTS]
            refs = tuple(
                ImageRef(text.text_id, text.sha256, "", None, text.class_number) for text in part
            )
            found.append(TextShard(self.task, number, refs, tuple(text.text for text in part)))
        return tuple(found)


def task_texts(spec: TaskSpec, prompts: ClassPrompts) -> TaskTexts:
    """Lay the texts of a task out.

    Args:
        spec: the task; `captions` and `synonyms` name files, YAML or JSON, of class to texts.
        prompts: its class names and templates.

    Raises:
        TaskError: a file cannot be read, holds another class, or leaves a class without captions.
    """
    names = tuple(dict.fromkeys(prompts.classnames))
    texts = {name: prompts.texts(name) for name in names}
    found = [*_texts("prompt", names, texts)]
    notes = []
    if spec.captions is None:
        notes.append(FROM_TEMPLATES)
    else:
        captions = _read_texts(spec, "captions", spec.captions, names)
        without = [name for name in names if name not in captions]
        if without:
            raise TaskError(
                f"task '{spec.name}': captions {spec.captions} have none of class "
                f"'{without[0][:MAX_SHOWN]}'"
                f"{_describe_more(without)}; every class needs one or more"
            )
        found += _texts("caption", names, captions)
    if spec.synonyms is None:
        notes.append(FROM_NAMES)
        synonyms: Mapping[str, tuple[str, ...]] = {name: (name,) for name in names}
    else:
        synonyms = _read_texts(spec, "synonyms", spec.synonyms, names)
    found += _texts("synonym", names, synonyms)
    ordered = tuple(sorted(found, key=lambda text: text.text_id))
    place = {name: number for number, name in enumerate(names)}
    numbers = tuple(place[name] for name in prompts.classnames)
    return TaskTexts(spec.name, names, numbers, ordered, tuple(notes))


def _texts(
    role: Role, names: tuple[str, ...], texts: Mapping[str, tuple[str, ...]]
) -> Iterator[ClassText]:
    for number, name in enumerate(names):
        for place, text in enumerate(texts.get(name, ())):
            yield ClassText(f"{role} {number:06d} {place:06d}", role, number, text)


def _read_texts(
    spec: TaskSpec, what: str, source: str, names: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Texts by class name; names agree up to case and underscores.

    Raises:
        TaskError: see `task_texts`.
    """
    where = f"task '{spec.name}': {what} {source}"
    document = _document(absolute_path(source, f"task '{spec.name}': {what}", TaskError), where)
    if not isinstance(document, dict) or not document:
        raise TaskError(f"{where}: write a mapping of each class name to a list of texts")
    name_of = {plain_name(name): name for name in names}
    found: dict[str, tuple[str, ...]] = {}
    for key, value in document.items():
        name = name_of.get(plain_name(str(key)))
        shown = str(key)[:MAX_SHOWN]
        if name is None:
            hint = nearest(str(key), names, n=1) or f"; the first is '{names[0][:MAX_SHOWN]}'"
            raise TaskError(f"{where}: '{shown}' is no class of the task{hint}")
        if name in found:
            raise TaskError(f"{where}: class '{shown}' comes twice")
        if not (
            isinstance(value, list)
            and value
            and all(isinstance(text, str) and text.strip() for text in value)
        ):
            raise TaskError(f"{where}: class '{shown}' needs a list of one text or more")
        found[name] = tuple(value)
    return found


def _document(path: Path, where: str) -> object:
    try:
        if path.suffix.lower() == ".json":
            return read_json(path)
        return parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(f"{where} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TaskError(f"{where} cannot be read: {one_line(error)}") from None


def _describe_more(names: list[str]) -> str:
    return f" and of {len(names) - 1} more" if len(names) > 1 else ""

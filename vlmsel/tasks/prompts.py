"""Class names and prompt templates of a task: its own, or those of clip-benchmark."""

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from vlmsel.errors import TaskError
from vlmsel.extras import LIBRARIES, missing_extra
from vlmsel.suggest import nearest
from vlmsel.tasks.questions import TaskQuestions
from vlmsel.tasks.task_catalog import TaskSpec

DEFAULT_TEMPLATES = ("a photo of a {}.",)
CLASSNAMES_FILE = "en_classnames.json"
TEMPLATES_FILE = "en_zeroshot_classification_templates.json"


@dataclass(frozen=True)
class ClassPrompts:
    """Class names and templates of a zero-shot classifier of a task.

    Attributes:
        classnames: the name of label i.
        templates: prompts with one {} or {c}.
    """

    classnames: tuple[str, ...]
    templates: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """16 hex digits over class names and templates, in order."""
        text = json.dumps([self.classnames, self.templates])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def digest_of(self, _image_ids: Iterable[str]) -> str:
        """The same digest, whichever images are meant: all are asked alike."""
        return self.digest

    def texts(self, classname: str) -> tuple[str, ...]:
        """The prompts of one class, one per template."""
        return tuple(t.replace("{c}", classname).replace("{}", classname) for t in self.templates)


TaskPrompts = ClassPrompts | TaskQuestions


def class_prompts(spec: TaskSpec) -> ClassPrompts:
    """The class names and templates of a task.

    Raises:
        TaskError: it has no class names, or clip-benchmark does not know it (nearest names).
    """
    classnames, templates = spec.classnames, spec.templates
    if spec.prompts is not None:
        name = spec.prompts.partition(":")[2]
        if classnames is None:
            classnames = _from_clip_benchmark(spec, name, CLASSNAMES_FILE, "classnames")
        if templates is None:
            templates = _from_clip_benchmark(spec, name, TEMPLATES_FILE, "templates")
    if classnames is None:
        msg = f"task '{spec.name}' has no class names: add `classnames` or `prompts` to its catalog"
        raise TaskError(msg)
    return ClassPrompts(classnames, templates or DEFAULT_TEMPLATES)


def has_classnames(spec: TaskSpec) -> bool:
    """Return whether `class_prompts` would find class names."""
    return spec.classnames is not None or spec.prompts is not None


def _from_clip_benchmark(spec: TaskSpec, name: str, file: str, field: str) -> tuple[str, ...]:
    table = _table(file)
    if name in table:
        return tuple(table[name])
    others = _table(TEMPLATES_FILE if file == CLASSNAMES_FILE else CLASSNAMES_FILE)
    if name in others:
        msg = f"task '{spec.name}': clip-benchmark has no {field} of '{name}': add `{field}`"
        raise TaskError(msg)
    known = sorted(set(table) | set(others))
    hint = nearest(name, known) or f"; it knows {', '.join(known)}"
    raise TaskError(f"task '{spec.name}': clip-benchmark does not know '{name}'{hint}")


@cache
def _table(file: str) -> dict[str, list[str]]:
    # Found, not imported: importing clip_benchmark pulls in torch and every data set.
    found = importlib.util.find_spec(*LIBRARIES["clip-benchmark"])
    if found is None or not found.submodule_search_locations:
        raise TaskError(missing_extra("prompts: clip-benchmark:NAME", "clip-benchmark"))
    path = Path(found.submodule_search_locations[0]) / "datasets" / file
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError(f"clip-benchmark's {path} cannot be read: {error}") from None

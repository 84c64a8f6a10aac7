"""Task specs: images, and for a source task the class names and prompts to test it with."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)

from vlmsel.addresses import absolute_address, absolute_path, is_address
from vlmsel.catalogs import first_problem, read_entries
from vlmsel.errors import CatalogError, TaskError
from vlmsel.outside_names import encoded_length, stored
from vlmsel.suggest import nearest
from vlmsel.tasks.questions import AnswerStyle

# Of ad-hoc targets: a folder may be called like a source task and must not be taken for it.
TARGET_PREFIX = "target:"


# Of the 255 bytes of a file name, with room for a key, a digest and a suffix.
MAX_NAME = 180
# Fields of a task that name a file beside its catalog.
FILES = ("labels", "captions", "synonyms")


def _place(value: object) -> str:
    """A path or an address; unlike other text it may hold bytes that are no UTF-8."""
    if not isinstance(value, str) or not value:
        raise ValueError("Input should be a text with at least one character")
    return value


class TaskSpec(BaseModel):
    """One task. A target needs images only.

    Attributes:
        name: unique within a catalog.
        images: folder, tar shards or Parquet files (with * or {000..009}); local, s3:// or gs://.
        classnames: what label i means.
        templates: prompts, each with one {} (or {c}) for the class name.
        template_sets: further templates by name, which `vlmsel study prompts` compares; part of no
            key.
        prompts: `clip-benchmark:NAME`, class names and templates from clip-benchmark; the two
            fields above win over it.
        labels: CSV file with the columns image (the image id) and label (a class name, or the
            letter of an option); its rows win over labels of folders, .cls members or a column.
            Part of no key.
        captions: YAML or JSON file of each class name to a list of captions, for selectors that
            look at texts; by default the templates, filled.
        synonyms: likewise of class name to other names; by default the bare name.
        questions: Parquet or JSON lines of multiple-choice questions, in place of class names;
            `images` are then those that the file holds, or the folder of those that it names.
        answers: whether letters of options or their own words are scored as answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^\S(.*\S)?$")
    images: Annotated[str, PlainValidator(_place)]
    classnames: tuple[str, ...] | None = Field(default=None, min_length=1)
    templates: tuple[str, ...] | None = Field(default=None, min_length=1)
    template_sets: dict[str, tuple[str, ...]] | None = Field(default=None, min_length=1)
    prompts: str | None = Field(default=None, pattern=r"^clip-benchmark:.+$")
    labels: str | None = Field(default=None, min_length=1)
    captions: str | None = Field(default=None, min_length=1)
    synonyms: str | None = Field(default=None, min_length=1)
    questions: str | None = Field(default=None, min_length=1)
    answers: AnswerStyle = "letters"

    @model_validator(mode="before")
    @classmethod
    def _images_of_questions(cls, values: Any) -> Any:
        if isinstance(values, dict) and "questions" in values and "images" not in values:
            return values | {"images": values["questions"]}
        return values

    @field_validator("name")
    @classmethod
    def _check_file_name(cls, name: str) -> str:
        if (length := encoded_length(name)) > MAX_NAME:
            raise ValueError(
                f"the name is too long: its results are kept in files named after it, and it takes "
                f"{length} bytes there, of {MAX_NAME}"
            )
        return name

    @field_validator("templates")
    @classmethod
    def _check_templates(cls, templates: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for template in templates or ():
            if template.count("{}") + template.count("{c}") != 1:
                raise ValueError(f"'{template}' must hold {{}} once, where the class name goes")
        return templates

    @field_validator("template_sets")
    @classmethod
    def _check_template_sets(
        cls, sets: dict[str, tuple[str, ...]] | None
    ) -> dict[str, tuple[str, ...]] | None:
        for name, templates in (sets or {}).items():
            if not name.strip() or not templates:
                raise ValueError(f"set '{name}' needs a name and at least one template")
            cls._check_templates(templates)
        return sets

    @model_validator(mode="after")
    def _check_nothing_unused(self) -> Self:
        if self.prompts is not None and self.classnames is not None and self.templates is not None:
            raise ValueError("`prompts` is not used where both `classnames` and `templates` are")
        if self.templates is not None and self.classnames is None and self.prompts is None:
            raise ValueError("`templates` need `classnames` (or `prompts`)")
        has_classes = self.classnames is not None or self.prompts is not None
        for name in FILES:
            is_of_questions = name == "labels" and self.questions is not None
            if getattr(self, name) is not None and not (has_classes or is_of_questions):
                raise ValueError(f"`{name}` need `classnames` (or `prompts`)")
        if self.questions is not None and (has_classes or self.template_sets is not None):
            raise ValueError("`questions` take the place of class names and templates: remove them")
        if self.questions is None and self.answers != "letters":
            raise ValueError("`answers` need `questions`")
        return self

    def anchored(self, folder: Path) -> Self:
        """The same spec with relative local paths made absolute against `folder`.

        What cannot be read is left as it is: it fails its task alone, when that is read.
        """
        update: dict[str, str] = {}
        with suppress(TaskError):
            update["images"] = absolute_address(self.images, "images", TaskError, base=folder)
        if self.questions is not None:
            with suppress(TaskError):
                update["questions"] = absolute_address(
                    self.questions, "questions", TaskError, base=folder
                )
        for name in FILES:
            file = getattr(self, name)
            if file is not None:
                with suppress(TaskError):
                    update[name] = str(absolute_path(file, name, TaskError, base=folder))
        return self.model_copy(update=update)


class TaskCatalog(BaseModel):
    """At least one task; no two of one name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[TaskSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names_differ(self) -> Self:
        twice = [name for name, n in Counter(t.name for t in self.tasks).items() if n > 1]
        if twice:
            raise ValueError(f"two tasks of one name: {', '.join(twice)}; remove one")
        return self

    def find(self, name: str) -> TaskSpec:
        """The task of that name.

        Raises:
            TaskError: no such task, with the nearest names.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        names = [task.name for task in self.tasks]
        hint = nearest(name, names) or f"; its tasks: {', '.join(names)}"
        raise TaskError(f"task '{name}' is not in this catalog{hint}")


def load_tasks(source: str | Path) -> TaskCatalog:
    """Read a task catalog from a YAML file.

    Raises:
        CatalogError: no such file, or it says something impossible; names file, entry and key.
    """
    path = absolute_path(source, "task catalog", CatalogError)
    entries = read_entries(path, "tasks", TaskSpec, "name")
    try:
        return TaskCatalog(tasks=tuple(task.anchored(path.parent) for task in entries))
    except ValidationError as error:
        raise CatalogError(f"{path}: {first_problem(error, TaskCatalog)}") from None


def folder_task(folder: str | Path, name: str | None = None) -> TaskSpec:
    """An unlabelled target: the images under `folder`, named after it unless `name` is given.

    Raises:
        TaskError: no name of a folder and no address.
    """
    images = absolute_address(folder, "images", TaskError)
    if name is None and is_address(images):
        name = images.partition("?")[0].rstrip("/").rpartition("/")[2]
    elif name is None:
        path = Path(images)
        name = (path.resolve() if path.name == ".." else path).name or "target"
    # Under it results are kept; a name of a folder may hold anything.
    return TaskSpec(name=stored(name), images=images)

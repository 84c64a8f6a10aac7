"""Names of tasks and models in other people's tables, from ``names.yaml`` or a table like it."""

import re
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vlmsel.documents import parse_yaml
from vlmsel.errors import StoreError

SHIPPED = Path(__file__).with_name("names.yaml")


class TaskName(BaseModel):
    """One task; see the head of ``names.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    also: tuple[str, ...] = ()
    headline: str = "acc1"
    kind: str = "classification"


class NameTable(BaseModel):
    """Canonical task names, their other spellings, and checkpoints printed without -quickgelu."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: dict[str, TaskName]
    quickgelu: dict[str, tuple[str, ...]] = {}

    def spellings(self) -> dict[str, str]:
        """Folded spelling -> canonical name.

        Raises:
            StoreError: one spelling stands for two tasks.
        """
        found: dict[str, str] = {}
        for name, task in self.tasks.items():
            for written in (name, *task.also):
                if found.setdefault(fold(written), name) != name:
                    raise StoreError(
                        f"name table: {written!r} stands for both {found[fold(written)]} and {name}"
                    )
        return found

    def model(self, model: str, pretrained: str, *, quickgelu: bool) -> tuple[str, str]:
        """open_clip's own spelling of a model; with `quickgelu` under its right activation."""
        if "/" in model and ":" not in model:
            # OpenAI's ViT-B/32 is open_clip's ViT-B-32; hf-hub:org/name keeps its slash.
            model = model.replace("/", "-")
        if quickgelu and model in self.quickgelu.get(pretrained, ()):
            model = f"{model}-quickgelu"
        return model, pretrained


def fold(name: str) -> str:
    """A spelling without case, spaces, ``-``, ``_`` and a leading ``vtab/``."""
    return re.sub(r"[\s_-]", "", name.lower().strip().removeprefix("vtab/"))


@cache
def load_names(path: Path = SHIPPED) -> NameTable:
    """The name table at `path`.

    Raises:
        StoreError: it cannot be read, or has an unknown key.
    """
    try:
        table = NameTable.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise StoreError(f"name table {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"name table {path}: {place}: {first['msg']}") from error
    except ValueError as error:
        raise StoreError(f"name table {path} is no YAML: {error}") from error
    table.spellings()
    return table


def with_own_names(path: Path | None) -> NameTable:
    """The shipped name table and, on top of it, the tasks and checkpoints of a file like it.

    Raises:
        StoreError: the file cannot be read, has an unknown key, or a spelling stands for two tasks.
    """
    shipped = load_names()
    if path is None:
        return shipped
    added = load_names(path)
    table = NameTable(
        tasks={**shipped.tasks, **added.tasks}, quickgelu={**shipped.quickgelu, **added.quickgelu}
    )
    table.spellings()
    return table

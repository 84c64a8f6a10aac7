"""An entry of a task catalog, written into its file beside what people wrote there."""

import re

import yaml

from vlmsel.documents import parse_yaml
from vlmsel.errors import CatalogError
from vlmsel.tasks.task_catalog import TaskSpec

KEY = "tasks"
# Where the entries of a list written line by line begin.
_ENTRY = re.compile(r"^( *)- ", re.MULTILINE)


def entry_of(spec: TaskSpec) -> dict[str, object]:
    """A task as its entry says it."""
    entry = spec.model_dump(mode="json", exclude_none=True)
    if spec.questions is None:
        # A setting of questions, whose default says nothing here.
        del entry["answers"]
    return entry


def add_entry(text: str | None, spec: TaskSpec) -> str:
    """The text of a catalog with one more task at its end; comments and order stay.

    Args:
        text: of the catalog; None where there is no file yet.
        spec: the task.

    Raises:
        CatalogError: the catalog is no list of tasks written line by line.
    """
    entry = entry_of(spec)
    if text is None or not text.strip():
        return _dump({KEY: [entry]})
    found = _ENTRY.search(text)
    indent = found[1] if found else "  "
    lines = _dump([entry]).splitlines()
    longer = "\n".join([text.rstrip(), *(indent + line for line in lines), ""])
    if _tasks(longer) != [*(_tasks(text) or []), entry]:
        raise CatalogError(
            "a task cannot be added to its end: write its list with one `- name: ...` per task"
        )
    return longer


def _tasks(text: str) -> list[object] | None:
    try:
        document = parse_yaml(text)
    except ValueError:
        return None
    found = document.get(KEY) if isinstance(document, dict) else None
    return found if isinstance(found, list) else None


def _dump(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)

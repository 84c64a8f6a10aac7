"""The tables that a command works on: a store's current zoo and tasks, or imported ones."""

from vlmsel.api.evaluate import gather_knowledge
from vlmsel.api.laboratory import Knowledge
from vlmsel.api.workspace import Workspace
from vlmsel.cli.views.console import say


def gather(
    store: str, zoo: str | None, tasks: str | None, *, imported: bool, with_logits: bool = False
) -> tuple[Knowledge, Workspace | None]:
    """The knowledge, and the workspace that it is of; None for imported tables.

    A store that holds no run of its own is taken for one of imported tables.
    """
    found = gather_knowledge(store, zoo, tasks, imported=imported, with_logits=with_logits)
    workspace = found[1]
    if workspace is not None:
        catalogs = f"zoo {workspace.zoo_source}, tasks {workspace.tasks_source}"
        say(f"{catalogs}, store {workspace.address}")
    return found

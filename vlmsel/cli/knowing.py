"""Which tables a command works on: a store's current zoo and tasks, or imported ones."""

from vlmsel.api.evaluating import Knowledge, current_knowledge, imported_knowledge
from vlmsel.api.workspace import Workspace, open_workspace, remembers
from vlmsel.cli.console import say


def gather(
    store: str, zoo: str | None, tasks: str | None, *, imported: bool, with_logits: bool = False
) -> tuple[Knowledge, Workspace | None]:
    """The knowledge, and the workspace that it is of; None for imported tables.

    A store that holds no run of its own is taken for one of imported tables.
    """
    if imported or (zoo is None and tasks is None and not remembers(store)):
        return imported_knowledge(store), None
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    say(f"zoo {workspace.zoo_source}, tasks {workspace.tasks_source}, store {workspace.address}")
    return current_knowledge(workspace, with_logits=with_logits), workspace

"""Judge selectors on what a store knows: the tables they are judged on, and the leave-one-out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vlmsel.api.laboratory import Knowledge, current_knowledge, imported_knowledge
from vlmsel.api.laboratory import evaluate as evaluate_knowledge
from vlmsel.api.workspace import Workspace, open_workspace, remembers
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.store.store import Store


def evaluate(
    store: str | Path | Store,
    *,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selectors: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    imported: bool = False,
    keep_duplicates: bool = False,
) -> LeaveOneOut:
    """Leave every known task out once and rank the zoo for it with every selector.

    Measures nothing. Near-duplicate checkpoints count once, as on the command line.

    Args:
        store: folder or address of a store.
        zoo: model catalog (YAML) or a shipped name; by default that of the store's last run.
        tasks: task catalog; by default likewise.
        selectors: names, or ``module:Class`` of one's own; by default all that the store
            has the inputs of.
        options: options of a selector by its name.
        imported: use the published tables that were imported; a store without a run of its own is
            one of imported tables in any case.
        keep_duplicates: count near-duplicate checkpoints as models of their own.

    Returns:
        Metrics, rankings and weights of every selector and task; `.summary()` is the table of means
        with intervals, `.left_out` says what was not used and why.

    Raises:
        VlmselError: of the kind that says what is missing or wrong; see `vlmsel.errors`.
    """
    knowledge, _ = gather_knowledge(store, zoo, tasks, imported=imported)
    return evaluate_knowledge(
        knowledge, selectors, options=options, keep_duplicates=keep_duplicates
    )


def gather_knowledge(
    store: str | Path | Store,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    *,
    imported: bool = False,
    with_logits: bool = False,
) -> tuple[Knowledge, Workspace | None]:
    """Read what a store knows, and the workspace that it is of; None for imported tables.

    A store that holds no run of its own is taken for one of imported tables.

    Raises:
        VlmselError: nothing is known, or a catalog cannot be read.
    """
    uri = store.uri if isinstance(store, Store) else store
    if imported or (zoo is None and tasks is None and not remembers(uri)):
        return imported_knowledge(uri), None
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    return current_knowledge(workspace, with_logits=with_logits), workspace

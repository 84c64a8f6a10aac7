"""Options that `evaluate`, `sweep` and `study` share: the judged tables, and selectors' options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli.views.console import note, say, warn
from vlmsel.errors import SettingsError
from vlmsel.suggest import nearest

if TYPE_CHECKING:
    from vlmsel.api.laboratory import Knowledge
    from vlmsel.api.workspace import Workspace

_PANEL = "Published tables"
SHOWN_NAMES = 3

AccuracyTables = Annotated[
    list[str] | None,
    typer.Option(
        "--accuracies",
        metavar="NAME",
        help="Imported accuracies to use; given more than once, the first one counts. "
        "Default: all. Implies --imported.",
        rich_help_panel=_PANEL,
    ),
]
ProfileTables = Annotated[
    list[str] | None,
    typer.Option(
        "--profiles",
        metavar="NAME",
        help="Imported profiles to use, likewise. Implies --imported.",
        rich_help_panel=_PANEL,
    ),
]
KeepDuplicates = Annotated[
    bool,
    typer.Option(
        "--keep-duplicates",
        help="Count near-duplicate checkpoints as models of their own.",
    ),
]
SelectorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="SELECTOR.KEY=VALUE",
        help="Option of a selector, e.g. --option dcd.eta=4; may be given more than once.",
    ),
]


def gather_tables(
    store: str,
    zoo: str | None,
    tasks: str | None,
    *,
    imported: bool,
    accuracies: Sequence[str] | None = None,
    profiles: Sequence[str] | None = None,
    with_logits: bool = False,
) -> tuple["Knowledge", "Workspace | None"]:
    """The knowledge, and the workspace that it is of; None for imported tables."""
    from vlmsel.api.laboratory import imported_knowledge
    from vlmsel.cli.knowledge_choice import gather

    if accuracies or profiles:
        knowledge = imported_knowledge(store, accuracies=accuracies or (), profiles=profiles or ())
        workspace = None
    else:
        knowledge, workspace = gather(store, zoo, tasks, imported=imported, with_logits=with_logits)
    for line in knowledge.notes:
        say(line)
    return knowledge, workspace


def selector_options(items: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """Options of selectors by name, checked.

    Raises:
        SettingsError: it is not written SELECTOR.KEY=VALUE, or the selector has no such option.
        SelectionError: there is no such selector, or the value is impossible.
    """
    from vlmsel.selection.registry import make_selector

    found: dict[str, dict[str, str]] = {}
    for item in items or []:
        place, equals, value = item.partition("=")
        name, dot, key = place.strip().rpartition(".")
        if not (equals and dot and key):
            raise SettingsError(
                f"--option {item}: write it as SELECTOR.KEY=VALUE, e.g. --option dcd.eta=4"
            )
        known = list(type(make_selector(name)).model_fields)
        if key not in known:
            all_of_them = f"; it has {', '.join(known) or 'none'}"
            hint = nearest(key, known, n=1) or all_of_them
            raise SettingsError(f"--option {item}: {name} has no option {key}{hint}")
        found.setdefault(name, {})[key] = value.strip()
    for name, options in found.items():
        make_selector(name, **options)
    return found


def show_left_out(left_out: pl.DataFrame) -> None:
    """Say what could not be used, and why, one line per reason."""
    per_name = left_out.unique(["kind", "name"], maintain_order=True)
    for (kind, reason), rows in per_name.group_by("kind", "reason", maintain_order=True):
        names = rows["name"].to_list()
        shown = ", ".join(names[:SHOWN_NAMES])
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        several = f"{len(names)} {kind}s" if len(names) > 1 else str(kind)
        warn(f"left out {several} {shown}{more}: {reason}")
    if left_out["reason"].str.ends_with("counted once").any():
        note("near-duplicate checkpoints count once: --keep-duplicates counts them all")

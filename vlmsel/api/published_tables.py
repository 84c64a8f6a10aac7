"""Published tables of a store, chosen by name and brought under common model names."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from vlmsel.columns import CELL, MODEL
from vlmsel.errors import StoreError
from vlmsel.evidence.accuracies import SCHEMA, join_imported
from vlmsel.published.names import load_names
from vlmsel.published.stored_tables import read_accuracies, read_features, read_profiles
from vlmsel.store.filesystem import Folder, open_folder

# Tables that differ by less print the same figure with other rounding.
ROUNDING = 5e-4


def chosen_accuracies(store: str | Path, names: Sequence[str]) -> pl.DataFrame:
    """Imported accuracies, one row per cell; the first of `names` counts where two know a cell.

    Args:
        store: folder or address.
        names: of imports; empty means all, which must then agree.

    Raises:
        StoreError: nothing was imported, a name is unknown, or no name is given and two tables
            contradict each other.
    """
    folder = open_folder(store)
    known = _require_accuracies(folder)
    _check_names(folder.address, "accuracies", names, known)
    if not names:
        _refuse_contradictions(folder.address, known)
    sources = names or sorted(set(known["source"]))
    none = pl.DataFrame(schema=SCHEMA)
    return join_imported(none, known, sources=sources, address=folder.address)


def accuracy_tables(store: str | Path, names: Sequence[str] = ()) -> dict[str, pl.DataFrame]:
    """Imported accuracies, each table by itself, by the names of the imports.

    Args:
        store: folder or address.
        names: of imports; all when empty.

    Raises:
        StoreError: nothing was imported, or a name is unknown.
    """
    folder = open_folder(store)
    known = _require_accuracies(folder)
    _check_names(folder.address, "accuracies", names, known)
    chosen = list(dict.fromkeys(names)) or sorted(set(known["source"]))
    return {name: known.filter(source=name) for name in chosen}


def chosen_profiles(store: str | Path, names: Sequence[str]) -> pl.DataFrame:
    """Imported profiles of the named imports, or of all; where two know a model the first counts.

    Raises:
        StoreError: a name is unknown, or no name is given and two imports hold one model.
    """
    folder = open_folder(store)
    if not names:
        return read_profiles(folder, None)
    tables = [read_profiles(folder, name) for name in names]
    chosen = tables[0]
    for table in tables[1:]:
        chosen = pl.concat([chosen, table.join(chosen, on=MODEL, how="anti")])
    return chosen


def chosen_features(store: str | Path) -> pl.DataFrame:
    """Imported text features, one row per cell; the first table by name counts."""
    known = read_features(open_folder(store))
    return known.unique(subset=CELL, keep="first", maintain_order=True)


def rename_to_known(
    profiles: pl.DataFrame, accuracies: pl.DataFrame, what: str = "profiles"
) -> tuple[pl.DataFrame, list[str]]:
    """Profiles, or features, under the name of the accuracies, where only the suffix differs.

    Some tables print X/openai for X-quickgelu/openai (`names.yaml` says of which checkpoints). A
    profiled model without accuracies takes the accuracies of that other name, unless the other
    name has profiles of its own.

    Returns:
        The profiles, and one line for people a model that was renamed.
    """
    names = load_names()
    judged = set(accuracies.select(MODEL).unique().rows())
    profiled = set(profiles.select(MODEL).unique().rows())
    other = {names.model(*key, quickgelu=True): key for key in sorted(judged - profiled)}
    renamed = []
    for key in sorted(profiled - judged):
        known = other.get(names.model(*key, quickgelu=True))
        if known is not None:
            renamed.append((*key, *known))
    notes = [f"{a}/{b} of the {what} is {c}/{d} of the accuracies" for a, b, c, d in renamed]
    schema = dict.fromkeys((*MODEL, "_model", "_pretrained"), pl.String)
    table = pl.DataFrame(renamed, schema=schema, orient="row")
    joined = profiles.join(table, on=MODEL, how="left", maintain_order="left")
    return joined.with_columns(
        model=pl.coalesce("_model", "model"), pretrained=pl.coalesce("_pretrained", "pretrained")
    ).drop("_model", "_pretrained"), notes


def _require_accuracies(folder: Folder) -> pl.DataFrame:
    """All imported accuracies, at least one."""
    known = read_accuracies(folder)
    if known.is_empty():
        raise StoreError(
            f"store {folder.address} holds no imported accuracies: `vlmsel import accuracies FILE "
            f"--store {folder.address}` reads a published table, `vlmsel profile` and "
            "`vlmsel accuracy` measure a zoo"
        )
    return known


def _check_names(address: str, kind: str, names: Sequence[str], known: pl.DataFrame) -> None:
    sources = sorted(set(known["source"]))
    for name in names:
        if name not in sources:
            raise StoreError(
                f"store {address} has no imported {kind} named {name!r}: there is "
                f"{', '.join(sources)}"
            )


def _refuse_contradictions(address: str, known: pl.DataFrame) -> None:
    spread = pl.col("acc1").max() - pl.col("acc1").min()
    spreads = known.group_by(CELL).agg(spread.alias("spread"), pl.col("source").sort())
    spreads = spreads.filter(pl.col("spread") > ROUNDING).sort("spread", descending=True)
    if spreads.is_empty():
        return
    model, pretrained, task, most, sources = spreads.row(0)
    raise StoreError(
        f"imported tables of store {address} contradict each other on {spreads.height} (model, "
        f"task) pairs, the most on {model}/{pretrained} on {task}: {', '.join(sources)} differ by "
        f"{most:.3f}; choose with --accuracies {sources[0]}, or name several, the first one counts"
    )

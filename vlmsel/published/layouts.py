"""Layouts of published tables of accuracies, recognised by their columns."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from vlmsel.errors import StoreError
from vlmsel.published.class_accuracies import (
    CLASS_COLUMNS,
    ImportedClasses,
    read_class_accuracies,
    read_exported_classes,
)
from vlmsel.published.clean_tables import Imported, read_header
from vlmsel.published.clip_benchmark import read_clip_benchmark
from vlmsel.published.image_predictions import PREDICTION_COLUMNS
from vlmsel.published.layer_profiles import PROFILE_COLUMNS
from vlmsel.published.long_table import long_columns, read_long_table
from vlmsel.published.lovm import read_lovm_table
from vlmsel.published.mieb import MIEB_COLUMNS, Protocol, read_mieb
from vlmsel.published.names import NameTable
from vlmsel.published.openclip import read_openclip_results
from vlmsel.published.own_tables import exported_kind, read_exported


class Layout(StrEnum):
    """Layout of a table of accuracies."""

    auto = "auto"
    vlmsel = "vlmsel"
    openclip = "openclip"
    lovm = "lovm"
    clip_benchmark = "clip-benchmark"
    mieb = "mieb"
    classes = "classes"
    long = "long"


def recognise(path: str | Path) -> Layout:
    """Recognise a layout by the names of the columns.

    Raises:
        StoreError: the file cannot be read, is no table of accuracies, or is like none of them.
    """
    header = read_header(path)
    names = set(header)
    exported = exported_kind(header)
    if exported in ("accuracies", "classes"):
        return Layout.vlmsel
    if exported == "rankings":
        raise StoreError(f"table {path} holds rankings: read it with `vlmsel import rankings`")
    for columns, kind in ((PREDICTION_COLUMNS, "predictions"), (PROFILE_COLUMNS, "profiles")):
        if set(columns) <= names:
            raise StoreError(f"table {path} holds {kind}: read it with `vlmsel import {kind}`")
    by_columns = (
        (Layout.mieb, set(MIEB_COLUMNS) <= names),
        (Layout.clip_benchmark, {"downstream_dataset", "acc1"} <= names),
        (Layout.classes, set(CLASS_COLUMNS) <= names),
        (Layout.lovm, {"dataset", "acc1"} <= {name.lower() for name in header}),
        (Layout.openclip, {"name", "pretrained"} <= names),
        (Layout.long, bool(long_columns(header))),
    )
    found = next((layout for layout, fits in by_columns if fits), None)
    if found is None:
        raise StoreError(
            f"table {path} {_describe_no_table(header)}has another layout than those known: "
            "openclip (name, pretrained, one column per data set), lovm (dataset, acc1, "
            "model_fullname), clip-benchmark (downstream_dataset, acc1, "
            "model_fullname), mieb (model, task, main_score, accuracy), classes (dataset, model, "
            "pretrained, classname, acc), long (model, pretrained, task, "
            f"accuracy); found {', '.join(header[:12])}{', ...' if len(header) > 12 else ''}"
        )
    return found


def read_accuracies(
    path: str | Path,
    layout: Layout = Layout.auto,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    protocol: Protocol | None = None,
    prompts: str | None = None,
    keep_unknown: bool | None = None,
    names: NameTable | None = None,
) -> Imported | ImportedClasses:
    """Read a table of accuracies in any layout; one of classes gives those, too.

    Args:
        path: the file.
        layout: `auto` recognises it.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        protocol: of MIEB's tables alone.
        prompts: of long tables with a column prompts alone.
        keep_unknown: whether tasks that the name table does not know are kept under their own
            names; None is the layout's own habit: a long table keeps them.
        names: another name table than the shipped one.

    Raises:
        StoreError: the file cannot be read in this layout, or an option does not belong to it.
    """
    chosen = recognise(path) if layout is Layout.auto else Layout(layout)
    _refuse_options(chosen, protocol, prompts, keep_unknown, quickgelu=quickgelu)
    if chosen is Layout.vlmsel:
        return _read_own(path, percent=percent)
    unknown: dict[str, Any] = {} if keep_unknown is None else {"keep_unknown": keep_unknown}
    if chosen is Layout.mieb:
        how = protocol or Protocol.zero_shot
        return read_mieb(path, percent=percent, protocol=how, names=names, **unknown)
    common: dict[str, Any] = {"percent": percent, "quickgelu": quickgelu, "names": names}
    if chosen is Layout.classes:
        common["percent"] = percent or None
        return read_class_accuracies(path, prompts=prompts, **common, **unknown)
    if chosen is Layout.long:
        return read_long_table(path, prompts=prompts, **common, **unknown)
    if chosen is Layout.clip_benchmark:
        return read_clip_benchmark(path, **common, **unknown)
    readers = {Layout.openclip: read_openclip_results, Layout.lovm: read_lovm_table}
    return readers[chosen](path, **common, **unknown)


def _describe_no_table(header: Sequence[str]) -> str:
    """Name the kind of a file that is served or kept in place of a table."""
    start = (header[0] if header else "").lower()
    if start.startswith(("<!doctype", "<html", "<?xml")):
        return "is a web page (download the raw file) and "
    if start.startswith("version https://git-lfs"):
        return "is a pointer of Git LFS (`git lfs pull` gets the file) and "
    return ""


def _read_own(path: str | Path, *, percent: bool) -> Imported | ImportedClasses:
    """A table that `vlmsel export` wrote, word for word.

    Raises:
        StoreError: it is none, or is said to be in percent.
    """
    if percent:
        raise StoreError(f"table {path} was written by `vlmsel export`, in fractions")
    if exported_kind(read_header(path)) == "classes":
        return read_exported_classes(read_exported(path, "classes"), path)
    return read_exported(path, "accuracies")


def _refuse_options(
    layout: Layout,
    protocol: Protocol | None,
    prompts: str | None,
    keep_unknown: bool | None,
    *,
    quickgelu: bool,
) -> None:
    """Options that a layout does not have must not be dropped in silence."""
    wrong = [
        option
        for option, given, layouts in (
            ("--protocol", protocol is not None, (Layout.mieb,)),
            ("--prompts", prompts is not None, (Layout.long, Layout.classes)),
            ("--keep-unknown", bool(keep_unknown), _WITH_UNKNOWN),
            ("--quickgelu", quickgelu, tuple(set(Layout) - _WORD_FOR_WORD)),
        )
        if given and layout not in layouts
    ]
    if wrong:
        raise StoreError(f"{' and '.join(wrong)} has no meaning in a table of layout {layout}")


_WORD_FOR_WORD = {Layout.mieb, Layout.vlmsel}
_WITH_UNKNOWN = tuple(set(Layout) - {Layout.vlmsel})

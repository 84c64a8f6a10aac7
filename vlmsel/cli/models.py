"""``vlmsel models``: what is in a zoo, or the blocks of every architecture."""

from typing import Annotated

import polars as pl
import typer

from vlmsel.cli.console import emit_json, show_table
from vlmsel.cli.counting import counted
from vlmsel.cli.options import AsJson
from vlmsel.errors import SettingsError


def models(
    zoo: Annotated[
        str | None,
        typer.Option(
            help="Model catalog (YAML), or a shipped one: demo, paper.", show_default="demo"
        ),
    ] = None,
    blocks: Annotated[
        bool,
        typer.Option(
            "--blocks", help="List every architecture of open_clip with its blocks instead."
        ),
    ] = False,
    match: Annotated[
        str | None, typer.Option(help="Only names that hold this text, e.g. SigLIP.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the models of a zoo; with --blocks, what is known of every open_clip architecture.

    A zoo is a YAML file with a list `models` of `model` and `pretrained`, open_clip's names.
    """
    if blocks and zoo is not None:
        raise SettingsError("--blocks lists all of open_clip: leave out --zoo, or use --match")
    zoo = "demo" if zoo is None else zoo
    frame = _architectures(match) if blocks else _zoo(zoo, match)
    if frame.is_empty():
        raise SettingsError(f"no name holds {match!r}: run it without --match to see them all")
    if as_json:
        emit_json(frame)
    else:
        show_table(frame, title="architectures" if blocks else f"zoo {zoo}", decimals=1)


def _zoo(source: str, match: str | None) -> pl.DataFrame:
    from vlmsel.zoo.catalog import load_zoo

    rows = [
        {
            "model": spec.model,
            "pretrained": spec.pretrained,
            "weights": spec.weights or spec.encoder or "model hub",
        }
        for spec in load_zoo(source).models
        if match is None or match.lower() in spec.name.lower()
    ]
    return pl.DataFrame(rows, schema={"model": pl.Utf8, "pretrained": pl.Utf8, "weights": pl.Utf8})


def _architectures(match: str | None) -> pl.DataFrame:
    from vlmsel.zoo.describe import describe_architectures
    from vlmsel.zoo.registry import architectures

    names = [n for n in architectures() if match is None or match.lower() in n.lower()]
    found = counted(describe_architectures(names), len(names), lambda one: one.model)
    rows = [
        (d.model, d.family, d.n_blocks, d.parameters / 1e6, "x".join(map(str, d.image_size)))
        for d in found
    ]
    columns = {
        "model": pl.String,
        "family": pl.String,
        "blocks": pl.Int64,
        "visual_parameters_M": pl.Float64,
        "image_size": pl.String,
    }
    return pl.DataFrame(rows, schema=columns, orient="row")

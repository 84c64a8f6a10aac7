"""``vlmsel models``: what is in a zoo, or the blocks of every architecture."""

from typing import Annotated

import polars as pl
import typer

from vlmsel.cli.options import AsJson
from vlmsel.cli.views.console import emit_json, show_table
from vlmsel.cli.views.count_progress import count_progress
from vlmsel.columns import MODEL
from vlmsel.errors import SettingsError

# No file of a zoo: the shipped table of published accuracies.
REAL = "real"


def models(
    zoo: Annotated[
        str | None,
        typer.Option(
            help="Model catalog (YAML), or a shipped one: demo, paper; `real` lists the published "
            "models that `select` answers about without a store.",
            show_default="demo",
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
        shown = frame.select(pl.exclude("weights") if zoo == REAL else pl.all())
        show_table(
            shown.drop([name for name in shown.columns if shown[name].null_count() == len(shown)]),
            title="architectures" if blocks else f"zoo {zoo}",
            decimals=1,
        )


def _zoo(source: str, match: str | None) -> pl.DataFrame:
    """The models with what the published table knows of them; null where it knows nothing."""
    from vlmsel.published.real_models import real_models
    from vlmsel.zoo.catalog import load_zoo

    table = real_models()
    percent = (100 * pl.col("acc1")).alias("ImageNet")
    imagenet = table.accuracies.filter(task="imagenet1k").select(*MODEL, percent)
    facts = table.models.join(imagenet, on=MODEL, how="left").select(
        *MODEL, million_parameters="parameters_m", input_size="input_size", ImageNet="ImageNet"
    )
    if source == REAL:
        listed = table.models.select(*MODEL, weights=pl.col("weights").fill_null("model hub"))
        joined = listed.join(facts, on=MODEL, how="left").sort("ImageNet", descending=True)
        name = pl.concat_str(MODEL, separator="/").str.to_lowercase()
        return joined.filter(name.str.contains(match.lower(), literal=True)) if match else joined
    rows = [
        {
            "model": spec.model,
            "pretrained": spec.pretrained,
            "weights": spec.weights or spec.encoder or "model hub",
        }
        for spec in load_zoo(source).models
        if match is None or match.lower() in spec.name.lower()
    ]
    columns = {"model": pl.Utf8, "pretrained": pl.Utf8, "weights": pl.Utf8}
    found = pl.DataFrame(rows, schema=columns)
    return found.join(facts, on=MODEL, how="left", maintain_order="left")


def _architectures(match: str | None) -> pl.DataFrame:
    from vlmsel.zoo.architecture_facts import describe_architectures
    from vlmsel.zoo.open_clip_tables import architectures

    names = [n for n in architectures() if match is None or match.lower() in n.lower()]
    found = count_progress(
        describe_architectures(names), len(names), lambda architecture: architecture.model
    )
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

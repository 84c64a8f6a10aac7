"""A ranked zoo on the screen: the table, and beside it what it rests on."""

import polars as pl

from vlmsel.api.ranking import BASELINE, MODEL, Selection
from vlmsel.cli.console import note, show_table, tell, warn, warn_of_some

SHOWN_IMAGES = 10


def show_selection(selection: Selection, top: int) -> None:
    """The ranking for people, with what must be said beside it."""
    ranking = selection.ranking
    title = (
        f"{selection.target}: {selection.n_images} images, "
        f"the first {min(top, selection.table.height)} of {selection.table.height} models"
    )
    show_table(ranking_table(selection).head(top), title=title)
    for line in _legend(selection):
        note(line)
    tell(f"selector {selection.selector}: {selection.why}")
    if ranking.effective_sources is not None:
        tell(
            f"effective sources: {ranking.effective_sources:.1f} of {ranking.n_sources} (how many "
            "source tasks really speak)"
        )
    _say_rival(selection)
    tell(selection.trust.sentence)
    if ranking.notice:
        warn(ranking.notice)
    if selection.novelty and selection.novelty.notice:
        warn(selection.novelty.notice)
    for row in ranking.left_out.iter_rows(named=True):
        warn(f"left out {row['model']}/{row['pretrained']}: {row['reason']}")


def ranking_table(selection: Selection) -> pl.DataFrame:
    """The table under headers that a newcomer understands; columns without any value are gone."""
    table = selection.table
    shown = [pl.col("rank", *MODEL), "score"]
    shown.append(pl.format("{} - {}", "low", "high").alias("true rank"))
    percent = (pl.col("top5") * 100).round(0).cast(pl.Int64)
    shown.append(pl.format("{}%", percent).alias("in top 5"))
    if "image_low" in table.columns:
        places = (pl.col(c).round(0).cast(pl.Int64) for c in ("image_low", "image_high"))
        shown.append(pl.format("{} - {}", *places).alias("by images"))
    if table["sources"].null_count() < table.height:
        shown.append(pl.col("sources").alias("sources that spoke most"))
    if selection.selector != BASELINE:
        shown.append(pl.col("average_rank").alias(f"{BASELINE} says"))
    return table.select(shown)


def _legend(selection: Selection) -> list[str]:
    lines = [
        "score: lower is better",
        "true rank, in top 5: where models put on this place truly were in leave-one-out (95 %)",
    ]
    if "image_low" in selection.table.columns:
        lines.append("by images: the place when the images are drawn again (bootstrap, 95 %)")
    if selection.selector != BASELINE:
        lines.append(f"{BASELINE} says: its place by the mean rank over all sources, images unseen")
    return lines


def _say_rival(selection: Selection) -> None:
    """What the simplest rival would choose, where that is another model."""
    first = selection.rival.table.row(0, named=True)
    ours = selection.table.filter(model=first["model"], pretrained=first["pretrained"])
    if ours.height and ours["rank"][0] != 1:
        tell(
            f"{BASELINE} would choose {first['model']}/{first['pretrained']}, here on place "
            f"{ours['rank'][0]}"
        )


def name_failures(failed: pl.DataFrame) -> int:
    """Name the images that were skipped, the first ones in full; returns how many there are."""
    if failed.is_empty():
        return 0
    images = failed.unique("image_id", keep="first", maintain_order=True)
    lines = [f"skipped image {row['image_id']}: {row['reason']}" for row in images.to_dicts()]
    warn_of_some(lines, SHOWN_IMAGES, " images")
    return images.height


def selection_dict(selection: Selection, top: int) -> dict[str, object]:
    """What ``--json`` prints."""
    ranking = selection.ranking
    return {
        "target": selection.target,
        "selector": selection.selector,
        "why": selection.why,
        "n_images": selection.n_images,
        "ranking": selection.table.head(top),
        "effective_sources": ranking.effective_sources,
        "n_sources": ranking.n_sources,
        "near_uniform": ranking.near_uniform,
        "notice": ranking.notice,
        "novelty": selection.novelty.notice if selection.novelty else None,
        "trust": selection.trust.sentence,
        "failed_images": selection.failed_images,
        "left_out": ranking.left_out,
    }

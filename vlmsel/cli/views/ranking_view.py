"""A ranked zoo on the screen: the first line, the table, and beside it what it rests on."""

import polars as pl

from vlmsel.api.selection import Selection
from vlmsel.cli.views.console import (
    note,
    show_table,
    stdout,
    table_width,
    tell,
    warn,
    warn_of_some,
)
from vlmsel.columns import MODEL
from vlmsel.evaluation.leave_one_out import BASELINE

SHOWN_IMAGES = 10


def show_selection(selection: Selection, top: int) -> None:
    """The ranking for people: what to make of it first, then the table, then what it rests on."""
    tell(f"{selection.target}: {selection.headline}")
    whole = ranking_table(selection).head(top)
    table = fit_width(whole, stdout.width)
    show_table(table, title=_title(selection, table.height))
    for line in _legend(selection, table.columns):
        note(line)
    narrow = [name for name in whole.columns if name not in table.columns]
    if narrow:
        note(f"not shown at this width: {', '.join(narrow)} (--json and --report have all)")
    _say_sources(selection, top)
    tell(f"selector {selection.selector}: {selection.why}")
    effective = selection.details.effective_sources
    if effective is not None:
        tell(
            f"effective sources: {effective:.1f} of {selection.n_sources} (how many source tasks "
            "really speak)"
        )
    _say_rival(selection)
    if selection.trust is not None and selection.is_trustworthy:
        tell(selection.trust.sentence)
    for notice in selection.warnings:
        if not selection.headline.endswith(notice.text) and notice.code not in SAID_BELOW:
            warn(notice.text)
    for row in selection.details.left_out.iter_rows(named=True):
        warn(f"left out {row['model']}/{row['pretrained']}: {row['reason']}")


# Each image and model is named by itself.
SAID_BELOW = ("failed-images", "models-left-out")


def _title(selection: Selection, shown: int) -> str:
    n_images = selection.images.n_images
    images = f"{n_images} images" if n_images else "images not looked at"
    return f"{selection.target}: {images}, the first {shown} of {selection.ranking.height} models"


def ranking_table(selection: Selection) -> pl.DataFrame:
    """The table under headers that a newcomer understands; columns without any value are gone."""
    table = selection.ranking
    shown = [pl.col("rank"), pl.concat_str(*MODEL, separator="/").alias("model"), "score"]
    if _has(table, "low"):
        shown.append(pl.format("{} - {}", "low", "high").alias("true rank"))
    if _has(table, "top5"):
        percent = (pl.col("top5") * 100).round(0).cast(pl.Int64)
        shown.append(pl.format("{}%", percent).alias("in top 5"))
    if _has(table, "image_low"):
        places = (pl.col(c).round(0).cast(pl.Int64) for c in ("image_low", "image_high"))
        shown.append(pl.format("{} - {}", *places).alias("by images"))
    if selection.selector != BASELINE and _has(table, "average_rank"):
        shown.append(pl.col("average_rank").alias(AVERAGE))
    return table.select(shown)


def fit_width(table: pl.DataFrame, width: int) -> pl.DataFrame:
    """The table without the columns that would wrap it; rank and model always stay."""
    for name in FIRST_TO_GO:
        if table_width(table) <= width:
            break
        table = table.drop(name, strict=False)
    return table


AVERAGE = "average"
FIRST_TO_GO = ("by images", "score", "in top 5", AVERAGE, "true rank")


def _has(table: pl.DataFrame, column: str) -> bool:
    return table[column].null_count() < table.height


def _legend(selection: Selection, columns: list[str]) -> list[str]:
    lines = ["score: lower is better"] if "score" in columns else []
    placed = ", ".join(name for name in ("true rank", "in top 5") if name in columns)
    if placed:
        where = "where models put on this place truly were in leave-one-out (95 %)"
        lines.append(f"{placed}: {where}")
    if "by images" in columns:
        lines.append("by images: the place when the images are drawn again (bootstrap, 95 %)")
    if AVERAGE in columns:
        lines.append(f"{AVERAGE}: its place by the mean rank over all sources, images unseen")
    return lines


def _say_sources(selection: Selection, top: int) -> None:
    """Print the heaviest sources, once for all models that share them."""
    weighed = selection.ranking.head(top).filter(pl.col("sources").is_not_null())
    if weighed.is_empty():
        return
    groups = weighed.group_by("sources", maintain_order=True).agg("rank")
    if groups.height == 1:
        tell(f"sources that spoke most: {groups['sources'][0]}")
        return
    tell("sources that spoke most, by rank of the model:")
    for sources, ranks in groups.iter_rows():
        tell(f"  {', '.join(map(str, ranks))}: {sources}")


def _say_rival(selection: Selection) -> None:
    """Print the choice of the simplest rival, where that is another model."""
    if selection.rival is None:
        return
    first = selection.rival.table.row(0, named=True)
    ours = selection.ranking.filter(model=first["model"], pretrained=first["pretrained"])
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
    """Build the object that ``--json`` prints."""
    from vlmsel.cli.views.plan_run import list_passed_over

    details, trust, pictures = selection.details, selection.trust, selection.images.pictures
    interval = (trust.regret_low, trust.regret_high) if trust and selection.is_trustworthy else None
    return {
        "target": selection.target,
        "headline": selection.headline,
        "is_trustworthy": selection.is_trustworthy,
        "warnings": [
            {"code": notice.code, "text": notice.text, "is_serious": notice.is_serious}
            for notice in selection.warnings
        ],
        "unlike_every_source": selection.unlike_every_source,
        "few_sources": selection.few_sources,
        "expected_loss": selection.expected_loss,
        "expected_loss_interval": interval,
        "selector": selection.selector,
        "why": selection.why,
        "n_images": selection.images.n_images,
        "images_looked_at": selection.images_looked_at,
        "constant_images": pictures.constant if pictures else (),
        "repeated_images": pictures.repeated if pictures else (),
        "n_models": selection.ranking.height,
        "ranking": selection.ranking.head(top),
        "effective_sources": details.effective_sources,
        "n_sources": selection.n_sources,
        "near_uniform": details.near_uniform,
        "notice": details.notice,
        "novelty": selection.novelty.notice if selection.novelty else None,
        "trust": trust.sentence if trust else None,
        "failed_images": selection.failed_images,
        "passed_over": [row["what"] for row in list_passed_over(selection.summary)],
        "left_out": details.left_out,
    }

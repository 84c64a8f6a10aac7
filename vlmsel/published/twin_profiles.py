"""Models whose profiles are one measurement printed twice, so that a zoo counts them once."""

import polars as pl

from vlmsel.columns import MODEL


def duplicate_groups(profiles: pl.DataFrame) -> list[tuple[tuple[str, str], ...]]:
    """Groups of (model, pretrained) that have equal profiles on every image that both have.

    Equal means in every block and every digit. RN101 and RN101-quickgelu of the published profiles
    are such a pair: one checkpoint under one activation, printed twice.

    Args:
        profiles: long form: model, pretrained, task, image_id (may be absent), block, conductance.

    Returns:
        Groups of two or more, models and groups sorted.
    """
    image = ["task", "image_id"] if "image_id" in profiles.columns else ["task"]
    curves = profiles.group_by(*MODEL, *image).agg(
        # A sum of row hashes does not depend on the order of the rows.
        curve=pl.struct("block", "conductance").hash(seed=0).sum()
    )
    equal = _pairs(curves.join(curves, on=[*image, "curve"], suffix="_b"))
    candidates = equal.select("model", "pretrained").unique()
    rivals = curves.join(candidates, on=MODEL, how="semi")
    pairs = _pairs(rivals.join(rivals, on=image, suffix="_b"))
    same = equal.join(pairs, on=equal.columns, how="semi")
    return _connect([((a, b), (c, d)) for a, b, c, d, _ in same.iter_rows()])


def _pairs(joined: pl.DataFrame) -> pl.DataFrame:
    """Count the images of each ordered pair of different models in `joined`."""
    ordered = joined.filter(
        pl.struct("model", "pretrained") != pl.struct(model="model_b", pretrained="pretrained_b")
    )
    return ordered.group_by("model", "pretrained", "model_b", "pretrained_b").len()


def _connect(
    pairs: list[tuple[tuple[str, str], tuple[str, str]]],
) -> list[tuple[tuple[str, str], ...]]:
    groups: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for first, second in pairs:
        merged = groups.get(first, {first}) | groups.get(second, {second})
        for member in merged:
            groups[member] = merged
    return sorted({tuple(sorted(group)) for group in groups.values()})

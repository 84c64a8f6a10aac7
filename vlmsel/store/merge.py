"""One profile an image: cells overlap when a task was sharded in two ways, and must then agree."""

import polars as pl

from vlmsel.errors import StoreError

IMAGE = ("model", "pretrained", "task", "image_id", "block")
# One image in batches of two sizes differs by rounding; other weights differ by far more.
RELATIVE_TOLERANCE = 1e-4


def one_row_per_image(rows: pl.DataFrame, address: str) -> pl.DataFrame:
    """`rows` sorted by image and block, repeated images taken once.

    Raises:
        StoreError: one image of one model and task has two different contents or profiles.
    """
    unique = rows.unique(subset=IMAGE, keep="first", maintain_order=True)
    if unique.height != rows.height:
        _check_repeats_agree(rows, address)
    return unique.sort(IMAGE)


def _check_repeats_agree(rows: pl.DataFrame, address: str) -> None:
    low, high = pl.col("conductance").min(), pl.col("conductance").max()
    groups = rows.group_by(IMAGE).agg(
        differ=(pl.col("image_sha256").n_unique() > 1)
        | (pl.col("block_name").n_unique() > 1)
        | ((high - low) > RELATIVE_TOLERANCE * high)
    )
    conflicts = groups.filter("differ").select(IMAGE[:-1]).unique().sort(IMAGE[:-1])
    if conflicts.height:
        model, pretrained, task, image = conflicts.row(0)
        raise StoreError(
            f"store {address} holds two different profiles of {conflicts.height} images, the first "
            f"is {image} of task {task} for {model}/{pretrained}: its weights or images have "
            "changed; pass zoo and tasks to choose the current ones"
        )

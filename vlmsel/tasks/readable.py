"""Whether there is anything to measure: asked before models are loaded, which takes long."""

from collections.abc import Iterable

from vlmsel.errors import ImageError, TaskError
from vlmsel.tasks.decode import decode_image
from vlmsel.tasks.shards import Shard, read_shard


def require_readable(shards: Iterable[Shard]) -> None:
    """Decode images until one succeeds, usually the first.

    Raises:
        TaskError: none does; names the first and why.
    """
    failed: list[str] = []
    for shard in shards:
        for ref, data in read_shard(shard):
            try:
                if isinstance(data, TaskError):
                    raise data
                decode_image(data)
            except (TaskError, ImageError) as error:
                failed.append(f"{ref.image_id}: {str(error).removeprefix(f'{ref.image_id}: ')}")
            else:
                return
    if failed:
        raise TaskError(f"none of {len(failed)} image(s) could be measured; the first, {failed[0]}")

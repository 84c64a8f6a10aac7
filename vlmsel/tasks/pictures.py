"""Constant and repeated pictures among a target's images, found by decoding alone.

Ten black squares or one picture thirty times are thirty files and no evidence. A picture is
constant when no colour channel spans more than `FLAT` levels, and repeated when its thumbnail is
within `CLOSE` levels of an earlier one's everywhere: copies saved in other formats are found, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vlmsel.errors import ImageError, TaskError
from vlmsel.plurals import number_of
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.shards import Shard, read_shard

# Levels of 255. A copy saved as JPEG, with its coarse colours, stays within CLOSE of the picture in
# every patch, and a flat picture within FLAT.
FLAT, CLOSE = 4, 6.0
SIZE = 16
# Fewer different pictures say little of a task.
ENOUGH = 5


@dataclass(frozen=True)
class Pictures:
    """Contents of a target's images, as far as decoding tells.

    Attributes:
        n_held: images that the target has.
        n_read: images that were looked at and could be decoded.
        constant: ids of pictures of one colour.
        repeated: ids of pictures that equal an earlier one; constant ones are not counted.
        unreadable: (id, reason) of images that cannot be decoded.
    """

    n_held: int
    n_read: int
    constant: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = field(default=())

    @property
    def n_different(self) -> int:
        """Pictures that are neither constant nor a copy of another."""
        return self.n_read - len(self.constant) - len(self.repeated)

    @property
    def is_enough(self) -> bool:
        """True if there are different pictures enough to tell a task by."""
        return self.n_different >= ENOUGH

    @property
    def notice(self) -> str | None:
        """The sentence to show where pictures are constant, repeated or few, else None."""
        parts = []
        if self.constant:
            parts.append(f"{len(self.constant)} of {self.n_read} images are of one colour")
        if self.repeated:
            parts.append(f"{len(self.repeated)} of {self.n_read} repeat another image")
        if not parts and self.is_enough:
            return None
        pictures = number_of(self.n_different, "different picture", "different pictures")
        parts.append(f"{pictures} can be used")
        few = "" if self.is_enough else f", too few to tell a task by ({ENOUGH} are needed)"
        return f"{'; '.join(parts)}{few}"


def look_at_pictures(shards: Iterable[Shard], n_held: int) -> Pictures:
    """Decode images and find those that are constant or repeated.

    Args:
        shards: the images to look at.
        n_held: images that the target has in all.

    Raises:
        TaskError: none can be decoded; names the first and why.
    """
    read: list[str] = []
    constant: list[str] = []
    repeated: list[str] = []
    unreadable: list[tuple[str, str]] = []
    seen = np.zeros((0, SIZE, SIZE, 3))
    for ref, data in _read_in_order(shards):
        try:
            if isinstance(data, TaskError):
                raise data
            image = decode_image(data, least_size=8 * SIZE)
        except (TaskError, ImageError) as error:
            unreadable.append((ref.image_id, str(error).removeprefix(f"{ref.image_id}: ")))
            continue
        read.append(ref.image_id)
        if all(high - low <= FLAT for low, high in _extrema(image)):
            constant.append(ref.image_id)
            continue
        small = _thumbnail(image)
        if len(seen) and np.abs(seen - small).max(axis=(1, 2, 3)).min() <= CLOSE:
            repeated.append(ref.image_id)
        else:
            seen = np.concatenate([seen, small[None]])
    if unreadable and not read:
        first = ": ".join(unreadable[0])
        raise TaskError(f"none of {len(unreadable)} image(s) could be measured; the first, {first}")
    return Pictures(n_held, len(read), tuple(constant), tuple(repeated), tuple(unreadable))


def _read_in_order(shards: Iterable[Shard]) -> Iterable[tuple[ImageRef, bytes | TaskError]]:
    for shard in shards:
        yield from read_shard(shard)


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    """Smallest and largest level of each of the three channels."""
    pixels = np.asarray(image).reshape(-1, 3)
    return list(zip(pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist(), strict=True))


def _thumbnail(image: Image.Image) -> np.ndarray:
    small = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64)

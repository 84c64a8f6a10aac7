"""Pictures as the page shows them: decoded within the limits of every image, and encoded anew.

What comes from outside never reaches the browser as it is, and metadata stay behind.
"""

from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from threading import Lock

from vlmsel.errors import ImageError, TaskError
from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.shards import Shard, read_shard

# Enough to zoom in on a screen; a photograph of it has some hundred kilobytes.
LONGEST_SIDE = 1600
THUMBNAIL = 160
# Small pictures are kept exact, as they are shown many times their size.
EXACT_SIDE = 256
JPEG_QUALITY = 88
CACHE_BYTES = 48 * 2**20


@dataclass(frozen=True)
class PageImage:
    """A picture for the page.

    Attributes:
        data: of a PNG or JPEG file.
        media_type: of the data.
        width: pixels of the original.
        height: likewise.
    """

    data: bytes
    media_type: str
    width: int
    height: int


def encode_image(ref: ImageRef, task: str, longest_side: int = LONGEST_SIDE) -> PageImage:
    """Read an image, decode it within limits and encode it for the page.

    Raises:
        ImageError: it cannot be read or decoded.
    """
    (_, data) = next(iter(read_shard(Shard(task, 0, (ref,)))))
    if isinstance(data, TaskError):
        raise ImageError(str(data).removeprefix(f"{ref.image_id}: "))
    picture = decode_image(data, least_size=longest_side)
    width, height = picture.size
    picture.thumbnail((longest_side, longest_side))
    buffer, is_small = BytesIO(), max(picture.size) <= EXACT_SIDE
    if is_small:
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return PageImage(buffer.getvalue(), "image/png" if is_small else "image/jpeg", width, height)


class ImageCache:
    """Encoded pictures, the last used ones, up to `CACHE_BYTES`; safe to use from threads.

    Args:
        task: name of the task.
    """

    def __init__(self, task: str, max_bytes: int = CACHE_BYTES) -> None:
        self._task = task
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, int], PageImage] = OrderedDict()
        self._lock = Lock()

    def find(self, ref: ImageRef, longest_side: int = LONGEST_SIDE) -> PageImage:
        """Return a picture, encoded now or before.

        Raises:
            ImageError: it cannot be read or decoded.
        """
        key = (ref.image_id, longest_side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = encode_image(ref, self._task, longest_side)
        with self._lock:
            self._kept[key] = made
            while sum(len(x.data) for x in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)
        return made

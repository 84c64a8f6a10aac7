"""Preprocessing of a library, within bounds.

A bound on the pixels of a file does not hold after a resize: a picture of 1 x 20,000 pixels whose
shortest edge becomes 224 has a thousand million.
"""

from collections.abc import Callable
from typing import Literal

from PIL import Image
from torch import Tensor

from vlmsel.errors import ImageError

# As many as a file may have.
MAX_RESIZED_PIXELS = 64_000_000
ResizeMode = Literal["shortest", "longest", "squash"]


class BoundedTransform:
    """A transform that refuses pictures too thin for its resize, before it begins.

    Args:
        transform: RGB image -> (3, H, W).
        size: height and width that the resize aims at.
        mode: which edge is made that long; the other follows.
        max_pixels: largest resized picture.
    """

    def __init__(
        self,
        transform: Callable[[Image.Image], Tensor],
        size: tuple[int, int],
        mode: ResizeMode,
        *,
        max_pixels: int = MAX_RESIZED_PIXELS,
    ) -> None:
        self._transform = transform
        self._size = size
        self._mode: ResizeMode = mode
        self._max_pixels = max_pixels

    def __call__(self, image: Image.Image) -> Tensor:
        """The tensor of one picture.

        Raises:
            ImageError: resized it would have too many pixels, or a side of none.
        """
        height, width = resized_shape(image.height, image.width, self._size, self._mode)
        if min(height, width) < 1 or height * width > self._max_pixels:
            raise ImageError(
                f"too thin: {image.width}x{image.height} pixels would become {width}x{height}; "
                "crop it"
            )
        return self._transform(image)


def resized_shape(
    height: int, width: int, size: tuple[int, int], mode: ResizeMode
) -> tuple[int, int]:
    """Height and width after the resize, before any crop or padding."""
    if mode == "squash":
        return size
    scales = size[0] / height, size[1] / width
    scale = max(scales) if mode == "shortest" else min(scales)
    return round(height * scale), round(width * scale)

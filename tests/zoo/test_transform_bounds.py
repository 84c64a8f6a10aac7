import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from vlmsel.errors import ImageError
from vlmsel.zoo.transform_bounds import MAX_RESIZED_PIXELS, BoundedTransform, resized_shape

sides = st.integers(1, 400)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@given(width=sides, height=sides)
def test_the_size_that_is_foreseen_is_that_of_the_resize(
    mode: str, width: int, height: int
) -> None:
    transform = image_transform_v2(PreprocessCfg(size=16, resize_mode=mode), is_train=False)
    resize = transform.transforms[0]
    foreseen = resized_shape(height, width, (16, 16), mode)
    image = Image.new("RGB", (width, height))
    if min(foreseen) < 1 or max(foreseen) > 2000:
        return
    given = resize(image)
    # torchvision rounds down, so a pixel may be missing.
    assert abs(given.height - foreseen[0]) <= 1
    assert abs(given.width - foreseen[1]) <= 1


@pytest.mark.parametrize(
    ("size", "mode"),
    [
        ((1, 20_000), "shortest"),
        ((65_535, 1), "shortest"),
        ((3, 64_000), "shortest"),
        ((1, 2000), "longest"),
        ((5000, 2), "longest"),
    ],
)
def test_pictures_too_thin_for_a_resize_are_refused_before_it(
    size: tuple[int, int], mode: str
) -> None:
    def never(image: Image.Image) -> torch.Tensor:
        raise AssertionError(image.size)

    transform = BoundedTransform(never, (224, 224), mode)
    with pytest.raises(ImageError, match=f"too thin: {size[0]}x{size[1]} pixels would become"):
        transform(Image.new("RGB", size))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_usual_pictures_and_panoramas_pass(mode: str) -> None:
    transform = BoundedTransform(lambda image: torch.zeros(3, 4, 4), (224, 224), mode)
    for size in ((1, 1), (640, 480), (200, 12_000)):
        if mode == "longest" or min(size) > 1 or size == (1, 1):
            assert transform(Image.new("RGB", size)).shape == (3, 4, 4)


def test_a_squash_is_bounded_by_itself() -> None:
    assert resized_shape(1, 10**6, (224, 224), "squash") == (224, 224)
    assert MAX_RESIZED_PIXELS > 224 * 224

"""Gates: for which numbers of images, dimensions and classes a score means nothing, and why.

A gate takes sizes and returns None, or the reason in one line. The rules were measured with noise
of 512 dimensions beside digits of 64 pixels, 2 to 50 images per class.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vlmsel.selection.scores.ncti import DIMENSIONS
from vlmsel.selection.scores.nleep import PER_CLASS

# Numbers in a matrix images x classes: 1.6 GB.
MOST_CELLS = 200_000_000
# Images x dimensions x classes: above, a trained score takes hours.
MOST_WORK = 20_000_000_000
# Images x classes of every step of a fit: 160 MB.
MOST_OUTPUTS = 20_000_000
LEAST_HELD_OUT = 20
HELD_OUT_SHARE = 5


@dataclass(frozen=True)
class Sizes:
    """Sizes that a gate looks at.

    Attributes:
        n: images.
        d: dimensions of the model's features.
        classes: classes with an image.
        smallest: images of the smallest class.
    """

    n: int
    d: int
    classes: int
    smallest: int


Gate = Callable[[Sizes], str | None]


def allow_all(sizes: Sizes) -> str | None:
    """No size is refused."""
    return None


def all_of(*gates: Gate) -> Gate:
    """Return a gate that refuses what one of the gates refuses, with the first reason."""

    def gate(sizes: Sizes) -> str | None:
        return next((why for check in gates if (why := check(sizes)) is not None), None)

    return gate


def images_a_class(least: int) -> Gate:
    """Refuse a smallest class below a number of images."""

    def gate(sizes: Sizes) -> str | None:
        if sizes.smallest >= least:
            return None
        return f"it needs {least} images of every class, the smallest class has {sizes.smallest}"

    return gate


def limit_memory(sizes: Sizes) -> str | None:
    """Refuse a matrix of images x classes that is too large."""
    if sizes.n * sizes.classes <= MOST_CELLS:
        return None
    return (
        f"a matrix of {sizes.n} images x {sizes.classes} classes takes "
        f"{sizes.n * sizes.classes * 8 / 1e9:.1f} GB; score a part of the classes"
    )


def limit_time(sizes: Sizes) -> str | None:
    """Refuse a fit that would take hours."""
    outputs = sizes.n * sizes.classes
    if outputs <= MOST_OUTPUTS and outputs * sizes.d <= MOST_WORK:
        return None
    return (
        f"a fit of {sizes.classes} classes on {sizes.n} x {sizes.d} features takes hours; "
        "score a part of the classes, or use logme, knn, nearest-mean"
    )


def saturated_hscore(sizes: Sizes) -> str | None:
    """Refuse the plain H-score where it is C - 1 for any features."""
    if sizes.n - 1 > sizes.d:
        return None
    return (
        f"with {sizes.n} images of {sizes.d} dimensions it is {sizes.classes - 1} (classes - 1) "
        "for any features, noise included; use hscore-shrunk"
    )


def three_images_a_component(sizes: Sizes) -> str | None:
    """Refuse NCTI's discriminant of principal components judged on the images it was fitted to."""
    components = min(DIMENSIONS, sizes.d)
    if sizes.n >= 3 * components:
        return None
    return (
        f"it judges the images that it fits in {components} components: noise scores up to 1.0 "
        f"below 3 images a component ({3 * components}, there are {sizes.n})"
    )


def three_images_a_dimension(sizes: Sizes) -> str | None:
    """Refuse a discriminant judged on the images that it was fitted to."""
    if sizes.n >= 3 * sizes.d:
        return None
    return (
        f"it judges the images that it fits: noise scores up to 1.0 below 3 images a dimension "
        f"({3 * sizes.d}, there are {sizes.n})"
    )


def mixture_components(sizes: Sizes) -> int:
    """Components of NLEEP's mixture: 5 per class, at most a tenth of the images."""
    return min(PER_CLASS * sizes.classes, sizes.n // 10)


def enough_for_a_mixture(sizes: Sizes) -> str | None:
    """Refuse NLEEP where a tenth of the images is less than one component per class."""
    if mixture_components(sizes) >= sizes.classes:
        return None
    return f"its mixture needs 10 images per class ({10 * sizes.classes}), there are {sizes.n}"


def enough_held_out(sizes: Sizes) -> str | None:
    """Refuse ITM where so few images are held out that models tie."""
    held_out = sizes.n // min(HELD_OUT_SHARE, max(2, sizes.smallest))
    if held_out >= LEAST_HELD_OUT:
        return None
    return (
        f"it is an accuracy on {held_out} held-out images, models tie below {LEAST_HELD_OUT}; "
        "label more images"
    )


def refuse_chance_like(floor: float, chance: float, ceiling: float) -> str | None:
    """Refuse a value whose labels hardly matter: shuffled ones reach half of what is possible.

    Args:
        floor: the score with shuffled labels.
        chance: what features that say nothing should reach.
        ceiling: the largest possible value.
    """
    if floor <= chance + (ceiling - chance) / 2:
        return None
    return (
        f"shuffled labels reach {floor:.3g} of at most {ceiling:.3g}: it fits these sizes whatever "
        "the labels"
    )

"""The labels of a person at work: a frozen value, and one function per action. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vlmsel.errors import TaskError
from vlmsel.outside_names import shown
from vlmsel.tasks.folder_labels import plain_name
from vlmsel.tasks.label_tables import NO_CLASS

# A picture that was put off comes again after so many labels.
COMES_AGAIN = 5
LONGEST_NAME = 100

Labels = Mapping[str, str | None]


class StaleLabelError(TaskError):
    """An action was meant for another state of the labels, as that of a second tab."""


def _empty_mapping() -> Mapping:
    return MappingProxyType({})


@dataclass(frozen=True)
class LabelBook:
    """Labels so far, and what is put off.

    Attributes:
        images: ids that may be asked for, in the product's order.
        classes: names, the given ones first.
        n_given: how many of them were given; the others were added at work.
        labels: class name by image id, in the order in which labels came; None: in no class.
        skipped: images that were put off, with the number of labels at that time.
        unreadable: reason by image id.
        reopened: image whose label was taken back, which is asked for again at once.
        revision: number of actions.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    n_given: int
    labels: Labels = field(default_factory=_empty_mapping)
    skipped: Mapping[str, int] = field(default_factory=_empty_mapping)
    unreadable: Mapping[str, str] = field(default_factory=_empty_mapping)
    reopened: str | None = None
    revision: int = 0

    @property
    def added(self) -> tuple[str, ...]:
        """Classes that were added at work."""
        return self.classes[self.n_given :]

    @property
    def open_images(self) -> tuple[str, ...]:
        """Images without a label that can be read, in the product's order."""
        return tuple(x for x in self.images if x not in self.labels and x not in self.unreadable)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Open images that are put off for now."""
        n = len(self.labels)
        return tuple(x for x in self.open_images if x in self.skipped and n < self._due_at(x))

    @property
    def has_no_class(self) -> bool:
        """True if the word for images of no class is free: no class has that name."""
        return all(plain_name(name) != plain_name(NO_CLASS) for name in self.classes)

    def queue(self, picks: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Open images in the order in which they are asked for.

        Args:
            picks: open images, the next one first; the product's order if None.
        """
        waiting = set(self.waiting)
        first = [] if self.reopened is None else [self.reopened]
        picked = self.open_images if picks is None else picks
        ready = [x for x in picked if x not in waiting and x != self.reopened]
        late = sorted(waiting - set(first), key=lambda x: (self.skipped[x], picked.index(x)))
        return tuple([*first, *ready, *late])

    def label(self, image: str, name: str | None, *, again: bool = False) -> "LabelBook":
        """Give an image its class, or none of the classes.

        Args:
            image: its id.
            name: of a class; None for none of them.
            again: whether an image that has a label may get another.

        Raises:
            StaleLabelError: it has a label already.
            TaskError: no such image or class.
        """
        self._check_image(image)
        if image in self.labels and not again:
            label = self.labels[image]
            raise StaleLabelError(
                f"{shown(image)} was labelled meanwhile: {NO_CLASS if label is None else label}"
            )
        if name is not None and name not in self.classes:
            raise TaskError(f"there is no class '{shown(name)}'")
        if name is None and not self.has_no_class:
            raise TaskError(f"a class is called '{NO_CLASS}', so no image can be in none of them")
        reopened = None if self.reopened == image else self.reopened
        skipped = {x: n for x, n in self.skipped.items() if x != image}
        # A label that is mended is the last action, so that undo takes it back.
        labels = {x: label for x, label in self.labels.items() if x != image}
        return self._next(labels={**labels, image: name}, skipped=skipped, reopened=reopened)

    def skip(self, image: str) -> "LabelBook":
        """Put an image off; it comes again after `COMES_AGAIN` labels.

        Raises:
            StaleLabelError: it has a label.
            TaskError: no such image.
        """
        self._check_image(image)
        if image in self.labels:
            raise StaleLabelError(f"{shown(image)} was labelled meanwhile")
        others = {x: n for x, n in self.skipped.items() if x != image}
        reopened = None if self.reopened == image else self.reopened
        return self._next(skipped={**others, image: len(self.labels)}, reopened=reopened)

    def undo(self, last: str | None = None) -> "LabelBook":
        """Take the last label, or the last skip after it, back.

        Args:
            last: the image that is expected to be the last, if not None.

        Raises:
            StaleLabelError: another one is, or there is nothing to take back.
        """
        image = self.last
        if image is None:
            raise StaleLabelError("there is nothing to undo")
        if last is not None and image != last:
            raise StaleLabelError("something else was done meanwhile; look, and undo again")
        labels = {x: name for x, name in self.labels.items() if x != image}
        skipped = {x: n for x, n in self.skipped.items() if x != image}
        # What cannot be read is not asked for again.
        reopened = None if image in self.unreadable else image
        return self._next(labels=labels, skipped=skipped, reopened=reopened)

    @property
    def last(self) -> str | None:
        """The image of the last action that can be taken back."""
        skips = [x for x, n in self.skipped.items() if n >= len(self.labels)]
        done = [*self.labels, *skips]
        return done[-1] if done else None

    def add_class(self, name: str) -> "LabelBook":
        """Add a class at the end of the list.

        Raises:
            TaskError: the name is impossible or known.
        """
        return self._next(classes=(*self.classes, check_class(name, self.classes)))

    def pass_over(self, image: str, reason: str) -> "LabelBook":
        """Leave an image out that cannot be read."""
        if image in self.unreadable:
            return self
        reopened = None if self.reopened == image else self.reopened
        skipped = {x: n for x, n in self.skipped.items() if x != image}
        unreadable = {**self.unreadable, image: reason}
        return self._next(unreadable=unreadable, skipped=skipped, reopened=reopened)

    def _due_at(self, image: str) -> int:
        """Number of labels at which an image that was put off comes again."""
        return min(self.skipped[image], len(self.labels)) + COMES_AGAIN

    def _check_image(self, image: str) -> None:
        if image not in self.images:
            raise TaskError(f"there is no image '{shown(image)}' to label")

    def _next(self, **changes: object) -> "LabelBook":
        return replace(self, revision=self.revision + 1, **changes)  # pyright: ignore[reportArgumentType]


def check_class(name: str, known: tuple[str, ...]) -> str:
    """Return the name of a new class, without blanks at its ends.

    Raises:
        TaskError: it is empty, too long, known, the word for no class, or holds a comma (which
            separates names on the command line) or what cannot be seen.
    """
    plain = name.strip()
    if not plain:
        raise TaskError("a class needs a name")
    if len(plain) > LONGEST_NAME:
        raise TaskError(f"a class name has at most {LONGEST_NAME} characters")
    if "," in plain:
        raise TaskError("a class name holds no comma: commas separate names on the command line")
    if shown(plain) != plain:
        raise TaskError("a class name holds no control characters and no line breaks")
    if plain_name(plain) == plain_name(NO_CLASS):
        raise TaskError(f"'{plain}' is the word for an image in none of the classes")
    twin = next((x for x in known if plain_name(x) == plain_name(plain)), None)
    if twin is not None:
        raise TaskError(f"there is a class '{twin}' already")
    return plain

"""Label a folder while its models answer: the work behind the label page."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from vlmsel.api.answer import (
    ReadyTarget,
    TargetAnswer,
    ZooRun,
    answer_known,
    compute_regret_by_labels,
    conclude,
    prepare_target,
    read_run,
)
from vlmsel.api.label_measurement import BackgroundMeasurement
from vlmsel.api.label_plan import LabelPlan, name_classes, read_book, with_classes
from vlmsel.api.label_state import Standing, choose_points, draw_standing
from vlmsel.errors import ImageError, TaskError, VlmselError
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.labelling.label_book import LabelBook, StaleLabelError
from vlmsel.labelling.page_images import LONGEST_SIDE, THUMBNAIL, ImageCache, PageImage
from vlmsel.labelling.picked_images import pick_images
from vlmsel.outside_names import shown
from vlmsel.redaction import describe_error
from vlmsel.selection.posterior.advice import CHECKS
from vlmsel.tasks.label_tables import OUTSIDE
from vlmsel.tasks.task_catalog import TARGET_PREFIX

# Answers are read from the store at most so often while models work.
READ_S = 1.0
SHOWN_LABELS = 12
SHA_DIGITS = 12


class LabelSession:
    """Labels of one folder at work: saved at every step, with models and advice in threads.

    Args:
        plan: of `plan_labels`; its files are locked by the caller.
        run: where models run; by default in this process.
    """

    def __init__(self, plan: LabelPlan, run: RunOptions | None = None) -> None:
        self._plan, self._ready, self._book = plan, plan.ready, plan.book
        self._files = plan.files
        self._changed = threading.Condition(threading.RLock())
        self._found = ZooRun()
        self._n_progress = self._n_read = 0
        self._read_at = 0.0
        self._standing: Standing | None = None
        self._problem = ""
        self._curve: dict[int, float] = {}
        self._curve_of: tuple[object, ...] = ()
        self._drawn: tuple[int, int] = (-1, -1)
        self._picked: tuple[str, ...] = ()
        self._picked_at: tuple[int, int] = (-1, -1)
        self._numbers = {image: i for i, image in enumerate(self._book.images)}
        self._refs = {ref.image_id: ref for ref in self._ready.target.index.images}
        self._images = ImageCache(self._ready.target.spec.name)
        self._measurement = BackgroundMeasurement(run, self._note_progress)
        self._advice = threading.Thread(target=self._advise, name="vlmsel-advice", daemon=True)
        self.ended = threading.Event()

    @property
    def title(self) -> str:
        """Name of the images."""
        return shown(self._ready.target.spec.name.removeprefix(TARGET_PREFIX))

    @property
    def book(self) -> LabelBook:
        """The labels by now."""
        return self._book

    @property
    def n_unanswered(self) -> int:
        """Models that were still to answer when the work ended."""
        run = self._measurement.progress
        return 0 if self._is_settled else run.models - run.models_done

    def start(self) -> None:
        """Begin to measure and to advise.

        Raises:
            TaskError: another process changed the labels meanwhile, and they do not fit.
            StoreError: the labels cannot be written.
        """
        # Read again under the lock: another process may have ended just now.
        self._book = read_book(self._files, self._ready, self._book.n_given)
        self._numbers = {image: i for i, image in enumerate(self._book.images)}
        self._files.save(self._book)
        self._measurement.start(self._ready)
        self._advice.start()

    def stop(self) -> None:
        """End the threads, after what they have at hand."""
        with self._changed:
            self.ended.set()
            self._changed.notify_all()
        self._measurement.stop()
        if self._advice.is_alive():
            self._advice.join()

    def answer(self) -> TargetAnswer:
        """Answer as `vlmsel select --labels` does, from what is measured by now."""
        options, book = self._plan.options, self._book
        if book.added:
            options = name_classes(options, book.classes)
        has_labels = bool(book.labels)
        picked_by = None if self._plan.order.is_random_sample else self._plan.order.name
        asked = replace(
            options,
            labels=self._files.path if has_labels else None,
            ignore_labels=not has_labels,
            picked_by=picked_by if has_labels else None,
        )
        return answer_known(prepare_target(self._ready.images, self._ready.zoo, asked))

    # What the page asks for.

    def state(self) -> dict[str, Any]:
        """Everything that the page shows but pictures and class names."""
        with self._changed:
            book, standing, picks = self._book, self._standing, self._picks()
            queue = book.queue(picks)
            return {
                "revision": book.revision,
                "images": len(book.images),
                "labelled": len(book.labels),
                "outside": sum(name is None for name in book.labels.values()),
                "waiting": len(book.waiting),
                "queue": [self._entry(image) for image in queue[:2]],
                "n_open": len(queue),
                "last": None if book.last is None else self._entry(book.last),
                "recent": [
                    {**self._entry(x), "label": book.labels[x]}
                    for x in list(book.labels)[: -SHOWN_LABELS - 1 : -1]
                ],
                "n_classes": len(book.classes),
                "counts": _counts(book),
                "unreadable": [
                    {"name": shown(x), "reason": shown(why)} for x, why in book.unreadable.items()
                ],
                "file": shown(str(self._files.path)),
                "order": {
                    "name": self._plan.order.name,
                    "is_random": self._plan.order.is_random_sample,
                },
                "measuring": asdict(self._measurement.progress),
                "standing": None if standing is None else standing.values,
                "is_current": self._drawn == (book.revision, self._n_progress),
                "curve": sorted(self._curve.items()),
                "problem": self._problem,
                "ended": self.ended.is_set(),
            }

    def classes(self) -> dict[str, Any]:
        """Class names, and whether an image may be in none of them."""
        book = self._book
        return {
            "names": list(book.classes),
            "n_given": book.n_given,
            "has_no_class": book.has_no_class,
        }

    def label(self, image: str, name: str | None, *, again: bool = False) -> None:
        """Give an image its class, or none of the classes."""
        self._act(lambda book: book.label(image, name, again=again))

    def skip(self, image: str) -> None:
        """Put an image off."""
        self._act(lambda book: book.skip(image))

    def undo(self, last: str | None = None) -> None:
        """Take the last action back."""
        self._act(lambda book: book.undo(last))

    def add_class(self, name: str) -> None:
        """Add a class; the models' answers for it are derived from their stored embeddings."""
        with self._changed:
            self._check_open()
            book = self._book.add_class(name)
            self._ready = with_classes(self._ready, book.classes)
            self._files.save(book)
            self._book = book
            self._measurement.start(self._ready, is_derived=True)
            self._changed.notify_all()

    def image(self, number: int, *, is_small: bool = False) -> PageImage:
        """Return a picture by its place; one that cannot be read is passed over from now on.

        Raises:
            ImageError: it cannot be read.
            TaskError: there is none of that number.
        """
        if not 0 <= number < len(self._book.images):
            raise TaskError(f"there is no image {number}")
        image = self._book.images[number]
        try:
            return self._images.find(self._refs[image], THUMBNAIL if is_small else LONGEST_SIDE)
        except ImageError as error:
            with self._changed:
                if image not in self._book.labels:
                    self._book = self._book.pass_over(image, str(error))
                    self._changed.notify_all()
            raise

    def finish(self) -> None:
        """End the work; the caller answers."""
        with self._changed:
            self.ended.set()
            self._changed.notify_all()

    # What the threads do.

    def _act(self, change: Callable[[LabelBook], LabelBook]) -> None:
        """Change the labels; they count when they are on disk."""
        with self._changed:
            self._check_open()
            book = change(self._book)
            self._files.save(book)
            self._book = book
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self.ended.is_set():
            raise StaleLabelError("the work is finished; start `vlmsel label` again to go on")

    def _picks(self) -> tuple[str, ...]:
        """Open images in the order of the session."""
        book, state = self._book, (self._book.revision, self._n_read)
        if self._picked_at != state:
            labels = _number_labels(book)
            picked = pick_images(self._plan.order, book.open_images, labels, self._found.answers)
            self._picked, self._picked_at = picked, state
        return self._picked

    def _entry(self, image: str) -> dict[str, Any]:
        sha = self._refs[image].sha256[:SHA_DIGITS]
        return {"id": image, "name": shown(image), "number": self._numbers[image], "sha": sha}

    def _note_progress(self) -> None:
        with self._changed:
            self._n_progress += 1
            self._changed.notify_all()

    def _advise(self) -> None:
        while (turn := self._next_turn()) is not None:
            try:
                self._draw(*turn)
            except VlmselError as error:
                self._fail(turn, str(error))
            except Exception as error:  # noqa: BLE001 - labelling goes on without advice
                self._fail(turn, describe_error(error))

    def _next_turn(self) -> tuple[LabelBook, ReadyTarget, int] | None:
        """Wait for something new to advise on; None at the end."""
        with self._changed:
            while not self.ended.is_set():
                pause = self._pause_s()
                if self._drawn != (self._book.revision, self._n_progress) and not pause:
                    return self._book, self._ready, self._n_progress
                self._changed.wait(pause or None)
        return None

    def _pause_s(self) -> float:
        """Seconds until the answers may be read again, where nothing else is new."""
        if self._drawn[0] != self._book.revision or self._is_settled:
            return 0.0
        if self._drawn[1] == self._n_progress:
            return 0.0
        return max(0.0, self._read_at + READ_S - time.monotonic())

    @property
    def _is_settled(self) -> bool:
        return self._measurement.progress.phase in ("done", "failed")

    def _draw(self, book: LabelBook, ready: ReadyTarget, n_progress: int) -> None:
        # Answers for a class that was added come all at once: half of them would mislead.
        waits = self._measurement.progress.is_derived and not self._is_settled
        if self._n_read != n_progress and ready.chosen and not waits:
            found = read_run(ready, ready.workspace(), None)
            self._read_at = time.monotonic()
            with self._changed:
                self._found, self._n_read = found, n_progress
        if waits:
            with self._changed:
                self._drawn = (book.revision, n_progress)
            return
        told = self._add_labels(book, ready)
        is_settled = self._is_settled
        found = self._found if is_settled else replace(self._found, notes=())
        answer = conclude(told, found, with_estimate=False)
        if found.answers is None and not is_settled:
            # That no model has answered yet is no news.
            answer = replace(answer, notes=told.notes)
        standing = draw_standing(answer, book.revision)
        with self._changed:
            self._standing, self._problem = standing, ""
        self._draw_curve(told, answer, standing)
        with self._changed:
            self._drawn = (book.revision, n_progress)

    def _add_labels(self, book: LabelBook, ready: ReadyTarget) -> ReadyTarget:
        """The target with the labels of a book."""
        target = replace(ready.target, labels=_number_labels(book), is_sorted=False)
        is_random = self._plan.order.is_random_sample or not book.labels
        picked_by = None if is_random else self._plan.order.name
        return replace(ready, target=target, options=replace(ready.options, picked_by=picked_by))

    def _draw_curve(self, told: ReadyTarget, answer: TargetAnswer, standing: Standing) -> None:
        """Expected regret by number of labels; points that are known stay until labels change."""
        answers = self._found.answers
        seen = tuple((image, told.target.labels[image]) for image in answer.found.labelled)
        of = (None if answers is None else answers.digest, told.target.classnames)
        with self._changed:
            if self._curve_of[:2] != of:
                self._curve = {}
            else:
                same = _count_common(self._curve_of[2:], seen)
                self._curve = {n: x for n, x in self._curve.items() if n <= same}
            self._curve_of = (*of, *seen)
            known = set(self._curve)
        regret = standing.values["regret"]
        for n in choose_points(standing.n_labels, CHECKS):
            if n in known or (n == standing.n_labels and regret is None):
                continue
            value = (
                regret if n == standing.n_labels else compute_regret_by_labels(told, self._found, n)
            )
            with self._changed:
                if value is not None:
                    self._curve[n] = value
                if self._book.revision != standing.revision or self.ended.is_set():
                    return

    def _fail(self, turn: tuple[LabelBook, ReadyTarget, int], reason: str) -> None:
        with self._changed:
            self._problem = " ".join(reason.split())
            self._standing = None
            self._drawn = (turn[0].revision, turn[2])


def _number_labels(book: LabelBook) -> dict[str, int]:
    """Class numbers by image id."""
    number = {name: i for i, name in enumerate(book.classes)}
    return {x: OUTSIDE if name is None else number[name] for x, name in book.labels.items()}


def _counts(book: LabelBook) -> Mapping[str, int]:
    """Labels by class number, of the classes that have some."""
    counts: dict[str, int] = {}
    for number in _number_labels(book).values():
        if number != OUTSIDE:
            counts[str(number)] = counts.get(str(number), 0) + 1
    return counts


def _count_common(before: tuple[object, ...], after: tuple[object, ...]) -> int:
    """Length of the beginning that two sequences share."""
    n = min(len(before), len(after))
    return next((i for i in range(n) if before[i] != after[i]), n)

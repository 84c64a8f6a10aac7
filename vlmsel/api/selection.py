"""The answer of `select`: a ranked zoo, and beside it all that a reader must know to trust it."""

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from vlmsel.api.notices import Notice, find_notices, headline
from vlmsel.evaluation.metrics import TOP
from vlmsel.evaluation.trust import Trust
from vlmsel.execution.run_summary import RunSummary
from vlmsel.selection.novelty import Novelty
from vlmsel.selection.ranking import Ranking
from vlmsel.settings import AttributionSettings
from vlmsel.tasks.pictures import Pictures

PROFILE_COLUMNS = {
    **dict.fromkeys(("model", "pretrained", "task", "image_id"), pl.String),
    "block": pl.Int64,
    "block_name": pl.String,
    "conductance": pl.Float64,
}
FAILED = ("model", "pretrained", "task", "image_id", "reason")
FAILED_COLUMNS: dict[str, type[pl.String]] = dict.fromkeys(FAILED, pl.String)
# Columns that promise something, and promise nothing where the ranking cannot be trusted.
PROMISES = ("low", "high", "top5", "image_low", "image_high")


@dataclass(frozen=True)
class TargetImages:
    """Everything that is known of the images to rank for.

    Attributes:
        profiles: long; empty where no model was run on the images.
        failed_images: model, pretrained, task, image_id, reason; no model where an image was only
            decoded.
        pictures: what decoding tells of them.
    """

    profiles: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PROFILE_COLUMNS))
    failed_images: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FAILED_COLUMNS))
    pictures: Pictures | None = None

    @property
    def n_images(self) -> int:
        """Images on which models were run; 0 where none was."""
        return self.profiles["image_id"].n_unique() if self.profiles.height else 0


@dataclass(frozen=True)
class Selection:
    """A zoo ranked for one target, with what it rests on.

    Attributes:
        target: name of the target.
        selector: which selector ranked.
        why: why this selector, for people.
        ranking: one row per model, best first: rank, model, pretrained, score (lower is better);
            low, high (95 % interval of the true rank) and top5 (probability of being truly among
            the best five), both from the errors of leave-one-out; image_low, image_high (95 %
            interval of the rank under resampling of the images); sources (the heaviest
            tasks); average_rank (the place by average rank over the sources). Intervals and
            probabilities are null where they do not hold: few sources, images unlike every source,
            few pictures; top5 also where the zoo has no more than five models, image_low and
            image_high where images decide nothing.
        details: the ranking with the weight of every source, and the models left out.
        rival: the ranking by average rank; None without sources.
        trust: how the selector did in leave-one-out over the sources; None with fewer than two.
        images: what is known of the images.
        novelty: how far the nearest source is; None where no model was run on the images, or with
            fewer than two sources.
        profiles: of sources and target, long; empty where the selector asks for none.
        summary: what was measured for this answer, with all failures; None without a store.
        settings: of the profiles; None where it is not known.
    """

    target: str
    selector: str
    why: str
    ranking: pl.DataFrame
    details: Ranking = field(repr=False)
    rival: Ranking | None = field(repr=False)
    trust: Trust | None = field(repr=False)
    images: TargetImages = field(repr=False)
    novelty: Novelty | None = None
    profiles: pl.DataFrame = field(
        repr=False, default_factory=lambda: pl.DataFrame(schema=PROFILE_COLUMNS)
    )
    summary: RunSummary | None = field(repr=False, default=None)
    settings: AttributionSettings | None = field(repr=False, default=None)

    @cached_property
    def warnings(self) -> tuple[Notice, ...]:
        """Everything that limits the trust in the ranking, the serious first."""
        return find_notices(
            self.details,
            self.trust,
            pictures=self.images.pictures,
            novelty=self.novelty,
            failed_images=self.images.failed_images,
            looks_at_images=self.images_looked_at,
        )

    @property
    def is_trustworthy(self) -> bool:
        """True if no warning is serious."""
        return not any(notice.is_serious for notice in self.warnings)

    @property
    def headline(self) -> str:
        """The first line of the answer: the first choice, or that no ranking can be trusted."""
        first = self.ranking.row(0, named=True)
        return headline(self.warnings, f"{first['model']}/{first['pretrained']}", self.trust)

    @property
    def images_looked_at(self) -> bool:
        """True if any model was run on the images."""
        return self.images.n_images > 0

    @property
    def unlike_every_source(self) -> bool | None:
        """True if no source is like the images; None where that is not known."""
        return None if self.novelty is None else self.novelty.notice is not None

    @property
    def few_sources(self) -> bool:
        """True if there are too few sources to say how good the ranking is."""
        return self.trust is None or not self.trust.is_enough

    @property
    def n_sources(self) -> int:
        """Source tasks that the ranking was learnt from."""
        return self.details.n_sources

    @property
    def expected_loss(self) -> float | None:
        """Accuracy (0..1) that the first choice is expected to lose to the best model.

        The mean over the sources in leave-one-out; None where the ranking cannot be trusted.
        """
        return self.trust.regret if self.trust is not None and self.is_trustworthy else None

    @property
    def failed_images(self) -> pl.DataFrame:
        """Images that could not be used; see `TargetImages`."""
        return self.images.failed_images

    def __str__(self) -> str:
        """Headline, warnings and the first models."""
        first = self.ranking.head(TOP)
        return "\n".join(
            [
                f"{self.target}: {self.headline}",
                *(f"warning: {notice.text}" for notice in self.warnings),
                str(first.select("rank", "model", "pretrained", "score")),
            ]
        )

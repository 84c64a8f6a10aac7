"""Cells that catalogs ask for: every model on every shard, for every wanted measurement. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vlmsel.collector import pause_collector
from vlmsel.evidence.catalog_contents import Candidate, Catalogued
from vlmsel.measurements.measurement import Want
from vlmsel.store.keys import CellId, cell_key, images_digest
from vlmsel.tasks.index import TaskIndex
from vlmsel.tasks.shards import Shard, plan_shards


@dataclass(frozen=True, slots=True)
class RequestedMeasurement:
    """A measurement asked of a shard: what of it enters the cell.

    Attributes:
        kind: of the measurement.
        settings: digest of its settings.
        basis: digest of the settings and of the class prompts, where it reads them.
        of_texts: whether the shard is of texts, so that only the text tower counts.
    """

    kind: str
    settings: str
    basis: str
    of_texts: bool = False


@dataclass(frozen=True, slots=True)
class WantedShard:
    """A shard with all that is asked of it.

    Attributes:
        images: digest of its images.
        schema: version that the keys are made under; None for this one's.
    """

    shard: Shard
    images: str
    asked: tuple[RequestedMeasurement, ...]
    schema: int | None = None

    def cells(self, model: Candidate) -> list[CellId]:
        """The cells of one model, in the order of `asked`."""
        spec, identity = model
        return [
            CellId(
                spec.model,
                spec.pretrained,
                self.shard.task,
                cell_key(
                    identity.text_digest if asked.of_texts else identity.digest,
                    asked.basis,
                    self.images,
                    schema=self.schema,
                ),
                asked.settings,
                asked.kind,
            )
            for asked in self.asked
        ]


def wanted_shards(
    catalogued: Catalogued, wants: Sequence[Want], *, schema: int | None = None
) -> tuple[WantedShard, ...]:
    """Every shard that a want covers, in task order, each with all that is asked of it.

    A measurement that reads class prompts is asked of the tasks that have some, one of texts of the
    tasks whose texts can be read.

    Args:
        catalogued: the catalogs.
        wants: measurements of so many images.
        schema: version that the cells are named under; this one's by default.
    """
    found: list[WantedShard] = []
    digests = {want: _digest(want, schema) for want in wants}
    for task, index in catalogued.indexes.items():
        prompts = catalogued.prompts.get(task)
        by_images: dict[str, tuple[Shard, list[RequestedMeasurement]]] = {}
        # The widest first, so that its shards give the order.
        for want in sorted(wants, key=_width, reverse=True):
            if want.measurement.reads_prompts and prompts is None:
                continue
            basis = settings = digests[want]
            for shard in _shards(catalogued, index, want):
                if want.measurement.reads_prompts and prompts is not None:
                    ids = (ref.image_id for ref in shard.images)
                    basis = f"{settings} {prompts.digest_of(ids)}"
                digest = images_digest((ref.image_id, ref.sha256) for ref in shard.images)
                asked = by_images.setdefault(digest, (shard, []))[1]
                asked.append(
                    RequestedMeasurement(want.kind, settings, basis, want.measurement.of_texts)
                )
        order = {want.kind: place for place, want in enumerate(wants)}
        for digest, (shard, asked) in by_images.items():
            asked.sort(key=lambda request: order[request.kind])
            found.append(WantedShard(shard, digest, tuple(asked), schema))
    return tuple(found)


def _shards(catalogued: Catalogued, index: TaskIndex, want: Want) -> Sequence[Shard]:
    """The shards of a task that a want covers: of its texts, or of its images."""
    if not want.measurement.of_texts:
        return plan_shards(index, n_images=want.n_images)
    texts = catalogued.texts.get(index.task)
    return () if texts is None else texts.shards


@pause_collector()
def wanted_ids(models: Iterable[Candidate], shards: Sequence[WantedShard]) -> set[CellId]:
    """Every cell of these models on these shards, as a set."""
    return {cell for cell, _ in wanted_cells(models, shards)}


def wanted_cells(
    models: Iterable[Candidate], shards: Sequence[WantedShard]
) -> Iterator[tuple[CellId, Shard]]:
    """Every cell of these models on these shards."""
    for model in models:
        for wanted in shards:
            for cell in wanted.cells(model):
                yield cell, wanted.shard


def _width(want: Want) -> float:
    return float("inf") if want.n_images is None else want.n_images


def _digest(want: Want, schema: int | None) -> str:
    measurement = want.measurement
    return measurement.digest if schema is None else measurement.digest_under(schema)

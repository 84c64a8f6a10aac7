"""What a store holds of a job: the cells that need not be measured again."""

import logging

import polars as pl

from vlmsel.execution.cells import Job, ProfileJob
from vlmsel.execution.plan import Known
from vlmsel.store.accuracies import ACCURACIES, AccuracyStore
from vlmsel.store.failed_images import FailedImages
from vlmsel.store.failures import FailureLog
from vlmsel.store.files import list_folders
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import CellId, decode_model_folder, decode_stem, parse_file_name
from vlmsel.store.profiles import ProfileStore

log = logging.getLogger(__name__)


def known_cells(store_uri: str, job: Job, *, verify: bool, retry_failed: bool) -> Known:
    """The measured and failed cells of a job.

    Args:
        store_uri: address of the store.
        job: profiles or accuracies.
        verify: hash every file first; corrupt ones are set aside, so that they count as missing.
        retry_failed: whether the plan is to try failed cells again.

    Raises:
        StoreError: the store cannot be read.
    """
    if verify:
        for corrupt in corrupt_cells(store_uri, job):
            log.warning("set aside a corrupt file, measured again: %s", corrupt)
    measured = measured_cells(store_uri, job)
    columns = ("model", "pretrained", "task", "key", "reason")
    failed = {
        CellId(model, pretrained, task, key, job.digest): reason
        for model, pretrained, task, key, reason in failed_cells(store_uri, job)
        .select(columns)
        .iter_rows()
    }
    images = FailedImages(open_folder(store_uri)).all(job.digest)
    return Known(measured, failed, images, retry_failed)


def measured_cells(store_uri: str, job: Job) -> set[CellId]:
    """Every measured cell of a job, from one listing."""
    if isinstance(job, ProfileJob):
        return ProfileStore(store_uri).measured(job.digest)
    found: set[CellId] = set()
    for path, names in list_folders(open_folder(store_uri), ACCURACIES, None).items():
        model = decode_model_folder(path.rpartition("/")[2])
        parsed = [parse_file_name(name) for name in names]
        stems = [decode_stem(stem) for stem, _ in filter(None, parsed)]
        if model:
            found |= {CellId(*model, *stem, job.digest) for stem in stems if stem}
    return found


def failed_cells(store_uri: str, job: Job) -> pl.DataFrame:
    """Failed cells of a job: model, pretrained, task, key, kind, reason, attempts."""
    if isinstance(job, ProfileJob):
        return ProfileStore(store_uri).failed(job.digest)
    store = AccuracyStore(store_uri)

    def is_measured(cell: CellId) -> bool:
        return store.has(cell.model, cell.pretrained, cell.task, cell.key)

    return FailureLog(open_folder(store_uri)).frame(job.digest, is_measured)


def corrupt_cells(store_uri: str, job: Job) -> list[str]:
    """Find files whose bytes do not hash to their names and set them aside.

    Returns what they were.
    """
    if isinstance(job, ProfileJob):
        return [str(cell) for cell in ProfileStore(store_uri).verify(job.digest)]
    found = AccuracyStore(store_uri).verify()
    return [f"accuracy of {model}/{tag} on {task}" for model, tag, task, _ in found]

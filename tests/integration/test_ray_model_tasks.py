"""One Ray task per model gives what this process gives; errors keep their names."""

import numpy as np
import pytest

from tests.store.labelled_cells import CODES, IMAGES, embedding_files
from vlmsel.errors import SelectionError
from vlmsel.evaluation.model_probes import ModelProbes, TaskCells, run_model_probes
from vlmsel.evaluation.probe_cache import probe_key
from vlmsel.evaluation.probe_work import ProbeOptions
from vlmsel.execution.executors.model_tasks import run_model_tasks
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.store.store import Store

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.xdist_group("ray")]
OPTIONS = ProbeOptions(shots=(2,), draws=2)


def refuse(number: int) -> int:
    raise SelectionError(f"{number} is refused")


def test_ray_gives_what_this_process_gives(tmp_path):
    store, works = Store(tmp_path / "store"), []
    for seed, model in enumerate(("m", "n", "o")):
        vectors = np.random.default_rng(seed).normal(size=(len(CODES), 5)) + CODES[:, None]
        files = embedding_files(store, vectors, model=model)
        keys = tuple(probe_key((model, "x"), IMAGES, files.values(), k, OPTIONS) for k in (None, 2))
        works.append(ModelProbes(model, store.uri, (TaskCells(IMAGES, files, {}, keys),), OPTIONS))
    here = [list(run_model_tasks(run_model_probes, works, RunOptions()))]
    on_ray = RunOptions(executor="ray", n_workers=2)
    there = [list(run_model_tasks(run_model_probes, works, on_ray))]
    plain, remote = (
        dict(pair for part in results for answers in part for pair in answers)
        for results in (here, there)
    )
    assert len(plain) == 6
    assert plain == remote


def test_an_error_of_the_work_is_that_error():
    with pytest.raises(SelectionError, match="7 is refused"):
        list(run_model_tasks(refuse, [7], RunOptions(executor="ray")))

"""A generative model on Ray gives the answers and knockouts that it gives in this process."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.execution.test_questions import write_task
from tests.zoo.providers.generative_builders import save_generative
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.measurements import Knockout, Prediction, Want
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import ModelSpec, Zoo

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.xdist_group("ray")]


def rows(store: Store, kind: str) -> pl.DataFrame:
    ((digest, _),) = store.settings(kind).items()
    return store.scan(store.cells(kind, digest)).rows.sort(pl.all().exclude(pl.List))


def test_ray_answers_questions_as_this_process_does(tmp_path):
    save_generative("llava", tmp_path / "llava")
    spec = ModelSpec(model="llava", pretrained="tiny", weights=str(tmp_path / "llava"))
    tasks = TaskCatalog(tasks=(write_task(tmp_path, "words", "words"),))
    wants = [Want(Prediction()), Want(Knockout(tower="text", part="attention"))]
    stores = {}
    for options in (RunOptions(), RunOptions(executor="ray", n_workers=1)):
        store = stores[options.executor] = Store(tmp_path / options.executor)
        measure(Zoo(models=(spec,)), tasks, store, wants, options=options)
    for kind in ("prediction", "knockout"):
        here, there = (rows(store, kind) for store in stores.values())
        assert here.height > 0
        assert_frame_equal(here, there, check_exact=True)

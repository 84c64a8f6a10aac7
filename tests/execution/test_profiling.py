from pathlib import Path
from threading import Lock

import polars as pl
import pytest
import torch
from PIL import Image

from vlmsel.attribution.numerics import INEXACT
from vlmsel.attribution.profile import attribute
from vlmsel.errors import TaskError
from vlmsel.execution.cells import ProfileJob
from vlmsel.execution.decoded import decode_shard
from vlmsel.execution.options import RunOptions
from vlmsel.execution.prepare import plan_profiles
from vlmsel.execution.profiling import ProfileRecorder
from vlmsel.execution.run import run_profile
from vlmsel.settings import AttributionSettings
from vlmsel.store.profiles import ProfileStore
from vlmsel.tasks.catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.loader import load_model

NO_VERIFY = RunOptions(verify=False)


def measure(
    zoo: Zoo, tasks: TaskCatalog, store: str, settings: AttributionSettings
) -> ProfileStore:
    """The first cell of the first model."""
    plan = plan_profiles(zoo, tasks, store, settings, options=NO_VERIFY)
    assert isinstance(plan.job, ProfileJob)
    work = next(w for w in plan.work if w.spec == zoo.models[0])
    model = load_model(work.spec)
    recorder = ProfileRecorder(plan.job, store, None)
    recorder.measure(model, work.cells[0], lambda s: decode_shard(s, model.transform), Lock())
    return ProfileStore(store)


def test_rows_are_what_attribution_gives_for_each_image_alone(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    rows = measure(zoo, tasks, str(tmp_path / "s"), settings).scan(settings.digest)
    model = load_model(zoo.models[0])
    for image_id in rows["image_id"].unique():
        with Image.open(Path(tasks.tasks[0].images) / image_id) as file:
            image = model.transform(file.convert("RGB"))
        expected = attribute(model, image[None], settings)
        mine = rows.filter(pl.col("image_id") == image_id).sort("block")
        assert mine["block_name"].to_list() == list(expected.names)
        scores = torch.tensor(mine["conductance"].to_list())
        torch.testing.assert_close(scores, expected.scores[0], rtol=1e-5, atol=0, check_dtype=False)
        assert mine["objective"][0] == pytest.approx(float(expected.objective[0]), rel=1e-5)


def test_an_attribution_without_a_path_has_no_completeness(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    settings = AttributionSettings(attribution="gradient")
    rows = measure(zoo, tasks, str(tmp_path / "s"), settings).scan(settings.digest)
    assert rows["completeness_error"].null_count() == rows.height > 0


def test_the_alignment_objective_uses_the_class_names(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    settings = settings.model_copy(update={"objective": "alignment"})
    plain = measure(zoo, tasks, str(tmp_path / "s"), settings).scan(settings.digest)
    renamed = tasks.tasks[0].model_copy(update={"classnames": ("circle", "triangle")})
    (Path(renamed.images) / "square").rename(Path(renamed.images) / "triangle")
    other = measure(zoo, TaskCatalog(tasks=(renamed,)), str(tmp_path / "t"), settings)
    assert set(other.measured(settings.digest)).isdisjoint(
        ProfileStore(tmp_path / "s").measured(settings.digest)
    )
    assert plain.height > 0


def test_the_alignment_objective_without_class_names_says_what_to_add(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    settings = AttributionSettings(objective="alignment")
    bare = tasks.tasks[0].model_copy(update={"classnames": None})
    with pytest.raises(TaskError, match=r"task a has no class names.*add classnames"):
        measure(zoo, TaskCatalog(tasks=(bare,)), str(tmp_path / "s"), settings)


def test_prompts_are_part_of_the_key_of_alignment_only(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path
) -> None:
    first = tasks.tasks[0]
    photo = first.model_copy(update={"templates": ("a drawing of a {}",)})
    for objective, same in (("l2", True), ("alignment", False)):
        settings = AttributionSettings(objective=objective)  # type: ignore[arg-type]
        wanted = [
            plan_profiles(
                zoo, TaskCatalog(tasks=(task,)), str(tmp_path), settings, options=NO_VERIFY
            ).wanted
            for task in (first, photo)
        ]
        assert (wanted[0] == wanted[1]) is same


def test_images_whose_scores_do_not_add_up_are_named_and_no_failures(
    zoo: Zoo, tasks: TaskCatalog, tmp_path: Path, settings: AttributionSettings
) -> None:
    summary = run_profile(zoo, tasks, str(tmp_path / "s"), settings)
    rows = ProfileStore(tmp_path / "s").scan(settings.digest)
    large = rows.filter(pl.col("completeness_error") > INEXACT)
    names = ["model", "pretrained", "task", "image_id"]
    expected = set(large.select(names).unique().iter_rows())
    named = {(i.model, i.pretrained, i.task, i.image_id) for i in summary.inexact}
    assert named == expected
    assert expected
    assert summary.exit_code() == 0
    assert not run_profile(zoo, tasks, str(tmp_path / "s"), settings).inexact

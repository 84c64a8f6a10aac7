from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.probes.builders import made_up_model, pooled_model
from vlmsel.attribution.block_scores import LayerConductance
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.numerics import INEXACT
from vlmsel.errors import AttributionError, TaskError
from vlmsel.execution.plan.preparation import plan_measurements
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run import measure
from vlmsel.execution.work.decoded_images import decode_shard
from vlmsel.measurements import Profile, Want
from vlmsel.probes import profile_probe as module
from vlmsel.probes.batch import Batch
from vlmsel.probes.profile_probe import BATCH, ProfileProbe
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.index import index_task
from vlmsel.tasks.prompts import ClassPrompts, class_prompts
from vlmsel.tasks.shards import plan_shards
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_model


def make_plan(zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile) -> Plan:
    return plan_measurements(zoo, tasks, store, [Want(profile)], options=RunOptions(verify=False))


def make_batch(zoo: Zoo, tasks: TaskCatalog, prompts: ClassPrompts | None = None) -> Batch:
    """The first task as the first model reads it."""
    model = load_model(zoo.models[0])
    [shard] = plan_shards(index_task(tasks.tasks[0]), n_images=None)
    images = decode_shard(shard, model.transform).images
    return Batch(model, images, [ref.sha256 for ref in shard.images], prompts=prompts)


def frame(profile: Profile, batch: Batch) -> pl.DataFrame:
    probed = ProfileProbe(profile).measure(batch)
    columns = {name: pl.Series(name, values) for name, values in probed.columns.items()}
    return pl.DataFrame({"image": pl.Series(probed.images), **columns})


def test_rows_are_what_attribution_gives_for_each_image_alone(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    first_model = Zoo(models=zoo.models[:1])
    measure(first_model, TaskCatalog(tasks=tasks.tasks[:1]), store, [Want(profile)])
    rows = store.scan(store.cells("profile", profile.digest)).measured
    model = load_model(zoo.models[0])
    assert rows["image_id"].n_unique() == 6
    for image_id in rows["image_id"].unique():
        with Image.open(Path(tasks.tasks[0].images) / image_id) as file:
            image = model.transform(file.convert("RGB"))
        expected = attribute(model, image[None], profile.settings)
        image_rows = rows.filter(pl.col("image_id") == image_id).sort("block")
        assert image_rows["block_name"].to_list() == list(expected.names)
        scores = torch.tensor(image_rows["conductance"].to_list())
        torch.testing.assert_close(scores, expected.scores[0], rtol=1e-5, atol=0, check_dtype=False)
        assert image_rows["objective"][0] == pytest.approx(float(expected.objective[0]), rel=1e-5)


def test_images_in_parts_keep_their_numbers(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, n_images = pooled_model(), BATCH["cpu"] + 1
    images = torch.rand(n_images, 3, 224, 224)
    sizes: list[int] = []

    def noting(model: LoadedModel, part: Tensor, *rest: Any, **more: Any) -> LayerConductance:
        sizes.append(len(part))
        return attribute(model, part, *rest, **more)

    monkeypatch.setattr(module, "attribute", noting)
    found = frame(profile, Batch(model, images, [str(number) for number in range(n_images)]))
    assert sizes == [BATCH["cpu"], 1]
    expected = attribute(model, images, profile.settings).scores
    assert found["image"].to_list() == [number for number in range(n_images) for _ in range(3)]
    assert found["conductance"].to_list() == pytest.approx(expected.flatten().tolist(), rel=1e-5)


def test_an_attribution_without_a_path_has_no_completeness(zoo: Zoo, tasks: TaskCatalog) -> None:
    gradient = Profile(settings=AttributionSettings(attribution="gradient"))
    rows = frame(gradient, make_batch(zoo, tasks))
    assert rows["completeness_error"].null_count() == rows.height > 0


def aligned(settings: AttributionSettings) -> Profile:
    return Profile(settings=settings.model_copy(update={"objective": "alignment"}))


def test_the_alignment_objective_uses_the_class_names(
    zoo: Zoo, tasks: TaskCatalog, settings: AttributionSettings
) -> None:
    plain = class_prompts(tasks.tasks[0])
    other = ClassPrompts(("circle", "triangle"), plain.templates)
    found = [frame(aligned(settings), make_batch(zoo, tasks, images)) for images in (plain, other)]
    assert found[0].height == found[1].height > 0
    assert not found[0]["conductance"].equals(found[1]["conductance"])


def test_the_alignment_objective_without_class_names_says_what_to_add(
    zoo: Zoo, tasks: TaskCatalog, store: Store, settings: AttributionSettings
) -> None:
    bare = tasks.tasks[0].model_copy(update={"classnames": None})
    with pytest.raises(TaskError, match=r"'a' has no class names, which profile needs: add `class"):
        make_plan(zoo, TaskCatalog(tasks=(bare,)), store, aligned(settings))
    with pytest.raises(TaskError, match=r"no class names.*add classnames"):
        ProfileProbe(aligned(settings)).measure(make_batch(zoo, tasks))


def test_the_alignment_objective_of_a_model_without_text_says_so(
    tasks: TaskCatalog, settings: AttributionSettings
) -> None:
    batch = Batch(
        made_up_model(), torch.zeros(1, 3, 8, 8), ["0"], prompts=class_prompts(tasks.tasks[0])
    )
    with pytest.raises(AttributionError, match="encodes no text: use another objective"):
        ProfileProbe(aligned(settings)).measure(batch)


def test_prompts_are_part_of_the_key_of_alignment_only(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    first = tasks.tasks[0]
    photo = first.model_copy(update={"templates": ("a drawing of a {}",)})
    for objective, same in (("l2", True), ("alignment", False)):
        profile = Profile(settings=AttributionSettings(objective=objective))  # type: ignore[arg-type]
        wanted = [
            make_plan(zoo, TaskCatalog(tasks=(task,)), store, profile).wanted
            for task in (first, photo)
        ]
        assert (wanted[0] == wanted[1]) is same
        assert wanted[0].isdisjoint(wanted[1]) is not same


def test_images_whose_scores_do_not_add_up_are_named_and_no_failures(
    zoo: Zoo, tasks: TaskCatalog, store: Store, profile: Profile
) -> None:
    summary = measure(zoo, tasks, store, [Want(profile)])
    rows = store.scan(store.cells("profile", profile.digest)).measured
    large = rows.filter(pl.col("completeness_error") > INEXACT)
    names = ["model", "pretrained", "task", "image_id"]
    expected = set(large.select(names).unique().iter_rows())
    named = {(i.model, i.pretrained, i.task, i.image_id) for i in summary.inexact}
    assert named == expected
    assert expected
    assert summary.exit_code() == 0
    assert not measure(zoo, tasks, store, [Want(profile)]).inexact


def test_an_image_that_attribution_refuses_has_a_reason_and_no_rows(
    zoo: Zoo, tasks: TaskCatalog, profile: Profile
) -> None:
    batch = make_batch(zoo, tasks)
    batch.images[2] = float("nan")
    probed = ProfileProbe(profile).measure(batch)
    assert set(probed.failures) == {2}
    assert set(probed.images) == {0, 1, 3, 4, 5}

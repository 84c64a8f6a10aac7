"""Knockouts as a measurement: rows, states, cells, and a variant that answers like its knockout."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from tests.probes.builders import made_up_model
from vlmsel.errors import ModelError
from vlmsel.evidence.catalog_contents import look_up
from vlmsel.execution.run import measure
from vlmsel.measurements import Knockout, Prediction, Want
from vlmsel.probes.batch import Batch
from vlmsel.probes.knockout_probe import KnockoutProbe
from vlmsel.probes.protocol import Probed
from vlmsel.store.store import Store
from vlmsel.tasks.prompts import ClassPrompts
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import ModelSpec, Zoo, load_zoo
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_model

PROMPTS = ClassPrompts(("circle", "square", "cross"), ("a {}.", "the {}"))
MODEL = "demo-vit-land"


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(load_zoo("demo").find(MODEL))


def batch_of(model: LoadedModel, n_images: int = 4) -> Batch:
    images = torch.randn(n_images, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    return Batch(model, images, [str(n) for n in range(n_images)], prompts=PROMPTS)


def frame(probed: Probed) -> pl.DataFrame:
    columns = {name: pl.Series(name, values) for name, values in probed.columns.items()}
    return pl.DataFrame({"image": pl.Series(probed.images, dtype=pl.Int64), **columns})


@pytest.mark.parametrize("tower", ["vision", "text"])
def test_rows_are_the_base_and_every_layer(model, tower) -> None:
    rows = frame(KnockoutProbe(Knockout(tower=tower)).measure(batch_of(model)))
    n_layers = rows["layer"].max() + 1  # pyright: ignore[reportOperatorIssue]
    assert rows.height == 4 * (n_layers + 1)
    assert rows.filter(pl.col("layer") == -1)["state"].unique().to_list() == ["base"]
    assert rows.filter(pl.col("layer") >= 0)["state"].unique().to_list() == ["acts"]
    assert rows.filter(pl.col("layer") == 0)["layer_name"][0].endswith("transformer.resblocks.0")
    total = rows["log_probabilities"].list.eval(pl.element().cast(pl.Float64).exp()).list.sum()
    assert total.to_numpy() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", ["vision.1", "vision.2.attention", "text.0.mlp"])
def test_a_variant_in_a_zoo_answers_like_its_knockout(model, name) -> None:
    spec = model.spec.model_copy(update={"model": f"{MODEL}@{name}"})
    variant = load_model(spec)
    layer = spec.silenced
    assert layer is not None
    wanted = Knockout(tower=layer.tower, part=layer.part)
    rows = frame(KnockoutProbe(wanted).measure(batch_of(model))).sort("image")
    knocked = rows.filter(pl.col("layer") == layer.number)["log_probabilities"].to_list()
    batch = batch_of(variant)
    similarity = nn.functional.normalize(batch.embedding, dim=-1) @ batch.class_embeddings.T
    expected = (variant.logit_scale * similarity).log_softmax(dim=-1)
    np.testing.assert_allclose(np.array(knocked, float), expected.numpy(), rtol=2e-3, atol=2e-3)
    base = rows.filter(pl.col("layer") == -1)["log_probabilities"].to_list()
    assert base != knocked
    # Another model: none of its cells may be taken for one of the base's.
    assert variant.identity is not None
    assert variant.identity != model.identity
    assert load_model(model.spec).identity == model.identity


def test_a_variant_without_its_layer_or_that_cannot_be_silenced_is_refused(model) -> None:
    def load(name: str, base: ModelSpec = model.spec) -> None:
        load_model(base.model_copy(update={"model": f"{base.model}@{name}"}))

    with pytest.raises(ModelError, match=r"no layer vision\.9: its vision layers are vision\.0 to"):
        load("vision.9")
    resnet = load_zoo("demo").find("demo-resnet-general")
    with pytest.raises(ModelError, match=r"vision\.0 \(layer1\.0\): it takes .* part branch"):
        load("vision.0", resnet)
    with pytest.raises(ModelError, match=r"vision\.1\.attention .*Bottleneck has no attention"):
        load("vision.1.attention", resnet)


def test_what_cannot_be_bypassed_has_null_answers_and_its_branch_can() -> None:
    resnet = load_model(load_zoo("demo").find("demo-resnet-letters"))
    states = {}
    for part in ("block", "branch"):
        rows = frame(KnockoutProbe(Knockout(part=part)).measure(batch_of(resnet)))
        states[part] = rows.group_by("layer").agg(pl.col("state").first()).sort("layer")["state"]
        silent = rows.filter(pl.col("state") == "no-bypass")
        assert silent["argmax"].null_count() == silent.height
        assert silent["log_probabilities"].null_count() == silent.height
    assert states["block"].to_list() == ["base", *["no-bypass"] * 2, "acts", *["no-bypass"] * 2]
    assert states["branch"].to_list() == ["base", *["acts"] * 5]


class Scaled(nn.Module):
    """A block that multiplies."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class Steps(nn.Module):
    """Three blocks: one does nothing, one halves, one keeps the rest from overflowing."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Scaled(1.0), Scaled(0.5), Scaled(1e-30)])

    def forward(self, images):
        x = images.flatten(1)[:, :2]
        for block in self.blocks:
            x = block(x)
        return torch.exp(x * 1e30) if x.abs().max() < 1e-20 else x * torch.inf


def test_no_change_is_off_the_path_and_no_number_is_wrong_by_name() -> None:
    visual = Steps().eval()
    model = made_up_model(visual, torch.eye(2))
    model = LoadedModel(**{**model.__dict__, "visual": visual})
    images = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    prompts = ClassPrompts(("0", "1"), ("{}",))
    batch = Batch(model, images, ["a", "b", "c"], prompts=prompts)
    rows = frame(KnockoutProbe(Knockout()).measure(batch))
    states = rows.group_by("layer").agg(pl.col("state").unique().first()).sort("layer")["state"]
    assert states.to_list() == ["base", "off-path", "acts", "not-finite"]
    assert rows.filter(pl.col("layer") == 2)["argmax"].to_list() == [-1] * 3


def test_the_other_tower_runs_once_and_texts_once_per_prompts(model) -> None:
    calls = []
    encode = model.encode_image

    def counted(images):
        calls.append(len(images))
        return encode(images)

    watched = LoadedModel(**{**model.__dict__, "encode_image": counted})
    probe = KnockoutProbe(Knockout(tower="text"))
    for n_images in (4, 3):
        probe.measure(batch_of(watched, n_images))
    assert calls == [4, 3]
    assert len(probe._texts) == 1


def test_cells_are_measured_resumed_and_in_the_same_pass(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    wants = [Want(Knockout()), Want(Prediction())]
    first = measure(zoo, tasks, store, wants)
    assert (first.measured, first.exit_code()) == (2 * 2 * 3, 0)
    assert measure(zoo, tasks, store, wants).measured == 0
    assert measure(zoo, tasks, store, [Want(Knockout(tower="text"))]).measured == 2 * 3
    vision = store.scan(store.cells("knockout", Knockout().digest)).measured
    answers = store.scan(store.cells("prediction", Prediction().digest)).measured
    keys = ["model", "task", "image_id"]
    joined = vision.filter(pl.col("state") == "base").join(answers, on=keys)
    assert joined.height == answers.height
    assert joined["argmax"].to_list() == joined["argmax_right"].to_list()


def test_a_variant_is_a_model_of_its_own_in_the_store(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    base = zoo.find("demo-vit-digits")
    variant = base.model_copy(update={"model": f"{base.model}@vision.0"})
    models = Zoo(models=(base, variant))
    assert measure(models, tasks, store, [Want(Prediction())]).measured == 2 * 3
    cells = store.cells("prediction", Prediction().digest)
    folders = {path.split("/")[2] for path in cells.values()}
    assert folders == {"demo-vit-digits@demo", "demo-vit-digits%40vision.0@demo"}
    assert len({cell.key for cell in cells}) == 6
    digests = {identity.digest for _, identity in look_up(models, tasks).models}
    assert len(digests) == 2

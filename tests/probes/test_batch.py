"""One forward pass for all probes of a batch."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.probes.builders import made_up_model, pooled_model
from vlmsel.errors import ModelError
from vlmsel.execution.work.decoded_images import decode_shard
from vlmsel.measurements import Embedding, Measurement, Prediction, Profile
from vlmsel.probes.batch import FORWARD_IMAGES, Batch, ClassTexts
from vlmsel.probes.probe_registry import make_probe
from vlmsel.tasks.index import index_task
from vlmsel.tasks.prompts import ClassPrompts, class_prompts
from vlmsel.tasks.shards import plan_shards
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_model


class Counted:
    """Images of every call of the visual tower."""

    def __init__(self, model: LoadedModel) -> None:
        self.images: list[int] = []
        self.has_gradients: list[bool] = []
        model.visual.register_forward_hook(self._count)

    def _count(self, _: object, inputs: tuple[Tensor, ...], __: object) -> None:
        self.images.append(len(inputs[0]))
        self.has_gradients.append(torch.is_grad_enabled())


@pytest.fixture
def model(zoo: Zoo) -> LoadedModel:
    return load_model(zoo.models[0])


@pytest.fixture
def batch(model: LoadedModel, tasks: TaskCatalog) -> Batch:
    """The first task, with its prompts and with the outputs of all blocks."""
    [shard] = plan_shards(index_task(tasks.tasks[0]), n_images=None)
    return Batch(
        model,
        decode_shard(shard, model.transform).images,
        [ref.sha256 for ref in shard.images],
        prompts=class_prompts(tasks.tasks[0]),
        layers=[name for name, _ in functional_blocks(model.visual)],
    )


def probe_all(batch: Batch, measurements: Sequence[Measurement]) -> None:
    for measurement in measurements:
        assert make_probe(measurement).measure(batch).images


def test_all_probes_that_read_embeddings_share_one_forward_pass(
    model: LoadedModel, batch: Batch
) -> None:
    counted = Counted(model)
    layers = [Embedding(layer=name) for name, _ in functional_blocks(model.visual)]
    probe_all(batch, [Prediction(), Embedding(), Prediction(logits=1), *layers])
    assert counted.images == [6]
    assert counted.has_gradients == [False]


def test_a_profile_beside_them_adds_the_passes_of_its_path_alone(
    model: LoadedModel, batch: Batch, profile: Profile
) -> None:
    counted = Counted(model)
    probe_all(batch, [profile])
    alone = list(counted.images)
    probe_all(batch, [Prediction(), Embedding()])
    assert counted.images == [*alone, 6]


def test_nothing_is_computed_before_it_is_asked_for(model: LoadedModel, batch: Batch) -> None:
    counted = Counted(model)
    assert len(batch) == 6
    assert counted.images == []


def test_the_pass_goes_in_parts_of_bounded_size_and_gives_the_same() -> None:
    model, images = pooled_model(), torch.rand(FORWARD_IMAGES + 1, 3, 224, 224)
    name, block = functional_blocks(model.visual)[0]
    shas = [str(number) for number in range(len(images))]
    batch = Batch(model, images, shas, layers=[name])
    counted = Counted(model)
    embedding, layer = batch.embedding, batch.layer(name)
    assert counted.images == [FORWARD_IMAGES, 1]
    outputs: list[Tensor] = []
    block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.no_grad():
        whole = model.encode_image(images)
    torch.testing.assert_close(embedding, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer, outputs[0], rtol=1e-5, atol=1e-5)


def test_a_stored_embedding_takes_no_pass(model: LoadedModel, batch: Batch) -> None:
    counted = Counted(model)
    stored = batch.embedding.clone()
    again = Batch(model, None, batch.sha256s, prompts=batch.prompts, embedding=stored)
    assert torch.equal(again.embedding, stored)
    probe_all(again, [Prediction()])
    assert counted.images == [6]
    with pytest.raises(ModelError, match="this batch holds no images: it has embeddings"):
        _ = again.images


def test_a_block_that_is_not_there_is_the_trouble_of_who_asks_for_it(
    model: LoadedModel, batch: Batch
) -> None:
    again = Batch(
        model, batch.images, batch.sha256s, prompts=batch.prompts, layers=["no-such-block"]
    )
    probe_all(again, [Prediction(), Embedding()])
    with pytest.raises(ModelError, match="no block 'no-such-block'"):
        again.layer("no-such-block")


def test_a_model_without_blocks_still_has_an_embedding() -> None:
    images = torch.rand(2, 3, 8, 8)
    again = Batch(made_up_model(), images, ["0", "1"], layers=["no-such-block"])
    assert torch.equal(again.embedding, images.flatten(1))
    with pytest.raises(ModelError, match="no block 'no-such-block'"):
        again.layer("no-such-block")


def test_prompts_are_encoded_once_for_all_batches_of_a_task() -> None:
    asked: list[int] = []
    model = made_up_model(classes=torch.eye(3))
    encode = model.encode_text
    assert encode is not None

    def counted(texts: Sequence[str]) -> Tensor:
        asked.append(len(texts))
        return encode(texts)

    object.__setattr__(model, "encode_text", counted)
    texts = ClassTexts()
    two = ClassPrompts(("0", "1"), ("{}",))
    three = ClassPrompts(("0", "1", "2"), ("{}",))
    for prompts in (two, three, two, ClassPrompts(("0", "1"), ("{}",))):
        batch = Batch(model, None, ["0"], prompts=prompts, texts=texts, embedding=torch.ones(1, 3))
        assert batch.class_embeddings.shape == (len(prompts.classnames), 3)
    assert asked == [2, 3]

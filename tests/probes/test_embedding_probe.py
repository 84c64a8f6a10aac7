from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import pytest
import torch
from torch import Tensor, nn

from tests.execution.builders import sha
from tests.probes.builders import made_up_model, pictures
from vlmsel.errors import ModelError
from vlmsel.execution.executors.threads import ThreadWorker
from vlmsel.execution.run import measure
from vlmsel.execution.work.decoded_images import DecodedShard, decode_shard
from vlmsel.measurements import Embedding, Want
from vlmsel.probes.batch import Batch
from vlmsel.probes.embedding_probe import EmbeddingProbe, mean_over_positions
from vlmsel.store.store import Store
from vlmsel.tasks.index import index_task
from vlmsel.tasks.shards import plan_shards
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.blocks import functional_blocks
from vlmsel.zoo.catalog import ModelSpec, Zoo
from vlmsel.zoo.loaded_model import LoadedModel
from vlmsel.zoo.loader import load_model


def decoded(tasks: TaskCatalog, model: LoadedModel) -> DecodedShard:
    """The first task as a model reads it."""
    [shard] = plan_shards(index_task(tasks.tasks[0]), n_images=None)
    return decode_shard(shard, model.transform)


def images_of(found: DecodedShard) -> Tensor:
    assert found.images is not None
    return found.images


@contextmanager
def plain_hook(block: nn.Module) -> Iterator[list[Tensor]]:
    """Outputs of a block, copied when they were made."""
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        outputs.append(output.clone())

    handle = block.register_forward_hook(keep)
    yield outputs
    handle.remove()


def make_batch(model: LoadedModel, found: DecodedShard, *layers: str) -> Batch:
    return Batch(model, found.images, [ref.sha256 for ref in found.refs], layers=layers)


def vectors(batch: Batch, layer: str = "output") -> Tensor:
    probed = EmbeddingProbe(Embedding(layer=layer)).measure(batch)
    assert list(probed.images) == list(range(len(batch)))
    return torch.tensor(probed.columns["vector"].to_pylist())


def test_the_output_is_the_embedding_before_normalisation(zoo: Zoo, tasks: TaskCatalog) -> None:
    for spec in zoo.models:
        model = load_model(spec)
        found = decoded(tasks, model)
        with torch.no_grad():
            expected = model.encode_image(images_of(found))
        batch_vectors = vectors(make_batch(model, found))
        assert torch.equal(batch_vectors, expected)
        assert not torch.allclose(batch_vectors.norm(dim=1), torch.ones(len(batch_vectors)))


def test_every_block_is_what_a_plain_hook_sees_averaged_over_positions(
    zoo: Zoo, tasks: TaskCatalog
) -> None:
    for spec in zoo.models:
        model = load_model(spec)
        found = decoded(tasks, model)
        blocks = dict(functional_blocks(model.visual))
        batch = make_batch(model, found, *blocks)
        for name, block in blocks.items():
            with plain_hook(block) as outputs, torch.no_grad():
                model.encode_image(images_of(found))
            [output] = outputs
            # Tokens (N, T, D) or a map (N, C, H, W).
            expected = output.mean(1) if output.ndim == 3 else output.flatten(2).mean(2)
            torch.testing.assert_close(vectors(batch, name), expected, rtol=1e-5, atol=1e-5)


def test_no_hook_is_left_behind(zoo: Zoo, tasks: TaskCatalog) -> None:
    model = load_model(zoo.models[0])
    blocks = dict(functional_blocks(model.visual))
    _ = make_batch(model, decoded(tasks, model), *blocks).embedding
    assert not any(block._forward_hooks for block in blocks.values())


def test_a_block_that_is_not_there_is_an_error_that_names_those_that_are(
    zoo: Zoo, tasks: TaskCatalog
) -> None:
    model = load_model(zoo.models[0])
    batch = make_batch(model, decoded(tasks, model), "block99")
    first = functional_blocks(model.visual)[0][0]
    with pytest.raises(ModelError, match=rf"no block 'block99'.*its blocks are {first}"):
        EmbeddingProbe(Embedding(layer="block99")).measure(batch)


@pytest.mark.parametrize(
    ("shape", "axes"), [((5, 4), ()), ((5, 3, 4), (1,)), ((5, 4, 2, 3), (2, 3))]
)
def test_positions_are_averaged_whatever_the_layout(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    output = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    batch = Batch(made_up_model(), torch.rand(5, 3, 8, 8), list("abcde"))
    expected = output.mean(axes) if axes else output
    assert torch.equal(mean_over_positions(output, batch, "b"), expected)


def test_maps_with_channels_last_are_averaged_over_height_and_width() -> None:
    model = made_up_model()
    model.visual.output_fmt = "NHWC"  # type: ignore[assignment]
    batch = Batch(model, torch.rand(5, 3, 8, 8), list("abcde"))
    output = torch.rand(5, 2, 3, 4)
    assert torch.equal(mean_over_positions(output, batch, "b"), output.mean((1, 2)))


@pytest.mark.parametrize("shape", [(5,), (4, 3), (5, 2, 2, 2, 2)])
def test_an_output_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    batch = Batch(made_up_model(), torch.rand(5, 3, 8, 8), list("abcde"))
    with pytest.raises(ModelError, match="output of b has shape"):
        mean_over_positions(torch.rand(shape), batch, "b")


def test_bad_embeddings_fail_their_image_or_their_model() -> None:
    nan = float("nan")
    embedding = torch.tensor([[1.0, 2.0], [nan, 1.0], [0.0, 0.0], [2.0, 1.0]])
    shas = [sha(str(number)) for number in range(4)]
    batch = Batch(made_up_model(), None, shas, embedding=embedding)
    probed = EmbeddingProbe(Embedding()).measure(batch)
    assert list(probed.images) == [0, 3]
    assert probed.failures == {
        1: "its embedding has values that are not finite",
        2: "its embedding is zero",
    }
    constant = Batch(made_up_model(), pictures(range(4)), shas, embedding=torch.ones(4, 2))
    with pytest.raises(ModelError, match="all 4 images have the same embedding"):
        EmbeddingProbe(Embedding()).measure(constant)


def test_a_block_whose_output_is_not_finite_fails_its_image_alone(
    zoo: Zoo, tasks: TaskCatalog
) -> None:
    model = load_model(zoo.models[0])
    found = decoded(tasks, model)
    name = functional_blocks(model.visual)[0][0]
    batch = make_batch(model, found, name)
    _ = batch.embedding
    batch._kept[name][0] = batch._kept[name][0].clone()
    batch._kept[name][0][2, 0] = float("inf")
    probed = EmbeddingProbe(Embedding(layer=name)).measure(batch)
    assert probed.failures == {2: f"the output of {name} is not finite"}


def test_embeddings_are_stored_in_float32_and_read_back_bit_for_bit(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    first_task = TaskCatalog(tasks=tasks.tasks[:1])
    summary = measure(zoo, first_task, store, [Want(Embedding())])
    assert (summary.measured, summary.exit_code()) == (2, 0)
    rows = store.scan(store.cells("embedding", Embedding().digest)).measured
    assert rows.schema["vector"] == pl.List(pl.Float32)
    for spec in zoo.models:
        model = load_model(spec)
        found = decoded(tasks, model)
        model_rows = rows.filter(pl.col("model") == spec.model)
        by_image = dict(model_rows.select("image_id", "vector").iter_rows())
        kept = torch.tensor([by_image[ref.image_id] for ref in found.refs])
        assert torch.equal(kept, make_batch(model, found).embedding)


def test_a_block_that_one_model_lacks_fails_that_model_alone(
    zoo: Zoo, tasks: TaskCatalog, store: Store
) -> None:
    names = [{name for name, _ in functional_blocks(load_model(s).visual)} for s in zoo.models]
    layer = Embedding(layer=min(names[0] - names[1]))
    summary = measure(zoo, TaskCatalog(tasks=tasks.tasks[:1]), store, [Want(layer)])
    assert (summary.measured, summary.total.failed) == (1, 1)
    assert summary.failures[0].model == zoo.models[1].model
    assert "no block" in summary.failures[0].reason


def test_an_encoder_without_blocks_needs_none_for_its_output(
    tasks: TaskCatalog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process: what a child is for is tested where it is made.
    monkeypatch.setattr("vlmsel.execution.executors.local.ChildWorker", ThreadWorker)
    spec = ModelSpec(model="own", pretrained="x", encoder="tests.probes.encoders:flat")
    summary = measure(
        Zoo(models=(spec,)), TaskCatalog(tasks=tasks.tasks[:1]), store, [Want(Embedding())]
    )
    assert (summary.measured, summary.exit_code()) == (1, 0)


def test_every_block_at_once_is_one_block_after_the_other(zoo: Zoo, tasks: TaskCatalog) -> None:
    for spec in zoo.models:
        model = load_model(spec)
        found = decoded(tasks, model)
        names = [name for name, _ in functional_blocks(model.visual)]
        alone = [vectors(make_batch(model, found, name), name) for name in names]
        whole = vectors(make_batch(model, found, "every-block"), "every-block")
        widest = max(item.shape[1] for item in alone)
        by_block = whole.unflatten(1, (len(names), widest))
        for number, item in enumerate(alone):
            assert torch.equal(by_block[:, number, : item.shape[1]], item)
            assert not by_block[:, number, item.shape[1] :].any()


def test_stored_embeddings_keep_their_digest() -> None:
    assert Embedding().digest == "30998f9af2beda63"

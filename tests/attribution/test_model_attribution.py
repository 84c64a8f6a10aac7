import pytest
import torch
from torch import nn

from tests.attribution.conftest import Model, Tiny, frozen, named_blocks
from vlmsel.attribution.conductance import gradient, layer_conductance
from vlmsel.attribution.memory import GB, SLACK, copies_held, measure, plan_split
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.path import baseline_images, quadrature
from vlmsel.errors import AttributionError
from vlmsel.settings import AttributionSettings


def settings(**changes):
    return AttributionSettings.model_validate({"n_steps": 3, **changes})


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(frozen(Tiny()))


@pytest.fixture
def pictures(images):
    return images.float()


def test_settings_reach_the_computation(model, pictures):
    chosen = settings(objective="variance", baseline="blur", n_steps=4, rule="left", path="graded")
    found = attribute(model, pictures, chosen)
    expected = layer_conductance(
        make_objective("variance", model.encode_image),
        pictures,
        named_blocks(model.visual),
        baseline=baseline_images("blur", pictures),
        n_steps=4,
        rule="left",
        path="graded",
    )
    torch.testing.assert_close(found.scores, expected.scores)
    assert found.names == ("blocks.0", "blocks.1", "blocks.2")
    assert found.failures == {}


def test_stages_are_fewer_blocks(model, pictures):
    assert len(attribute(model, pictures, settings(granularity="stage")).names) <= 3


def test_gradient_settings(model, pictures):
    found = attribute(model, pictures, settings(attribution="gradient"))
    expected = gradient(
        make_objective("l2", model.encode_image), pictures, named_blocks(model.visual)
    )
    torch.testing.assert_close(found.scores, expected.scores)


def test_text_reaches_the_alignment_objective(model, pictures):
    text = torch.randn(3, 5)
    found = attribute(model, pictures, settings(objective="alignment"), text=text)
    cosines = nn.functional.normalize(model.visual(pictures)) @ nn.functional.normalize(text).T
    torch.testing.assert_close(found.objective.float(), cosines.amax(1))


def bound(model, pictures, chosen, *, image_share):
    """Gigabytes for a share of what one image needs, beside the weights."""
    objective = make_objective(chosen.objective, model.encode_image)
    footprint = measure(
        objective, pictures[:1], named_blocks(model.visual), model.visual.parameters()
    )
    copies = copies_held(quadrature(chosen.rule, 9))
    blocks = copies * sum(footprint.blocks) * image_share
    return (footprint.weights + footprint.graph + blocks) * SLACK / GB, footprint, copies


@pytest.mark.parametrize("image_share", [2.5, 1.0, 0.5])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_values_do_not_depend_on_the_memory_bound(model, pictures, image_share, precision):
    chosen = settings(precision=precision)
    gigabytes, footprint, copies = bound(model, pictures, chosen, image_share=image_share)
    split = plan_split(footprint, len(pictures), copies, gigabytes)
    assert split.batch < len(pictures)
    assert (len(split.groups) > 1) == (image_share < 1)
    whole = attribute(model, pictures, chosen)
    found = attribute(model, pictures, chosen, max_memory_gb=gigabytes)
    torch.testing.assert_close(found.scores, whole.scores, rtol=1e-6, atol=0)
    assert found.names == whole.names


class Small(Model):
    """A device with room for `limit` images at once."""

    limit = 2

    def encode_image(self, images):
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return self.visual(images)


def test_out_of_memory_changes_no_value(model, pictures):
    found = attribute(Small(model.visual), pictures, settings())
    torch.testing.assert_close(found.scores, attribute(model, pictures, settings()).scores)


def test_out_of_memory_with_one_image_says_what_to_do(model, pictures, monkeypatch):
    monkeypatch.setattr(Small, "limit", 0)
    with pytest.raises(AttributionError, match=r"out of memory on cpu with one image.*max_memory"):
        attribute(Small(model.visual), pictures, settings())


def test_too_little_memory_is_an_error(model, pictures):
    with pytest.raises(AttributionError, match="max_memory is 1e-06 GB"):
        attribute(model, pictures, settings(), max_memory_gb=1e-6)


def test_the_reason_of_each_failed_image(model, pictures):
    pictures[1] = 0
    pictures[2, 0, 3, 3] = torch.nan
    found = attribute(model, pictures, settings())
    assert set(found.failures) == {1, 2}
    assert "equals its baseline" in found.failures[1]
    assert "preprocessed image" in found.failures[2]
    assert (found.scores[[0, 3]] > 0).all()


@pytest.mark.parametrize("attribution", ["gradient", "gradient_x_activation", "conductance"])
def test_an_unreadable_first_image_takes_no_other_with_it(model, pictures, attribution):
    pictures[0] = torch.nan
    found = attribute(model, pictures[:2], settings(attribution=attribution))
    assert set(found.failures) == {0}


def test_float32_means_float32_on_cuda(model, pictures, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen = []
    model.visual.register_forward_hook(
        lambda *_: seen.append(
            torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
        )
    )
    attribute(model, pictures, settings())
    assert set(seen) == {False}
    assert torch.backends.cudnn.allow_tf32


def test_overflow_names_the_block(model, pictures):
    model.visual.blocks[1].register_forward_hook(
        lambda _m, _i, out: out * torch.where(out.amax() > 0, 1e38, 1.0) * 1e38
    )
    found = attribute(model, pictures, settings())
    assert set(found.failures) == {0, 1, 2, 3}
    assert all("block blocks.1 gives" in reason for reason in found.failures.values())


class Underflow(nn.Module):
    """Output of the first block is added so small that float32 has no gradient for it."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)])

    def forward(self, images):
        small = self.blocks[0](images) * 1e-30
        return self.blocks[1](images + small * 1e-30).mean(dim=(2, 3))


@pytest.mark.parametrize("attribution", ["conductance", "gradient", "gradient_x_activation"])
def test_underflow_names_the_block(pictures, attribution):
    model = Model(frozen(Underflow()))
    found = attribute(model, pictures, settings(attribution=attribution))
    assert set(found.failures) == {0, 1, 2, 3}
    assert all("block blocks.0 scores zero" in reason for reason in found.failures.values())


@pytest.mark.parametrize("attribution", ["conductance", "gradient", "gradient_x_activation"])
@pytest.mark.parametrize("n_images", [1, 4])
def test_a_normalised_embedding_is_refused(model, pictures, attribution, n_images):
    class Normalised(Model):
        def encode_image(self, images):
            return nn.functional.normalize(self.visual(images), dim=1)

    with pytest.raises(AttributionError, match="does not depend on the image"):
        attribute(Normalised(model.visual), pictures[:n_images], settings(attribution=attribution))


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (3, 8, 8)])
def test_images_must_be_a_batch(model, shape):
    with pytest.raises(AttributionError, match="give at least one"):
        attribute(model, torch.zeros(shape), settings())

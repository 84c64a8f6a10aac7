"""Scores of an image against a text, through either tower or both."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as nnf
from captum.attr import LayerConductance
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

from vlmsel.attribution.conductance import layer_conductance
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.pair import MOST_TEXTS, open_prompts, pair_subject
from vlmsel.errors import AttributionError
from vlmsel.settings import AttributionSettings

LENGTH, END = 6, 29
CLASSES = ("cat", "dog", "ox")
TEMPLATES = ("a{}", "{}s")
PATHS = [("score-class", t) for t in ("vision", "text", "both")]
PATHS += [("score-mean", t) for t in ("vision", "text", "both")]


@dataclass(frozen=True)
class Steps:
    """Letters as tokens; the end has the largest id, which is where CLIP reads."""

    model: CLIP

    def tokenize(self, texts):
        rows = [[1 + ord(c) % 26 for c in text[: LENGTH - 1]] + [END] for text in texts]
        return torch.tensor([row + [0] * (LENGTH - len(row)) for row in rows])

    def encode(self, tokens):
        return self.model.encode_text(tokens, normalize=True)


@dataclass(frozen=True)
class Pair:
    visual: Any
    encode_text: Any
    text_tower: Any

    def encode_image(self, images):
        return self.visual(images)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    vision = CLIPVisionCfg(image_size=16, patch_size=8, width=16, layers=2, head_width=8)
    text = CLIPTextCfg(context_length=LENGTH, vocab_size=30, width=16, heads=2, layers=3)
    net = CLIP(embed_dim=8, vision_cfg=vision, text_cfg=text).double().eval()
    net.requires_grad_(False)
    for parameter in net.parameters():
        if parameter.ndim < 3:
            parameter.add_(0.2 * torch.randn_like(parameter))
    return Pair(net.visual, Steps(net), net)


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, 16, 16, generator=generator, dtype=torch.float64)


def texts_of(templates):
    return [tuple(template.format(name) for template in templates) for name in CLASSES]


def class_vectors(model, templates):
    parts = [model.encode_text.encode(model.encode_text.tokenize(t)) for t in texts_of(templates)]
    return torch.stack([nnf.normalize(part.mean(0), dim=0) for part in parts])


def settings(objective, tower, **changes):
    return AttributionSettings.model_validate({"objective": objective, "tower": tower, **changes})


def scored(model, pictures, chosen, templates=TEMPLATES, **options):
    return attribute(
        model,
        pictures,
        chosen,
        text=class_vectors(model, templates),
        prompts=open_prompts(model, chosen, texts_of(templates)),
        **options,
    )


@pytest.mark.parametrize("tower", ["vision", "text", "both"])
def test_equals_captum_on_all_blocks_of_both_towers(model, pictures, tower):
    # One template: captum knows no block that has several rows per image.
    chosen, text = settings("score-class", tower), class_vectors(model, TEMPLATES[:1])
    prompts = open_prompts(model, chosen, texts_of(TEMPLATES[:1]))
    subject = pair_subject(model, pictures, chosen, text, prompts)
    start = subject.start(subject.rows)
    options = {"n_steps": 4, "rule": "captum", "path": "uniform"}
    found = layer_conductance(
        subject.objective, subject.rows, subject.blocks, baseline=start, **options
    )
    for number, (name, module) in enumerate(subject.blocks):
        oracle = LayerConductance(subject.objective, module)
        units = oracle.attribute(subject.rows, baselines=start, n_steps=4)
        expected = units.flatten(1).abs().mean(dim=1)
        assert expected.min() > 0, f"{name} moves, or the check is vacuous"
        torch.testing.assert_close(found.scores[:, number], expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("objective", "tower"), PATHS)
def test_the_score_is_the_cosine_at_both_ends_and_the_sums_are_its_change(
    model, pictures, objective, tower
):
    chosen = settings(objective, tower, rule="trapezoid", n_steps=129)
    found = scored(model, pictures, chosen)
    assert found.failures == {}
    assert all(found.cuts)
    # Of the change itself: F can be small.
    change = (found.objective - found.objective_at_baseline).abs()
    assert (found.completeness_error * found.objective.abs() / change).max() < 2e-3
    classes = class_vectors(model, TEMPLATES)
    image = nnf.normalize(model.visual(pictures), dim=1)
    rows = classes[(image @ classes.T).argmax(1)]
    target = rows if objective == "score-class" else classes.mean(0).expand_as(rows)
    expected = nnf.cosine_similarity(image, target)
    torch.testing.assert_close(found.objective, expected, rtol=1e-9, atol=1e-12)
    if tower == "vision":
        start = nnf.cosine_similarity(model.visual(torch.zeros_like(pictures)), target)
        torch.testing.assert_close(found.objective_at_baseline, start, rtol=1e-9, atol=1e-12)
    parts = [name.startswith("text.") for name in found.names]
    assert sum(parts) == {"vision": 0, "text": 3, "both": 3}[tower]
    assert len(parts) - sum(parts) == {"vision": 2, "text": 0, "both": 2}[tower]


def test_the_text_starts_as_an_empty_prompt_read_where_the_prompt_ends(model, pictures):
    chosen = settings("score-class", "text", rule="left", n_steps=1)
    found = scored(model, pictures, chosen, TEMPLATES[:1])
    net, classes = model.text_tower, class_vectors(model, TEMPLATES[:1])
    image = nnf.normalize(model.visual(pictures), dim=1)
    empty = net.token_embedding(model.encode_text.tokenize([""])) + net.positional_embedding
    hidden = net.ln_final(net.transformer(empty, attn_mask=net.attn_mask))[0]
    for number, of_class in enumerate((image @ classes.T).argmax(1).tolist()):
        end = 1 + len(CLASSES[of_class])  # behind the letter of the template
        text = hidden[end] @ net.text_projection
        expected = nnf.cosine_similarity(image[number], text, dim=0)
        assert found.objective_at_baseline[number].item() == pytest.approx(float(expected))


@pytest.mark.parametrize("objective", ["score-class", "score-mean"])
def test_several_prompts_per_image_equal_plain_autograd(model, pictures, objective):
    """Slow reference: one image and one block at a time, every step a graph of its own."""
    chosen = settings(objective, "both", rule="left", path="uniform", n_steps=3)
    found = scored(model, pictures, chosen)
    text, prompts = (
        class_vectors(model, TEMPLATES),
        open_prompts(model, chosen, texts_of(TEMPLATES)),
    )
    for image in range(len(pictures)):
        subject = pair_subject(model, pictures[image : image + 1], chosen, text, prompts)
        start = subject.start(subject.rows)
        for number, (_, module) in enumerate(subject.blocks):
            kept, units = [], 0.0
            handle = module.register_forward_hook(lambda _m, _i, out, k=kept: k.append(out))
            before, slope = None, None
            for step in range(4):
                kept.clear()
                point = start + step / 3 * (subject.rows - start)
                value = subject.objective(point.requires_grad_())
                (gradient,) = torch.autograd.grad(value.sum(), kept)
                if before is not None:
                    units = units + slope * (kept[0].detach() - before)
                before, slope = kept[0].detach(), gradient
            handle.remove()
            expected = float(units.abs().mean())
            assert found.scores[image, number].item() == pytest.approx(expected, rel=1e-9)


def test_values_do_not_depend_on_batch_or_memory(model, pictures):
    chosen = settings("score-mean", "both")
    whole = scored(model, pictures, chosen)
    alone = [scored(model, item[None], chosen) for item in pictures]
    torch.testing.assert_close(whole.scores, torch.cat([item.scores for item in alone]))
    # Enough for one block of one image at a time.
    weights = 2 * sum(p.numel() * 8 for p in model.text_tower.parameters())
    bounded = scored(model, pictures, chosen, max_memory_gb=(weights + 900_000) / 2**30)
    torch.testing.assert_close(whole.scores, bounded.scores)
    assert bounded.cuts == whole.cuts
    torch.testing.assert_close(whole.completeness_error, bounded.completeness_error)


@pytest.mark.parametrize("attribution", ["gradient", "gradient_x_activation"])
def test_gradients_of_both_towers(model, pictures, attribution):
    found = scored(model, pictures, settings("score-class", "both", attribution=attribution))
    assert found.failures == {}
    assert (found.scores > 0).all()


def test_a_text_that_is_an_empty_prompt_fails(model, pictures):
    chosen = settings("score-class", "text", rule="left", n_steps=2)
    prompts = open_prompts(model, chosen, [("",)])
    found = attribute(model, pictures, chosen, text=torch.ones(1, 8), prompts=prompts)
    assert len(found.failures) == len(pictures)
    assert all("text equals its baseline" in reason for reason in found.failures.values())


def test_what_lacks_is_said_in_one_line(model, pictures):
    chosen = settings("score-class", "both")
    texts = texts_of(TEMPLATES)
    with pytest.raises(AttributionError, match="needs class names"):
        attribute(model, pictures, settings("score-mean", "vision"))
    with pytest.raises(AttributionError, match="tower both needs the prompts"):
        attribute(model, pictures, chosen, text=torch.ones(3, 8))
    with pytest.raises(AttributionError, match="needs the prompts of the classes"):
        open_prompts(model, chosen, [])
    for other in (Pair(model.visual, None, None), Pair(model.visual, str, model.text_tower)):
        with pytest.raises(AttributionError, match=r"no text tower with gradients.*tower vision"):
            open_prompts(other, chosen, texts)
    with pytest.raises(AttributionError, match="no block that is known"):
        open_prompts(Pair(model.visual, model.encode_text, torch.nn.Linear(1, 1)), chosen, texts)
    many = [("a picture",) * (MOST_TEXTS // 2 + 1)] * 2
    with pytest.raises(AttributionError, match=r"514 prompts would be run .*at most 512"):
        open_prompts(model, settings("score-mean", "text"), many)
    assert open_prompts(model, settings("score-mean", "vision"), texts) is None

"""Generative models of transformers: the families of docs/guide/generative.md, random weights."""

import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import processors as token_processors

from tests.zoo.providers.conftest import pictures
from tests.zoo.providers.generative_builders import IDS
from vlmsel.errors import ModelError
from vlmsel.probes.silenced_layers import plain, resumed
from vlmsel.zoo import identify, load_model
from vlmsel.zoo.blocks import read_blocks
from vlmsel.zoo.capabilities import Capability
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.choices import ChoicePrompt
from vlmsel.zoo.hooks import hooked, silenced
from vlmsel.zoo.layer_name import LayerName
from vlmsel.zoo.providers.generative import find_towers
from vlmsel.zoo.variants import tower_blocks

# PaliGemma's processor does this with tensors of torch.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
QUESTIONS = (
    ChoicePrompt("what digit is this ?", ("one", "two")),
    ChoicePrompt("the picture shows a very dark square . what is this", ("red", "green", "blue")),
    ChoicePrompt("which shape", ("square", "circle", "red", "four")),
)
LONG = ChoicePrompt("what is this ?", ("very dark red", "light red", "green"), whole=True)
DECODERS = {"smolvlm": "model.text_model.layers", "idefics3": "model.text_model.layers"}
ENCODERS = {
    "qwen2_vl": "model.visual.blocks",
    "qwen2_5_vl": "model.visual.blocks",
    "qwen3_vl": "model.visual.blocks",
    "smolvlm": "model.vision_model.encoder.layers",
    "idefics3": "model.vision_model.encoder.layers",
    "internvl": "model.vision_tower.encoder.layer",
}
# The last layers of a block's branches, with their biases.
BRANCH_ENDS = ("o_proj", "out_proj", "proj", "projection_layer", "down_proj", "fc2", "linear_fc2")
# A picture of these has no embedding: they read pictures at several sizes.
SEVERAL_SIZES = {
    "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "smolvlm", "idefics3",
}  # fmt: skip


def rendered(family, prompt):
    """The prompt by hand, and as the processor's own tokenizer ends it."""
    if family.name == "paligemma":
        return f"<image>\n{prompt}"
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    conversation = [{"role": "user", "content": content}]
    return family.processor.apply_chat_template(conversation, add_generation_prompt=True)


def inputs_of(family, questions, images, **options):
    texts = [rendered(family, question.prompt) for question in questions]
    found = family.processor(
        text=texts,
        images=[[image] for image in images],
        return_tensors="pt",
        padding=True,
        **options,
    )
    return {name: value for name, value in found.items() if name != "labels"}


def plain_scores(family, question, image):
    """Log-probabilities of one-word options after a forward pass written by hand."""
    with torch.no_grad():
        logits = family.model(**inputs_of(family, [question], [image])).logits[0, -1]
    log_p = logits.log_softmax(-1)
    return torch.stack([log_p[IDS[option]] for option in question.options])


def test_options_have_the_log_probabilities_of_a_plain_forward(family):
    found = family.loaded.score_choices(pictures(), QUESTIONS)
    assert not found.failures
    for number, (question, image) in enumerate(zip(QUESTIONS, pictures(), strict=True)):
        expected = plain_scores(family, question, image)
        scores = found.log_probabilities[number]
        n_options = len(question.options)
        torch.testing.assert_close(scores[:n_options], expected, rtol=0, atol=1e-5)
        assert (scores[n_options:] == -65504.0).all()
        torch.testing.assert_close(
            found.outside[number], 1 - expected.exp().sum(), rtol=0, atol=1e-5
        )
        lengths = torch.tensor([len(option) for option in question.options])
        mean = found.per_character[number, :n_options]
        torch.testing.assert_close(mean, expected / lengths, rtol=0, atol=1e-5)


def test_a_left_padded_batch_of_the_model_says_the_same(family):
    found = family.loaded.score_choices(pictures(), QUESTIONS).log_probabilities
    inputs = inputs_of(family, QUESTIONS, pictures(), padding_side="left")
    assert (inputs["attention_mask"] == 0).any()
    with torch.no_grad():
        log_p = family.model(**inputs).logits[:, -1].log_softmax(-1)
    for number, question in enumerate(QUESTIONS):
        ids = [IDS[option] for option in question.options]
        # Positions count the padding in some families: a rounding apart.
        torch.testing.assert_close(found[number, : len(ids)], log_p[number, ids], rtol=0, atol=1e-4)


def test_scores_do_not_depend_on_the_batch(family):
    together = family.loaded.score_choices(pictures(), QUESTIONS).log_probabilities
    for number, (question, image) in enumerate(zip(QUESTIONS, pictures(), strict=True)):
        alone = family.loaded.score_choices([image], [question]).log_probabilities[0]
        gap = (together[number, : len(alone)] - alone).abs().max()
        assert gap < 1e-5


def test_options_of_several_tokens_are_summed(family):
    image = pictures()[0]
    found = family.loaded.score_choices([image], [LONG])
    expected = []
    for option in LONG.options:
        inputs, total = inputs_of(family, [LONG], [image]), 0.0
        for word in option.split():
            with torch.no_grad():
                log_p = family.model(**inputs).logits[0, -1].log_softmax(-1)
            total += float(log_p[IDS[word]])
            inputs = with_token(family, inputs, IDS[word])
        expected.append(total)
    torch.testing.assert_close(
        found.log_probabilities[0], torch.tensor(expected), rtol=0, atol=1e-5
    )


def with_token(family, inputs, token):
    """The inputs with one more token, which is no picture and, in PaliGemma, no prompt."""
    more = {"input_ids": token, "attention_mask": 1, "mm_token_type_ids": 0}
    more["token_type_ids"] = int(family.name == "paligemma")
    return {
        name: torch.cat([value, value.new_full((1, 1), more[name])], dim=1)
        if name in more
        else value
        for name, value in inputs.items()
    }


def test_blocks_are_where_the_architecture_has_them(family):
    model = family.loaded.score_choices._model
    paths = {
        "text": DECODERS.get(family.name, "model.language_model.layers"),
        "vision": ENCODERS.get(family.name, "model.vision_tower.encoder.layers"),
    }
    for tower, path in paths.items():
        found = [block for _, block in tower_blocks(family.loaded, tower)]
        expected = list(model.get_submodule(path))
        assert len(found) == len(expected) == 3
        assert all(first is second for first, second in zip(found, expected, strict=True))


def test_capabilities(family):
    expected = {Capability.choice_scores, Capability.blocks}
    if family.name not in SEVERAL_SIZES:
        expected.add(Capability.image_embedding)
    assert family.loaded.capabilities == expected


@pytest.mark.parametrize("tower", ["vision", "text"])
def test_layers_are_silenced_and_restored(family, tower):
    scorer = family.loaded.score_choices
    (batch,) = scorer.prepare(pictures(), QUESTIONS).batches
    blocks = tower_blocks(family.loaded, tower)
    parts = ("block", "attention", "mlp") if family.name in ("llava", "qwen3_vl") else ("block",)
    with torch.inference_mode():
        base = batch.run(0)
        for part in parts:
            slow = plain(partial(batch.run, 0), blocks, part)
            fast = resumed(partial(batch.run, 0), blocks, part)
            assert not slow.reasons
            for number, output in slow.outputs.items():
                torch.testing.assert_close(fast.outputs[number], output, rtol=0, atol=1e-5)
                gap = (output - base).abs().max()
                # LLaVA reads the layer before the last of its image encoder.
                is_unread = tower == "vision" and number == 2 and family.name.startswith("llava")
                is_unread = is_unread and family.name != "llava_onevision"
                assert (gap == 0) == is_unread
        assert torch.equal(batch.run(0), base)


@pytest.mark.parametrize("tower", ["vision", "text"])
def test_a_bypassed_block_is_one_whose_branches_are_zero(family, tower):
    scorer = family.loaded.score_choices
    (batch,) = scorer.prepare(pictures(), QUESTIONS).batches
    _, block = tower_blocks(family.loaded, tower)[1]
    with torch.inference_mode(), silenced(block, "block") as seen:
        bypassed = batch.run(0)
    assert seen.n_calls == 1
    ends = [
        module
        for name, module in block.named_modules()
        if name.rpartition(".")[2] in BRANCH_ENDS and isinstance(module, torch.nn.Linear)
    ]
    assert len(ends) == 2
    before = [{k: v.clone() for k, v in end.state_dict().items()} for end in ends]
    try:
        for end in ends:
            for parameter in end.parameters():
                parameter.data.zero_()
        with torch.inference_mode():
            zeroed = batch.run(0)
    finally:
        for end, state in zip(ends, before, strict=True):
            end.load_state_dict(state)
    torch.testing.assert_close(bypassed, zeroed, rtol=0, atol=1e-6)


def test_a_hook_must_run_before_those_that_collect_hidden_states(load_family):
    """LLaVA reads its image encoder's states as transformers' own hooks collected them."""
    llava = load_family("llava").loaded
    (batch,) = llava.score_choices.prepare(pictures(), QUESTIONS).batches
    _, block = tower_blocks(llava, "vision")[1]

    def bypass(_module, args, kwargs, output):
        given = args[0] if args else kwargs["hidden_states"]
        return (given, *output[1:]) if isinstance(output, tuple) else given

    with torch.inference_mode():
        base = batch.run(0)
        with hooked([(block, bypass)], prepend=False):
            late = batch.run(0)
        with hooked([(block, bypass)], prepend=True):
            early = batch.run(0)
    assert torch.equal(late, base)
    assert (early - base).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["llava", "gemma3", "qwen3_vl"])
def test_generation_with_a_cache_is_that_without_one(load_family, name):
    family = load_family(name)
    _, block = tower_blocks(family.loaded, "text")[1]
    texts = {}
    for silent in (False, True):
        inputs, words = inputs_of(family, QUESTIONS[:1], pictures()[:1]), []
        with torch.no_grad(), silenced(block, "block") if silent else torch.inference_mode():
            texts[silent] = family.loaded.score_choices.answer(pictures()[:1], QUESTIONS[:1])[0][0]
            for _ in range(4):
                model = family.loaded.score_choices._model
                token = int(model(**inputs, use_cache=False).logits[0, -1].argmax())
                if token == IDS["<eos>"]:
                    break
                words.append(token)
                inputs = with_token(family, inputs, token)
        expected = family.processor.tokenizer.decode(words, skip_special_tokens=True).split()
        assert texts[silent].split()[: len(expected)] == expected
    assert texts[False] != texts[True]


def test_embeddings_are_means_of_what_the_language_model_reads(load_family):
    llava = load_family("llava")
    images = torch.stack([llava.loaded.transform(picture) for picture in pictures()])
    with torch.no_grad():
        found = llava.loaded.encode_image(images)
        outputs = llava.model.get_image_features(pixel_values=images)
    expected = torch.stack([tokens.mean(dim=0) for tokens in outputs.pooler_output])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    names = [name for name, _ in read_blocks(llava.loaded.visual)]
    assert names == ["vision_tower.encoder.layers.0", "vision_tower.encoder.layers.1"]


def test_a_variant_is_the_model_with_that_layer_silent(load_family):
    llava = load_family("llava")
    spec = ModelSpec(model="llava@text.1", pretrained="tiny", weights=str(llava.folder))
    variant = load_model(spec)
    assert identify(spec).digest != identify(spec.base).digest
    found = variant.score_choices(pictures(), QUESTIONS).log_probabilities
    with silenced(tower_blocks(llava.loaded, "text")[1][1], "block"):
        expected = llava.loaded.score_choices(pictures(), QUESTIONS).log_probabilities
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert str(spec.silenced) == str(LayerName("text", 1))


@pytest.fixture
def llava_copy(load_family, tmp_path) -> Path:
    """A copy of LLaVA's folder, to be changed."""
    return Path(shutil.copytree(load_family("llava").folder, tmp_path / "llava"))


def write(folder: Path, name: str, **values: object) -> None:
    document = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(document | values))


def add_words(folder: Path) -> None:
    document = json.loads((folder / "tokenizer.json").read_text())
    document["model"]["vocab"] |= {f"word{i}": len(IDS) + i for i in range(9)}
    (folder / "tokenizer.json").write_text(json.dumps(document))


def end_prompts(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = token_processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", IDS["<eos>"])]
    )
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda f: write(f, "processor_config.json", patch_size=4), "processor does not fit"),
        (lambda f: write(f, "config.json", image_token_index=3), "expects 3: the processor in"),
        (add_words, "tokenizer in its folder is that of another model"),
        (lambda f: write(f, "config.json", auto_map={"AutoModel": "x.Y"}), "makes a library run"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer in"),
        (lambda f: (f / "processor_config.json").unlink(), "no image processor in"),
        (lambda f: (f / "model.safetensors").unlink(), "only safetensors are read"),
    ],
)  # fmt: skip
def test_folders_that_do_not_fit_are_refused(llava_copy, break_it, reason):
    break_it(llava_copy)
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(ModelSpec(model="llava", pretrained="x", weights=str(llava_copy)))
    assert "\n" not in str(caught.value)


def test_a_family_without_known_layers_is_refused():
    spec = ModelSpec(model="m", pretrained="x", weights="m")
    unknown = SimpleNamespace(model=torch.nn.Linear(2, 2), get_decoder=SimpleNamespace)
    for model in (SimpleNamespace(), unknown):
        with pytest.raises(ModelError, match="the layers of a SimpleNamespace are not known here"):
            find_towers(spec, model)


def test_a_tokenizer_that_ends_prompts_is_refused(llava_copy):
    end_prompts(llava_copy)
    loaded = load_model(ModelSpec(model="llava", pretrained="x", weights=str(llava_copy)))
    with pytest.raises(ModelError, match="puts <eos> after a prompt, where the answer is to come"):
        loaded.score_choices(pictures()[:1], QUESTIONS[:1])


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (ChoicePrompt("what", ("dark red", "dark blue"), whole=False), None),
        (ChoicePrompt("what", ("very dark red", "very dark red"), whole=True), None),
        (ChoicePrompt("what", ("red", "zebra")), "option 'zebra' is unknown to its tokenizer"),
        (ChoicePrompt("what", ("zebra", "gnu")), "options 'zebra' and 'gnu' have the same first"),
        (ChoicePrompt("what " * 600, ("red", "blue")), "and the model reads 512"),
        (ChoicePrompt("what <image> ?", ("red", "blue")), "own word for a picture, <image>"),
    ],
)  # fmt: skip
def test_questions_that_cannot_be_asked_fail_alone(load_family, question, reason):
    choices = [QUESTIONS[0], question, QUESTIONS[2]]
    found = load_family("llava").loaded.score_choices(pictures(), choices)
    assert torch.isfinite(found.log_probabilities[[0, 2]]).all()
    if reason is None:
        assert not found.failures
        return
    assert list(found.failures) == [1]
    assert reason in found.failures[1]
    assert torch.isnan(found.log_probabilities[1]).all()

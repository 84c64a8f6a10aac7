"""Training of the embedded generative models: prompts, steps, and runs that were stopped."""

from dataclasses import replace

import pytest
import torch

from vlmsel.demo.demo_questions import demo_question, draw_items, trained_questions
from vlmsel.demo.vlm_builder import train_vlm
from vlmsel.demo.vlm_folder import build_processor, load_vlm, new_vlm, save_vlm, vocabulary
from vlmsel.demo.vlm_lessons import (
    TrainingRun,
    draw_lessons,
    option_scores,
    option_tokens,
    prompt_tokens,
)
from vlmsel.demo.vlm_recipes import VLM_RECIPES
from vlmsel.demo.zeroshot import normalise, stack

TINY = replace(VLM_RECIPES[0], vision=(1, 16), text=(1, 16, 16), steps=6)


@pytest.fixture(scope="module")
def lessons():
    return draw_lessons(8)


@pytest.fixture(scope="module")
def processor():
    return build_processor()


def weights(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(lessons, tmp_path):
    whole = TrainingRun.start(TINY, lessons, seed=4)
    losses = [whole.advance() for _ in range(6)]
    first = TrainingRun.start(TINY, lessons, seed=4)
    before = [first.advance() for _ in range(3)]
    first.keep(tmp_path / "run.pt")
    second = TrainingRun.start(TINY, lessons, seed=5)
    second.resume(tmp_path / "run.pt")
    assert second.step == 3
    assert [*before, *(second.advance() for _ in range(3))] == losses
    assert torch.equal(weights(second.model), weights(whole.model))


def test_training_learns(lessons, tmp_path):
    chosen = {"directions": lessons["directions"]}
    recipe = replace(TINY, text=(1, 32, 32), steps=40)
    start = TrainingRun.start(recipe, chosen, seed=0).advance()
    run = train_vlm(recipe, chosen, seed=0, kept=tmp_path / "run.pt", quiet=True)
    assert run.step == 40
    assert run.advance() < 0.6 * start


@pytest.mark.parametrize("question", trained_questions(), ids=lambda question: question.name)
def test_prompts_are_what_the_processor_makes_of_them(question, processor):
    (image,), _ = draw_items(question, split="test", n=1, seed=0)
    parts = [{"type": "image"}, {"type": "text", "text": question.text}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=False
    )
    made = processor(text=[text], images=[[image]], return_tensors="pt")
    assert made["input_ids"][0].tolist() == prompt_tokens(question).tolist()
    torch.testing.assert_close(made["pixel_values"], normalise(stack([image])))
    options = processor.tokenizer(list(question.options), add_special_tokens=False)["input_ids"]
    assert options == [[token] for token in option_tokens(question).tolist()]
    assert vocabulary().index("<unk>") not in made["input_ids"]


def test_a_saved_model_is_the_trained_one_in_half_precision(tmp_path):
    model = new_vlm(TINY, seed=1).eval()
    saved = save_vlm(model, tmp_path / "vlm")
    loaded, _ = load_vlm(tmp_path / "vlm")
    assert saved.size < 2 * sum(value.numel() for value in model.parameters()) + 10_000
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(weights(loaded), weights(model).half().float())
    question = demo_question("signs")
    images, _ = draw_items(question, split="test", n=3, seed=0)
    scores = option_scores(loaded, question, images)
    assert scores.shape == (3, 10)
    torch.testing.assert_close(scores, option_scores(model, question, images), atol=0.01, rtol=0.01)

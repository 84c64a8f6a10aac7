"""Training of one embedded generative model: mixed batches of questions, next-word loss, AdamW.

A run is kept in a file every few steps and goes on from there, with the same numbers as one that
was never stopped.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from vlmsel.demo.demo_questions import DemoQuestion, draw_items, trained_questions
from vlmsel.demo.vlm_folder import END, IMAGE, new_vlm, vocabulary
from vlmsel.demo.vlm_recipes import N_IMAGE_TOKENS, VLM_TRAINING, VlmRecipe
from vlmsel.demo.zeroshot import normalise, stack

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration

TRAIN_SEED = 0
KEEP_EVERY = 50
SCORED_AT_ONCE = 100


@dataclass(frozen=True)
class Lesson:
    """The training items of one question.

    Attributes:
        pixels: (n, 3, 32, 32) bytes.
        answers: (n,) tokens of the right options.
        prompt: (T,) tokens before the answer: those of the picture, then the question's.
    """

    pixels: torch.Tensor
    answers: torch.Tensor
    prompt: torch.Tensor


def draw_lessons(n: int) -> dict[str, Lesson]:
    """Draw the training items of all questions, n each, by name of the question."""
    lessons = {}
    for question in trained_questions():
        images, answers = draw_items(question, split="train", n=n, seed=TRAIN_SEED)
        tokens = option_tokens(question)[torch.tensor(answers)]
        lessons[question.name] = Lesson(stack(images), tokens, prompt_tokens(question))
    return lessons


def prompt_tokens(question: DemoQuestion) -> torch.Tensor:
    """Return what the processor makes of the chat template with this question."""
    words = vocabulary()
    asked = [words.index(word) for word in question.text.split()]
    return torch.tensor([words.index(IMAGE)] * N_IMAGE_TOKENS + asked)


def option_tokens(question: DemoQuestion) -> torch.Tensor:
    """Return the token of every option."""
    words = vocabulary()
    return torch.tensor([words.index(option) for option in question.options])


class LessonBatches:
    """Mixes items of several questions as the recipe says."""

    def __init__(
        self, recipe: VlmRecipe, lessons: dict[str, Lesson], rng: np.random.Generator
    ) -> None:
        self._lessons = lessons
        shares = [recipe.mixture.get(name, recipe.background) for name in lessons]
        self._shares = np.array(shares) / sum(shares)
        self.rng = rng
        self._end = vocabulary().index(END)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pictures (B, 3, 32, 32) and tokens (B, T + 2): prompt, answer, end."""
        counts = self.rng.multinomial(VLM_TRAINING.batch, self._shares)
        pixels, rows = [], []
        for lesson, count in zip(self._lessons.values(), counts, strict=True):
            picked = torch.from_numpy(self.rng.integers(len(lesson.answers), size=count))
            prompts = lesson.prompt.expand(int(count), -1)
            answers = lesson.answers[picked][:, None]
            pixels.append(lesson.pixels[picked])
            rows.append(torch.cat([prompts, answers, torch.full_like(answers, self._end)], 1))
        return normalise(torch.cat(pixels)), torch.cat(rows)


def lesson_loss(
    model: "LlavaForConditionalGeneration", pixels: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy of the answer, and of the end after it at a tenth of the weight.

    Args:
        model: in training.
        pixels: (B, 3, 32, 32), normalised.
        tokens: (B, T + 2): prompt, answer, end.
    """
    inputs, targets = tokens[:, :-1], tokens[:, -2:]
    logits = model(input_ids=inputs, pixel_values=pixels, logits_to_keep=2, use_cache=False).logits
    answer = nn.functional.cross_entropy(logits[:, 0], targets[:, 0])
    return answer + 0.1 * nn.functional.cross_entropy(logits[:, 1], targets[:, 1])


@dataclass
class TrainingRun:
    """A model in training with all that decides its next step.

    Attributes:
        step: steps done.
        training_s: seconds that they took, summed over restarts.
    """

    model: "LlavaForConditionalGeneration"
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    batches: LessonBatches
    step: int = 0
    training_s: float = 0.0

    @classmethod
    def start(cls, recipe: VlmRecipe, lessons: dict[str, Lesson], seed: int) -> "TrainingRun":
        """Begin with the seed's first weights."""
        model = new_vlm(recipe, seed).train()
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=VLM_TRAINING.lr,
            betas=VLM_TRAINING.betas,
            weight_decay=VLM_TRAINING.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine_rate(recipe.steps))
        return cls(
            model, optimizer, schedule, LessonBatches(recipe, lessons, np.random.default_rng(seed))
        )

    def advance(self) -> float:
        """Train one step; return its loss."""
        loss = lesson_loss(self.model, *self.batches.draw())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return float(loss.detach())

    def keep(self, path: Path) -> None:
        """Write everything into a file, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": self.batches.rng.bit_generator.state,
            "step": self.step,
            "training_s": self.training_s,
        }
        fresh = path.with_name(f"{path.name}.fresh")
        torch.save(state, fresh)
        os.replace(fresh, path)

    def resume(self, path: Path) -> None:
        """Go on where a file was written."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.batches.rng.bit_generator.state = state["rng"]
        self.step, self.training_s = state["step"], state["training_s"]


def cosine_rate(steps: int) -> Callable[[int], float]:
    """Return the learning rate's course: linear warm-up, then half a cosine down to 2 %."""

    def rate(step: int) -> float:
        if step < VLM_TRAINING.warmup_steps:
            return (step + 1) / VLM_TRAINING.warmup_steps
        course = max(1, steps - VLM_TRAINING.warmup_steps)
        done = (step - VLM_TRAINING.warmup_steps) / course
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return rate


@torch.inference_mode()
def option_scores(
    model: "LlavaForConditionalGeneration", question: DemoQuestion, images: list[Image.Image]
) -> torch.Tensor:
    """Return the logit of every option after the prompt, (images, options)."""
    prompt, options = prompt_tokens(question), option_tokens(question)
    found = []
    for start in range(0, len(images), SCORED_AT_ONCE):
        pixels = normalise(stack(images[start : start + SCORED_AT_ONCE]))
        tokens = prompt.expand(len(pixels), -1)
        logits = model(
            input_ids=tokens, pixel_values=pixels, logits_to_keep=1, use_cache=False
        ).logits
        found.append(logits[:, -1, options])
    return torch.cat(found)


def question_accuracy(
    model: "LlavaForConditionalGeneration", question: DemoQuestion, *, n: int, seed: int
) -> float:
    """Return the share of n test pictures whose most probable option is the right one."""
    images, answers = draw_items(question, split="test", n=n, seed=seed)
    scores = option_scores(model.eval(), question, images)
    return float((scores.argmax(dim=1) == torch.tensor(answers)).float().mean())

"""Trains one demo model: batches of several task families, multi-positive InfoNCE, AdamW."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from vlmsel.demo.families import DemoTask, demo_tasks, draw
from vlmsel.demo.recipes import TRAINING, Recipe
from vlmsel.demo.zeroshot import Tokenizer, normalise, stack

if TYPE_CHECKING:
    from open_clip import CLIP

Progress = Callable[[int], None]
TRAIN_SEED = 0


@dataclass(frozen=True)
class PicturePool:
    """The training pictures of one task: bytes (n x 3 x 32 x 32) and labels (n)."""

    task: DemoTask
    pixels: torch.Tensor
    labels: torch.Tensor


def draw_pools(pictures_per_task: int) -> dict[str, PicturePool]:
    """Draws the training pictures of all tasks, by task name."""
    pools = {}
    for task in demo_tasks():
        images, labels = draw(task, split="train", n=pictures_per_task, seed=TRAIN_SEED)
        pools[task.name] = PicturePool(task, stack(images), torch.tensor(labels))
    return pools


def new_model(recipe: Recipe, seed: int) -> "CLIP":
    """Returns the untrained model; the same weights for the same seed."""
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    return CLIP(**recipe.model_cfg)


def train(
    recipe: Recipe,
    pools: dict[str, PicturePool],
    tokenizer: Tokenizer,
    *,
    seed: int,
    progress: Progress,
) -> "CLIP":
    """Trains a model from nothing.

    Args:
        recipe: what to train.
        pools: training pictures by task name.
        tokenizer: captions to tokens.
        seed: decides the first weights and every batch.
        progress: called with the number of steps done since it was called last.

    Returns:
        The trained model in evaluation mode, fp32.
    """
    model = new_model(recipe, seed).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=TRAINING.lr,
        betas=TRAINING.betas,
        weight_decay=TRAINING.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(recipe.steps))
    batches = Batches(recipe, pools, tokenizer, np.random.default_rng(seed))
    for _ in range(recipe.steps):
        loss = contrastive_loss(model, *batches.next())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, math.log(100))
        progress(1)
    return model.eval()


def _rate(steps: int) -> Callable[[int], float]:
    """Returns the learning rate's course: linear warm-up, then half a cosine down to 2 %."""

    def rate(step: int) -> float:
        if step < TRAINING.warmup_steps:
            return (step + 1) / TRAINING.warmup_steps
        done = (step - TRAINING.warmup_steps) / max(1, steps - TRAINING.warmup_steps)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))

    return rate


class Batches:
    """Mixes pictures of several tasks as the recipe says, each with a caption of its class."""

    def __init__(
        self,
        recipe: Recipe,
        pools: dict[str, PicturePool],
        tokenizer: Tokenizer,
        rng: np.random.Generator,
    ) -> None:
        shares = {
            name: recipe.mixture.get(pool.task.family, recipe.background)
            for name, pool in pools.items()
        }
        self._names = [name for name, share in shares.items() if share > 0]
        weights = np.array([shares[name] for name in self._names])
        self._weights = weights / weights.sum()
        self._pools, self._rng = pools, rng
        self._tokens = {name: _caption_tokens(pools[name].task, tokenizer) for name in self._names}

    def next(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns inputs (n x 3 x 32 x 32), captions (m x context) and each input's caption (n)."""
        counts = self._rng.multinomial(TRAINING.batch, self._weights)
        inputs, captions, targets = [], [], []
        for name, count in zip(self._names, counts, strict=True):
            if not count:
                continue
            pool, tokens = self._pools[name], self._tokens[name]
            picked = torch.from_numpy(self._rng.integers(len(pool.labels), size=count))
            templates = torch.from_numpy(self._rng.integers(tokens.shape[1], size=tokens.shape[0]))
            inputs.append(normalise(pool.pixels[picked]))
            targets.append(pool.labels[picked] + sum(len(rows) for rows in captions))
            captions.append(tokens[torch.arange(len(tokens)), templates])
        return torch.cat(inputs), torch.cat(captions), torch.cat(targets)


def _caption_tokens(task: DemoTask, tokenizer: Tokenizer) -> torch.Tensor:
    """Returns the tokens of every caption of a task, classes x templates x context."""
    return torch.stack(
        [tokenizer([t.format(classname) for t in task.templates]) for classname in task.classnames]
    )


def contrastive_loss(
    model: "CLIP", inputs: torch.Tensor, captions: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Returns InfoNCE where a caption may have several pictures.

    Pictures to captions is plain cross-entropy over all classes in the batch's tasks. Captions to
    pictures shares each caption's target evenly among its pictures; captions without a picture only
    serve as negatives.
    """
    images = model.encode_image(inputs, normalize=True)
    texts = model.encode_text(captions, normalize=True)
    logits = model.logit_scale.exp() * images @ texts.T
    positives = nn.functional.one_hot(targets, len(captions)).float()
    pictures = positives.sum(dim=0)
    from_texts = -(positives * logits.log_softmax(dim=0)).sum(dim=0)[pictures > 0]
    by_caption = (from_texts / pictures[pictures > 0]).mean()
    return 0.5 * (nn.functional.cross_entropy(logits, targets) + by_caption)

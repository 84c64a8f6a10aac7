"""Training: the loss against a slow reference, batches, and the same weights from the same seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vlmsel.demo import ZOO, demo_checkpoint, lessons
from vlmsel.demo.recipes import recipe
from vlmsel.demo.vocabulary import BPE_FILE

SMALL = replace(recipe("demo-efficientnet-signs"), steps=2)


@pytest.fixture(scope="module")
def tokenizer():
    return demo_checkpoint.load_tokenizer(ZOO.parent / "models" / BPE_FILE)


@pytest.fixture(scope="module")
def pools():
    return lessons.draw_pools(12)


class Stub:
    """A model whose embeddings are its inputs."""

    logit_scale = torch.tensor(0.7)

    def encode_image(self, images, normalize):
        return images

    def encode_text(self, texts, normalize):
        return texts


def test_loss_equals_a_slow_reference():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    texts = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    targets = torch.tensor([0, 2, 2, 0, 3])  # caption 1 has no picture
    logits = (Stub.logit_scale.exp() * images @ texts.T).numpy()
    to_texts = -np.mean([np.log(softmax(row)[t]) for row, t in zip(logits, targets, strict=True)])
    shares = []
    for caption in (0, 2, 3):
        chances = softmax(logits[:, caption])
        shares.append(-np.mean([np.log(chances[i]) for i in range(5) if targets[i] == caption]))
    expected = 0.5 * (to_texts + np.mean(shares))
    assert lessons.contrastive_loss(Stub(), images, texts, targets).item() == pytest.approx(
        expected
    )


def softmax(values):
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def test_batches_follow_the_mixture(pools, tokenizer):
    only = replace(SMALL, mixture={"faces": 1.0}, background=0.0)
    batches = lessons.Batches(only, pools, tokenizer, np.random.default_rng(0))
    inputs, captions, targets = batches.next()
    assert inputs.shape == (128, 3, 32, 32)
    assert captions.shape == (8, 32)
    assert set(targets.tolist()) == set(range(8))


def test_the_same_seed_gives_the_same_weights(pools, tokenizer):
    def weights(seed):
        model = lessons.train(SMALL, pools, tokenizer, seed=seed, progress=steps.append)
        return torch.cat([value.flatten().float() for value in model.state_dict().values()])

    steps: list[int] = []
    first = weights(3)
    assert steps == [1, 1]
    assert torch.equal(first, weights(3))
    assert not torch.equal(first, weights(4))

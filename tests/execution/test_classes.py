from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.execution import classes as module
from vlmsel.execution.classes import class_embeddings
from vlmsel.tasks.prompts import ClassPrompts

PROMPTS = ClassPrompts(("cat", "dog", "owl"), ("a {}", "two {c}s"))


def encode(texts: Sequence[str]) -> Tensor:
    """A made-up text tower: letters counted."""
    counts = [[text.count(letter) + 0.1 for letter in "abcdogwlt "] for text in texts]
    return normalize(torch.tensor(counts), dim=-1)


@pytest.mark.parametrize("batch", [2, 5, 512])
def test_a_class_is_the_normalised_mean_of_its_prompts_whatever_the_batch(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TEXT_BATCH", batch)
    found = class_embeddings(encode, PROMPTS)
    for row, name in zip(found, PROMPTS.classnames, strict=True):
        mean = (encode([f"a {name}"])[0] + encode([f"two {name}s"])[0]) / 2
        torch.testing.assert_close(row, mean / mean.norm())

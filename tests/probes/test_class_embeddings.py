from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlmsel.errors import ModelError
from vlmsel.probes.class_embeddings import check_classes, class_embeddings
from vlmsel.tasks.prompts import ClassPrompts

PROMPTS = ClassPrompts(("cat", "dog", "owl"), ("a {}", "two {c}s"))


def encode(texts: Sequence[str]) -> Tensor:
    """A made-up text tower: letters counted."""
    counts = [[text.count(letter) + 0.1 for letter in "abcdogwlt "] for text in texts]
    return normalize(torch.tensor(counts), dim=-1)


@pytest.mark.parametrize("batch", [2, 5, 512])
def test_a_class_is_the_normalised_mean_of_its_prompts_whatever_the_batch(
    batch: int,
) -> None:
    found = class_embeddings(encode, PROMPTS, text_batch=batch)
    for row, name in zip(found, PROMPTS.classnames, strict=True):
        mean = (encode([f"a {name}"])[0] + encode([f"two {name}s"])[0]) / 2
        torch.testing.assert_close(row, mean / mean.norm())


def test_classes_that_differ_pass() -> None:
    check_classes("a/x", class_embeddings(encode, PROMPTS), PROMPTS.classnames)


def test_two_classes_with_one_embedding_are_refused_and_named() -> None:
    classes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ModelError, match=r"a/x: classes 'cat' and 'owl' have the same embedding"):
        check_classes("a/x", classes, PROMPTS.classnames)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_class_without_a_finite_embedding_is_refused(value: float) -> None:
    classes = torch.tensor([[1.0, 0.0], [0.0, value], [0.5, 0.5]])
    with pytest.raises(ModelError, match="class name is not finite"):
        check_classes("a/x", classes, PROMPTS.classnames)

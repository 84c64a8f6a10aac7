import math

import pytest
import torch

from vlmsel.attribution.objective import OF_EMBEDDING, OF_TEXT, make_objective
from vlmsel.errors import AttributionError
from vlmsel.settings import SCORES, AttributionSettings

EMBEDDING = torch.tensor([[3.0, 4.0], [0.0, math.log(3)]])
TEXT = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
BY_HAND = {
    "l2": [5.0, math.log(3)],
    # softmax of (0, log 3) is (1/4, 3/4); of (3, 4) it is (1, e) / (1 + e).
    "entropy": [
        math.log(1 + math.e) - math.e / (1 + math.e),
        math.log(4) - 3 / 4 * math.log(3),
    ],
    "variance": [1 / 4, math.log(3) ** 2 / 4],
    # cosines with the text are (3/5, 4/5) and (0, 1).
    "alignment": [4 / 5, 1.0],
}


def same(images):
    return images


@pytest.mark.parametrize("name", BY_HAND)
def test_values_by_hand(name):
    found = make_objective(name, same, text=TEXT)(EMBEDDING)
    assert found.tolist() == pytest.approx(BY_HAND[name], rel=1e-6)


def test_every_objective_of_the_settings_is_there():
    known = AttributionSettings.model_json_schema()["properties"]["objective"]["enum"]
    assert set(OF_EMBEDDING) | set(OF_TEXT) == set(BY_HAND)
    assert set(known) == set(BY_HAND) | set(SCORES)


@pytest.mark.parametrize("text", [None, torch.zeros(0, 2)])
def test_alignment_needs_class_names(text):
    with pytest.raises(AttributionError, match="needs class names"):
        make_objective("alignment", same, text=text)


def test_an_unknown_objective_says_what_is_known():
    with pytest.raises(AttributionError, match="known are l2, entropy"):
        make_objective("l1", same)


def test_an_embedding_is_one_vector_per_image():
    with pytest.raises(AttributionError, match=r"shape \(2, 2, 3\)"):
        make_objective("l2", same)(torch.zeros(2, 2, 3))


def test_bf16_runs_the_encoder_in_bf16_and_the_objective_in_float32():
    seen = []

    def encode(images):
        out = images @ torch.eye(3)
        seen.append(out.dtype)
        return out

    images = torch.tensor([[1.0, 2.0, 1 / 3]])
    full = make_objective("l2", encode)(images)
    half = make_objective("l2", encode, precision="bf16")(images)
    assert seen == [torch.float32, torch.bfloat16]
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), rel=1e-2)


def test_double_precision_is_kept():
    images = torch.tensor([[1.0, 1e-12]], dtype=torch.float64)
    assert make_objective("variance", same)(images).dtype == torch.float64

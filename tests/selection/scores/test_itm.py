"""ITM: the step written out, gradients against torch, and how labels leak into the score."""

import numpy as np
import pytest

from vlmsel.selection.scores.itm import ItmOptions, _Network, evolve, itm


def test_steps_at_once_are_steps_one_by_one():
    random = np.random.default_rng(0)
    start = random.normal(size=(7, 4))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    centres = np.eye(4)[[0, 1, 2, 3, 0, 1, 2]]
    c = start @ start.T / 7
    slow = start
    for _ in range(3):
        slow = (np.eye(7) - 0.5 * c) @ slow + 0.5 * c @ centres
    assert np.allclose(evolve(start, centres, eta=0.5, steps=3), slow)
    assert np.allclose(evolve(start, centres, eta=0), start)


@pytest.mark.parametrize(("hidden", "steps"), [(0, 1), (2, 3)])
def test_updates_are_those_of_torch(hidden, steps):
    # Imported here: collecting this folder loads no torch.
    import torch
    from torch.nn import functional

    options = ItmOptions(hidden=hidden, steps=steps)
    random = np.random.default_rng(0)
    rows, codes = random.normal(size=(12, 5)), random.integers(0, 3, 12)
    ours = _Network(5, 3, options)
    weights = [torch.tensor(w.copy(), requires_grad=True) for w in ours.weights]
    optimizer = torch.optim.AdamW(weights, lr=options.rate, weight_decay=options.decay)
    for _ in range(5):
        layer = torch.tensor(rows)
        for i in range(hidden):
            layer = torch.relu(layer @ weights[2 * i].T + weights[2 * i + 1])
        start = functional.normalize(layer @ weights[-4].T + weights[-3])
        theta, centres = start.detach(), torch.eye(3, dtype=torch.float64)[codes]
        difference = start - centres
        for _ in range(steps):
            difference = difference - options.eta * theta @ (theta.T @ difference) / len(codes)
        logits = (difference + centres) @ weights[-2].T + weights[-1]
        loss = functional.cross_entropy(logits, torch.tensor(codes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.learn(rows, codes, options.rate) == pytest.approx(loss.item())
    for theirs, weight in zip(weights, ours.weights, strict=True):
        assert np.allclose(theirs.detach().numpy(), weight, atol=1e-12)


def test_the_step_leaks_labels_only_when_it_is_large(scored):
    x, y = scored
    shuffled = np.random.default_rng(0).permutation(y)
    plain = itm(x, shuffled, options=ItmOptions(iterations=200))
    assert abs(plain.score - plain.without_step) <= 0.02
    strong = itm(x, shuffled, options=ItmOptions(steps=200, iterations=200))
    assert strong.score > strong.without_step + 0.04


def test_the_same_seed_gives_the_same_score(clouds):
    x, y = clouds(10, 6)
    short = ItmOptions(iterations=50, every=20)
    assert itm(x, y, options=short) == itm(x, y, options=short)
    assert len(itm(x, y, options=short).accuracies) == 3
    assert itm(x, y, options=short).n_held_out == 10

import dataclasses

from vlmsel.selection.registry import make_selector


def order(problem, seed: int) -> list[str]:
    return make_selector("random", seed=seed).rank(problem).table["model"].to_list()


def test_the_seed_and_the_target_decide(problem):
    assert order(problem, 0) == order(problem, 0)
    assert len({tuple(order(problem, seed)) for seed in range(10)}) > 1
    targets = [dataclasses.replace(problem, target=f"u{i}") for i in range(10)]
    assert len({tuple(order(other, 0)) for other in targets}) > 1


def test_every_model_comes_first_in_turn(problem):
    assert {order(problem, seed)[0] for seed in range(100)} == set("abcdef")

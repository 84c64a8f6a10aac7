"""Warnings of a ranking, and its first line."""

from dataclasses import replace

import polars as pl
import pytest

from vlmsel.api.notices import find_notices, headline
from vlmsel.evaluation.trust import Trust
from vlmsel.selection.novelty import Novelty
from vlmsel.selection.ranking import Ranking
from vlmsel.tasks.pictures import Pictures

GOOD = Trust("dcd", 24, 0.021, 0.005, 0.048, 24, (13, 13), beats_chance=True)
NONE = pl.DataFrame(schema=dict.fromkeys(("model", "pretrained", "reason"), pl.String))
RANKING = Ranking(pl.DataFrame({"rank": [1]}), None, None, 24, False, NONE)
PICTURES = Pictures(30, 25)


def codes(**changes: object) -> list[tuple[str, bool]]:
    known = {"ranking": RANKING, "trust": GOOD, "pictures": PICTURES} | changes
    found = find_notices(**known)  # pyright: ignore[reportArgumentType]  # a table of cases
    return [(notice.code, notice.is_serious) for notice in found]


def test_a_sound_ranking_has_no_warning_and_its_first_line_is_the_choice():
    assert codes() == []
    assert headline((), "a/b", GOOD) == (
        "a/b is ranked first; expected loss against the best model: 2.1 points of accuracy "
        "(95 % interval 0.5 to 4.8 over 24 tasks)."
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pictures": Pictures(10, 10, constant=tuple("abcdefghij"))}, "few-pictures"),
        (
            {"pictures": Pictures(25, 25, repeated=tuple("bcdefghijklmnopqrstuvwxy"))},
            "few-pictures",
        ),
        ({"pictures": Pictures(3, 3)}, "few-pictures"),
        ({"novelty": Novelty("s", 0.5, 0.1)}, "unlike-every-source"),
        ({"trust": None}, "few-sources"),
        ({"trust": replace(GOOD, n_tasks=9)}, "few-sources"),
        ({"trust": replace(GOOD, beats_chance=False)}, "not-better-than-chance"),
    ],
)
def test_what_voids_a_ranking_is_serious_and_is_the_first_line(changes, code):
    assert codes(**changes) == [(code, True)]
    found = find_notices(**({"ranking": RANKING, "trust": GOOD} | changes))
    line = headline(found, "a/b", changes.get("trust", GOOD))
    assert line == f"No trustworthy ranking for these images. {found[0].text}"
    assert "a/b" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"looks_at_images": False}, "images-not-looked-at"),
        ({"pictures": Pictures(9, 9, constant=("a",))}, "constant-or-repeated-pictures"),
        (
            {"ranking": replace(RANKING, near_uniform=True, effective_sources=23.0)},
            "near-uniform",
        ),
        ({"failed_images": pl.DataFrame({"image_id": ["a", "a"], "reason": "x"})}, "failed-images"),
        (
            {
                "ranking": replace(
                    RANKING,
                    left_out=pl.DataFrame({"model": "m", "pretrained": "p", "reason": "gone"}),
                )
            },
            "models-left-out",
        ),
    ],
)
def test_what_only_limits_the_trust_is_not_serious(changes, code):
    assert codes(**changes) == [(code, False)]


def test_the_serious_come_first():
    found = codes(looks_at_images=False, trust=replace(GOOD, beats_chance=False))
    assert found == [("not-better-than-chance", True), ("images-not-looked-at", False)]

"""The standing of a choice while a person labels: an answer as numbers for the page. Pure."""

from dataclasses import dataclass, field
from typing import Any

from vlmsel.api.answer import TargetAnswer
from vlmsel.api.answer_lines import answer_lines, basis_words, worth_line

SHOWN_MODELS = 5
# Of the curve: every number of labels up to here, then each number at which stopping is checked.
DENSE = 30


@dataclass(frozen=True)
class Standing:
    """Knowledge of the models after some labels.

    Attributes:
        revision: of the labels that it was drawn from.
        values: for the page.
        n_labels: labels that count.
    """

    revision: int
    values: dict[str, Any] = field(repr=False)
    n_labels: int = 0


def draw_standing(answer: TargetAnswer, revision: int) -> Standing:
    """Lay an answer out for the page.

    Args:
        answer: to the labels so far.
        revision: of the labels.
    """
    found, draw = answer.found, answer.draw
    values = {
        "first": answer.first,
        "basis": basis_words(answer),
        "labels": found.n_labels,
        "outside": found.n_outside,
        "unused": len(draw.unused),
        "worth": found.worth,
        "worth_line": worth_line(found) if found.n_labels else "",
        "regret": found.regret,
        "tolerance": answer.options.tolerance,
        "later": [[n, value] for n, value in found.regrets.items() if n],
        "enough": found.enough,
        "checked": found.checked,
        "next_check": found.next_check,
        "n_images": found.n_images,
        "n_rivals": len(found.rivals),
        "models": _likeliest(answer),
        "n_models": answer.table.height,
        "lines": answer_lines(answer),
        "notes": list(answer.notes),
    }
    return Standing(revision, values, found.n_labels)


def choose_points(n_labels: int, checks: tuple[int, ...]) -> list[int]:
    """Choose the numbers of labels at which the curve is drawn.

    Args:
        n_labels: labels that count.
        checks: numbers at which stopping is decided.
    """
    dense = range(min(n_labels, DENSE) + 1)
    return sorted({*dense, *(n for n in checks if n <= n_labels), n_labels})


def _likeliest(answer: TargetAnswer) -> list[dict[str, Any]]:
    """The models with the largest probability of being the best, the first choice among them."""
    rows = answer.table.to_dicts()
    order = sorted(rows, key=lambda row: (-(row["p_best"] or 0.0), row["rank"]))
    shown = order[:SHOWN_MODELS]
    first = rows[0]
    if first not in shown:
        shown = [*shown[:-1], first]
    return [
        {
            "name": f"{row['model']}/{row['pretrained']}",
            "is_first": row is first,
            **{key: row[key] for key in ("rank", "p_best", "accuracy", "low", "high")},
        }
        for row in shown
    ]

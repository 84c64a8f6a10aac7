"""Sentences of an answer, in the order in which a reader needs them. Pure."""

import numpy as np

from vlmsel.api.answer import TargetAnswer
from vlmsel.api.answer_limits import limit_words
from vlmsel.plurals import number_of
from vlmsel.selection.answer import Answer

NAMED = 5


def answer_lines(answer: TargetAnswer) -> list[str]:
    """Say which model, how good, what a wrong choice costs, and whether to label more."""
    lines = [
        _doubt(answer),
        _choice(answer),
        *_accuracy(answer.found),
        *_regret(answer),
        *_rivals(answer.found),
        *_labels(answer),
        *_next_model(answer),
        *_describe_rivals(answer),
        _loading(answer),
    ]
    return [line for line in lines if line]


def basis_words(answer: TargetAnswer) -> str:
    """Describe in words what the order rests on."""
    found, zoo = answer.found, answer.zoo
    tasks = f"what {len(zoo.sources)} source tasks say"
    if zoo.is_shipped:
        tasks = f"what {len(zoo.sources) + 1} of 38 public tasks say (the classifications)"
    labels = number_of(found.n_labels, "label", "labels")
    if found.basis == "posterior":
        seen = labels if found.n_labels else "evaluated models"
        return f"{seen} joined with {tasks}"
    if found.basis == "hits":
        return f"{labels if found.n_labels else 'evaluated models'} alone"
    if found.basis == "estimate" and answer.choice is not None:
        return (
            f"the answers of the models on {found.n_images} unlabelled images "
            f"({answer.choice.name}: {answer.choice.why})"
        )
    return f"{tasks}, by average rank; no label was used"


def _doubt(answer: TargetAnswer) -> str:
    """The first line where the images tell too little."""
    return f"No trustworthy ranking for these images: {answer.doubt}." if answer.doubt else ""


def _choice(answer: TargetAnswer) -> str:
    limits = limit_words(**answer.options.limits)
    within = f" of {limits}" if limits else ""
    return f"{answer.first} is the first choice{within} for {answer.target}: {basis_words(answer)}."


def _accuracy(found: Answer) -> list[str]:
    if found.advice is None:
        return ["Its accuracy is not known: no source task and no label says anything of it."]
    at = int(np.flatnonzero(found.among == found.first)[0])
    low, high = found.advice.accuracy_low[at], found.advice.accuracy_high[at]
    return [
        f"Expected accuracy {100 * found.accuracy[found.first]:.0f} % "
        f"(90 % interval {100 * low:.0f} to {100 * high:.0f})."
    ]


def _regret(answer: TargetAnswer) -> list[str]:
    regret = answer.found.regret
    if regret is None:
        return []
    return [
        f"Expected regret {100 * regret:.1f} points: by so much accuracy the truly best model is "
        "better than this one, on average over all that is still possible."
    ]


def _rivals(found: Answer) -> list[str]:
    if found.advice is None:
        return []
    if not found.rivals:
        return ["Every other model is told apart from it (each is better with less than 5 %)."]
    names = ["/".join(found.models[i]) for i in found.rivals[:NAMED]]
    more = len(found.rivals) - len(names)
    rest = f" and {more} more" if more else ""
    return [f"Cannot be told apart from it: {', '.join(names)}{rest}."]


def _labels(answer: TargetAnswer) -> list[str]:
    found, draw = answer.found, answer.draw
    if found.advice is None:
        return [_advise_labels(answer)]
    tolerance = 100 * answer.options.tolerance
    if not found.n_labels:
        start = f"No label is used; the expected regret is checked against {tolerance:g} points "
        line = start + f"from {found.next_check} labels on."
        return [line, _advise_labels(answer)]
    later = [n for n in found.regrets if n]
    more = ", ".join(f"{n}: {100 * found.regrets[n]:.1f}" for n in later)
    lines = [worth_line(found)]
    if found.enough:
        lines.append(
            f"Stop labelling: at {found.checked} labels the expected regret is below "
            f"{tolerance:g} points."
        )
        return lines
    following = f" (next check at {found.next_check})" if found.next_check else ""
    lines.append(
        f"Label more{following}: the regret is to be expected at {more} points with so many more "
        "labels."
    )
    if draw.wanted:
        lines.append(_advise_labels(answer))
    return lines


def worth_line(found: Answer) -> str:
    """Say how many plain labels the labels are worth."""
    n = found.n_labels
    labels = number_of(n, "label is", "labels are")
    if found.worth <= n + 0.5:
        return f"{labels} worth as many: the unlabelled images add nothing yet."
    return (
        f"{labels} worth {found.worth:.0f} plain ones, since the models answered on "
        f"{found.n_images} images."
    )


def _advise_labels(answer: TargetAnswer) -> str:
    wanted = answer.draw.wanted
    if not wanted or not answer.target_labels.classnames:
        hint = "give --classnames a,b,c and --labels FILE" if wanted else ""
        return f"Labels say most: {hint} (docs/guide/labels.md)." if hint else ""
    shown = ", ".join(wanted[:NAMED])
    more = f" and {len(wanted) - NAMED} more (--json lists them)" if len(wanted) > NAMED else ""
    return f"Label these images next, in a file `image,label`: {shown}{more}."


def _next_model(answer: TargetAnswer) -> list[str]:
    if answer.found.next_model is None:
        return []
    name = "/".join(answer.found.models[answer.found.next_model])
    return [f"The next model to run, by expected improvement: {name}."]


def _describe_rivals(answer: TargetAnswer) -> list[str]:
    found = answer.found
    lines = []
    for title, place in (("Average rank", found.average_rank), ("ImageNet", found.imagenet)):
        if place is None:
            continue
        name = f"{'/'.join(found.models[place])} (here on place {found.ranks[place]})"
        choice = "the same" if place == found.first else name
        lines.append(f"{title} would have said {choice}.")
    return [" ".join(lines)] if lines else []


def _loading(answer: TargetAnswer) -> str:
    return f"Load it: {answer.zoo.loading_line(answer.found.first)}"

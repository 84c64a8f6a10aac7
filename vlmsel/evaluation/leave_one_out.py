"""Leave one out: every task is the target once, and every selector ranks its zoo unseen."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from vlmsel.columns import IMAGENET_NAMES
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import Extras, HeldOutTasks, hold_out
from vlmsel.evaluation.judgement import Judgement, JudgementMaker, Names, name_axes
from vlmsel.evaluation.judgement_cache import JudgementCache, cache_of
from vlmsel.evaluation.judgement_progress import report_judged
from vlmsel.evaluation.judgement_tables import (
    tabulate_rankings,
    tabulate_refusals,
    tabulate_weights,
)
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.selection.selector import Selector
from vlmsel.selection.zoo_answers import ZooAnswers

BASELINE = "average-rank"


@dataclass(frozen=True)
class LeaveOneOut:
    """Rankings of every target by every selector, and their metrics.

    Attributes:
        metrics: selector, target, n_models, n_sources, metric, value.
        rankings: selector, target, rank, model, pretrained, score, accuracy.
        weights: selector, target, model, pretrained, source, weight; selectors without
            similarities have no rows. To be collected: there can be millions.
        left_out: kind ("task", "model" or "selector"), name, reason.
    """

    metrics: pl.DataFrame
    rankings: pl.DataFrame
    weights: pl.LazyFrame
    left_out: pl.DataFrame

    def summary(
        self, *, n_bootstrap: int = 10_000, seed: int = 0, baseline: str = BASELINE
    ) -> pl.DataFrame:
        """Mean of each metric over targets with its 95 % interval, and the same against a baseline.

        Returns:
            selector, metric, n_targets, mean, low, high, delta, delta_low, delta_high; see
            `paired_bootstrap`.
        """
        return paired_bootstrap(self.metrics, n_bootstrap=n_bootstrap, seed=seed, baseline=baseline)


def leave_one_out(
    selectors: Sequence[Selector] | Mapping[str, Selector],
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    targets: Collection[str] | None = None,
    references: Collection[str] = IMAGENET_NAMES,
    answers: Mapping[str, ZooAnswers] | None = None,
    is_cached: bool = False,
    extras: Extras | None = None,
) -> LeaveOneOut:
    """Hold every task out once and let every selector rank its zoo.

    When profiles are given, all selectors rank the same models with the same sources: those with
    a profile. A selector that cannot rank a target is left out for it by name.

    Args:
        selectors: made by `make_selector`, no two of one name; or a name for each, to compare one
            selector under several options.
        accuracies: model, pretrained, task, acc1 (0..1); NaN and null mean unknown.
        profiles: long profiles or `task_profiles` of them.
        targets: tasks to hold out; all but the references when None.
        references: never target nor source, only for selectors that ask by name (ImageNet).
        answers: by task, for selectors that look at those of the target.
        is_cached: take from the user's cache what was judged before, and keep the rest there.
        extras: inputs that few selectors ask for.

    Raises:
        SelectionError: No target is left, no selector could rank any, or a selector needs
            profiles and there are none.
    """
    named = name_selectors(selectors)
    needy = [name for name, selector in named.items() if selector.needs_profiles]
    if needy and profiles is None:
        msg = f"selector {needy[0]!r} needs profiles and none are given; pass a profile table"
        raise SelectionError(msg)
    held_out = hold_out(
        accuracies,
        profiles,
        targets=targets,
        references=references,
        answers=answers,
        extras=extras,
    )
    how = {
        "targets": None if targets is None else sorted(targets),
        "references": sorted(references),
    }
    entries = cache_of(accuracies, profiles, answers, **how) if is_cached else None
    if entries and extras:
        entries = narrow_to_extras(entries, extras)
    return judge(named, held_out, entries)


def narrow_to_extras(entries: JudgementCache, extras: Extras) -> JudgementCache | None:
    """The entries of the cache about tables with these extras; None where its keys cannot say."""
    if extras.vectors is not None:
        return None
    return entries if extras.texts is None else entries.narrow(texts=extras.texts.digest)


def judge(
    named: Mapping[str, Selector], held_out: HeldOutTasks, entries: JudgementCache | None = None
) -> LeaveOneOut:
    """Let every selector rank every held-out task.

    Args:
        named: selectors by name.
        held_out: the tasks.
        entries: of the cache, about these tasks; None judges anew.

    Raises:
        SelectionError: No selector could rank any task.
    """
    names = name_axes(held_out)
    judgements = judge_targets(named, held_out, names, entries)
    refusals = tabulate_refusals(judgements, names, held_out.left_out.schema)
    left_out = pl.concat([held_out.left_out, refusals])
    if len(refusals) == len(named) * len(names.targets):
        raise SelectionError(f"no selector could rank any task; {left_out[-1].item(0, 'reason')}")
    metrics, rankings = tabulate_rankings(judgements, held_out, names)
    return LeaveOneOut(metrics, rankings, tabulate_weights(judgements, names), left_out)


def judge_targets(
    named: Mapping[str, Selector],
    held_out: HeldOutTasks,
    names: Names,
    entries: JudgementCache | None = None,
) -> dict[str, Judgement]:
    """Let every selector rank every held-out task, target by target: they share what is common.

    Args:
        named: selectors by name.
        held_out: the tasks.
        names: of `name_axes`.
        entries: as of `judge`.

    Returns:
        By name, in the order of `named`.
    """
    known = {
        name: entries.load(selector, names) if entries else None for name, selector in named.items()
    }
    makers = {
        name: JudgementMaker(named[name], names) for name, found in known.items() if found is None
    }
    for number, task in enumerate(held_out.tasks) if makers else ():
        for maker in makers.values():
            maker.add(number, task)
        report_judged(number + 1, len(held_out.tasks))
    made = {name: maker.finish() for name, maker in makers.items()}
    if entries is not None:
        for name, judgement in made.items():
            entries.save(named[name], names, judgement)
    return {name: found or made[name] for name, found in known.items()}


def name_selectors(
    selectors: Sequence[Selector] | Mapping[str, Selector],
) -> dict[str, Selector]:
    """Selectors by name.

    Raises:
        SelectionError: There are none, or two of one name.
    """
    pairs = (
        list(selectors.items())
        if isinstance(selectors, Mapping)
        else [(selector.name, selector) for selector in selectors]
    )
    names = [name for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        msg = f"leave-one-out needs selectors of different names, got {names}"
        raise SelectionError(msg)
    return dict(pairs)

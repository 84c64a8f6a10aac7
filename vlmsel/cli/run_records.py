"""Logging of what a command computed: where to, and with which parameters."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from vlmsel.addresses import absolute_address, is_address
from vlmsel.cli.views.console import say, warn
from vlmsel.errors import StoreError, TrackingError
from vlmsel.extras import has_extra, missing_extra
from vlmsel.redaction import redact
from vlmsel.settings import AttributionSettings

if TYPE_CHECKING:
    from vlmsel.api.answer import TargetAnswer
    from vlmsel.api.label_scores import LabelScores
    from vlmsel.api.laboratory import Knowledge
    from vlmsel.api.selection import Selection
    from vlmsel.api.trained_use import TrainedSelection
    from vlmsel.evaluation.leave_one_out import LeaveOneOut

Logged = TypeVar("Logged")


def tracking_uri_for(store: str, given: str | None, experiment: str | None = None) -> str | None:
    """Return the given tracking URI, else a sqlite database beside a local store.

    Without MLflow it is None where none was given: a line says so, and nothing is logged.

    Args:
        store: the store.
        given: the URI, if there is one.
        experiment: what runs are logged to; None takes the usual one.

    Raises:
        TrackingError: runs cannot be logged there.
    """
    if not has_extra("mlflow"):
        if given is not None:
            raise TrackingError(missing_extra("--tracking-uri", "mlflow"))
        say(f"nothing is logged: {missing_extra('a log of runs', 'mlflow')}")
        return None
    from vlmsel.tracking import (
        EXPERIMENT,
        absolute_tracking_uri,
        check_tracking_uri,
        default_tracking_uri,
    )

    if given is None:
        place = absolute_address(store, "store", StoreError)
        folder = Path(".vlmsel").absolute() if is_address(place) else Path(place).parent
        os.makedirs(folder, exist_ok=True)
        uri = default_tracking_uri(folder)
    else:
        uri = absolute_tracking_uri(given)
    check_tracking_uri(uri, experiment or EXPERIMENT)
    return uri


def try_to_log(log: Callable[[], Logged]) -> Logged | None:
    """Log a result that took long, and is shown in any case; None, with a warning, where it fails.

    Whoever calls ends with exit code 1 then.
    """
    try:
        return log()
    except TrackingError as error:
        warn(f"not logged in MLflow: {error}")
        return None


def log_choice(log: Callable[[], str | None]) -> bool:
    """Log an answer that is shown already, and say where; False, with a warning, where it fails.

    Args:
        log: returns the URI; None where nothing was to be logged, which is no failure.
    """
    uri = try_to_log(lambda: (log(),))
    if uri is None:
        return False
    if uri[0] is not None:
        say(f"logged in MLflow: {uri[0]}")
    return True


def track_evaluation(
    loo: "LeaveOneOut",
    knowledge: "Knowledge",
    store: str,
    tracking_uri: str | None,
    *,
    experiment: str,
    settings: AttributionSettings | None,
) -> tuple[list[str], str | None]:
    """Log every selector's leave-one-out.

    Args:
        loo: the result.
        knowledge: it was judged on.
        store: of the knowledge; tags the runs.
        tracking_uri: of `tracking_uri_for`; None logs nothing.
        experiment: name of the experiment.
        settings: of the profiles.

    Returns:
        The run ids, and the URI without credentials; none and None where nothing was logged.
    """
    if tracking_uri is None:
        return [], None
    from vlmsel.api.laboratory import mean_dcd
    from vlmsel.tracking import log_leave_one_out

    ids = log_leave_one_out(
        loo,
        tracking_uri=tracking_uri,
        experiment=experiment,
        accuracies=knowledge.accuracies,
        profiles=knowledge.profiles if knowledge.has_profiles else None,
        dcd=mean_dcd(knowledge),
        params=_params(knowledge, settings),
        tags={"store": redact(store)},
    )
    return ids, redact(tracking_uri)


def track_answer(
    answer: "TargetAnswer", store: str, tracking_uri: str | None, *, experiment: str
) -> str | None:
    """Log an answer where runs are logged already, or where it is said; returns the URI.

    Args:
        answer: of `answer_images`.
        store: of the answer.
        tracking_uri: where to log; None is the database beside a local store, where there is one.
        experiment: name of the experiment.
    """
    if not _is_tracked(store, tracking_uri):
        return None
    found = answer.found
    first = answer.table.row(0, named=True)
    return _log_choice(
        store,
        tracking_uri,
        experiment,
        params={
            "target": answer.target,
            "first": answer.first,
            "basis": found.basis,
            "selector": answer.choice.name if answer.choice else found.basis,
            "tolerance": answer.options.tolerance,
        },
        metrics={
            "expected_accuracy": first["accuracy"],
            "expected_regret": found.regret,
            "n_labels": float(found.n_labels),
            "labels_worth": found.worth,
            "n_images": float(found.n_images),
        },
        ranking=answer.table,
    )


def _is_tracked(store: str, tracking_uri: str | None) -> bool:
    """True if an answer is logged: where it is said, or where runs are logged already."""
    if tracking_uri is not None:
        return True
    place = absolute_address(store, "store", StoreError)
    return not is_address(place) and (Path(place).parent / "mlflow.db").is_file()


def track_selection(
    selection: "Selection", store: str, tracking_uri: str | None, *, experiment: str
) -> str | None:
    """Log a ranking by images alone where runs are logged already, or where it is said.

    Args:
        selection: the ranking.
        store: of the ranking.
        tracking_uri: where to log; None is the database beside a local store, where there is one.
        experiment: name of the experiment.

    Returns:
        The URI, None where nothing was logged.
    """
    if not _is_tracked(store, tracking_uri):
        return None
    first = selection.ranking.row(0, named=True)
    return _log_choice(
        store,
        tracking_uri,
        experiment,
        params={
            "target": selection.target,
            "first": f"{first['model']}/{first['pretrained']}",
            "selector": selection.selector,
            "is_trustworthy": selection.is_trustworthy,
        },
        metrics={
            "expected_regret": selection.expected_loss,
            "n_images": float(selection.images.n_images),
        },
        ranking=selection.ranking.drop("sources"),
    )


def track_trained(
    found: "TrainedSelection", store: str, tracking_uri: str, *, experiment: str
) -> str | None:
    """Log a ranking for a probe or fine-tuning where it is said; returns the URI.

    Args:
        found: the ranking.
        store: of the ranking.
        tracking_uri: where to log.
        experiment: name of the experiment.
    """
    first = found.ranking.row(0, named=True)
    return _log_choice(
        store,
        tracking_uri,
        experiment,
        params={
            "target": found.target,
            "use": found.use,
            "first": f"{first['model']}/{first['pretrained']}",
            "shots": found.shots,
        },
        metrics={
            "probe_accuracy": first["probe_accuracy"],
            "n_sources": float(found.mixture.n_sources),
        },
        ranking=found.ranking,
    )


def _log_choice(
    store: str,
    tracking_uri: str | None,
    experiment: str,
    *,
    params: dict[str, object],
    metrics: dict[str, float | None],
    ranking: pl.DataFrame,
) -> str | None:
    """Log one answer of `select`; returns the URI without credentials."""
    uri = tracking_uri_for(store, tracking_uri, experiment)
    _, shown = track_summary(
        "select",
        uri,
        experiment=experiment,
        params={"store": redact(store), **params},
        metrics={**metrics, "n_models": float(ranking.height)},
        tables={"ranking": ranking},
    )
    return shown


def track_summary(kind: str, uri: str | None, **values: Any) -> tuple[str | None, str | None]:
    """Log one run of a kind; returns its id and the URI without credentials, None where not."""
    if uri is None:
        return None, None
    from vlmsel.tracking import log_run_summary

    return log_run_summary(kind, tracking_uri=uri, **values), redact(uri)


def track_use(
    loo: "LeaveOneOut",
    probes: pl.DataFrame,
    uri: str | None,
    *,
    experiment: str,
    params: dict[str, object],
) -> tuple[list[str], str | None]:
    """Log every score's leave-one-out; returns the run ids and the URI without credentials."""
    if uri is None:
        return [], None
    from vlmsel.tracking import log_leave_one_out

    truth = probes.filter(pl.col("shots").is_null())
    ids = log_leave_one_out(
        loo, tracking_uri=uri, experiment=experiment, accuracies=truth, params=params
    )
    return ids, redact(uri)


def track_scores(
    found: "LabelScores", uri: str | None, *, experiment: str, params: dict[str, object]
) -> tuple[str | None, str | None]:
    """Log a table of scores; returns the run id and the URI without credentials."""
    names = ", ".join(found.table["estimator"].unique(maintain_order=True))
    return track_summary(
        "scores",
        uri,
        experiment=experiment,
        params={**params, "estimators": names},
        metrics={"n_models": float(len(found.models))},
        tables={"scores": found.table, "left_out": found.left_out},
    )


def track_sweep(
    points: pl.DataFrame,
    knowledge: "Knowledge",
    tracking_uri: str | None,
    *,
    experiment: str,
    settings: AttributionSettings | None,
    options: dict[str, object],
) -> tuple[str | None, str | None]:
    """Log a sweep; returns its run id and the URI without credentials."""
    if tracking_uri is None:
        return None, None
    from vlmsel.tracking import log_sweep

    params = _params(knowledge, settings) | options
    run = log_sweep(
        points,
        tracking_uri=tracking_uri,
        experiment=experiment,
        accuracies=knowledge.accuracies,
        params=params,
    )
    return run, redact(tracking_uri)


def _params(knowledge: "Knowledge", settings: AttributionSettings | None) -> dict[str, object]:
    chosen = settings.model_dump() | {"settings": settings.digest} if settings else {}
    return {"knowledge": knowledge.about, **chosen}

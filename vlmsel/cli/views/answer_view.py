"""The answer of ``vlmsel select`` where class names, labels or the shipped table give one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import typer

from vlmsel.cli.views.console import emit_json, note, say, show_table, tell, warn
from vlmsel.errors import SettingsError, TaskError

if TYPE_CHECKING:
    from vlmsel.api.answer import AnswerOptions, TargetAnswer
    from vlmsel.api.known_zoo import KnownZoo
    from vlmsel.cli.answer_flags import AnswerFlags
    from vlmsel.evidence.failure import Failure
    from vlmsel.execution.plan.run_options import RunOptions
    from vlmsel.execution.plan.work_plan import Plan


@dataclass(frozen=True)
class Shown:
    """Destination of an answer.

    Attributes:
        top: models to print.
        as_json: print JSON.
        report: HTML file, if any.
        thumbnails: whether the report holds pictures.
        tracking_uri: of MLflow, if said.
        experiment: of MLflow.
    """

    top: int
    as_json: bool
    report: Path | None
    thumbnails: bool
    tracking_uri: str | None
    experiment: str


def read_class_names(text: str | None) -> tuple[str, ...] | None:
    """Class names of an option: a,b,c, or a file with one name per line.

    Raises:
        TaskError: the file cannot be read, or a name is empty.
    """
    if text is None:
        return None
    path = Path(text).expanduser()
    parts = text.split(",")
    if path.is_file():
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TaskError(f"class names {path} cannot be read as UTF-8 text: {error}") from None
        # A name may hold a comma where each has a line.
        parts = lines if len(lines) > 1 else ",".join(lines).split(",")
    elif path.suffix in (".txt", ".csv"):
        raise TaskError(f"class names: there is no file {path}")
    names = tuple(name.strip() for name in parts if name.strip())
    if not names:
        raise TaskError("class names: none is given; write --classnames a,b,c or a file of names")
    return names


def read_options(flags: "AnswerFlags", selector: str | None) -> "AnswerOptions":
    """The options of an answer as the command line says them.

    Raises:
        SettingsError, TaskError: two of them contradict each other, or one is impossible.
    """
    from vlmsel.api.answer import AnswerOptions

    if flags.classnames and flags.prompts:
        raise SettingsError("--classnames and --prompts both name the classes: give one of them")
    if flags.answers != type(flags).answers and flags.questions is None:
        raise SettingsError("--answers says how questions are scored: add --questions FILE")
    if flags.ignore_labels and (flags.labels or flags.labels_are_random):
        raise SettingsError("--ignore-labels takes no labels: leave --labels out")
    if selector is not None and flags.labels is not None:
        raise SettingsError(
            "labels are joined with the sources by the posterior: leave out --selector or --labels"
        )
    if flags.prompts and not flags.prompts.startswith("clip-benchmark:"):
        raise SettingsError("--prompts is written clip-benchmark:NAME")
    return AnswerOptions(
        classnames=read_class_names(flags.classnames),
        prompts=flags.prompts,
        templates=tuple(flags.template) if flags.template else None,
        labels=flags.labels,
        questions=flags.questions,
        answers=flags.answers.value,
        evaluated=flags.evaluated,
        shortlist=flags.shortlist,
        tolerance=flags.tolerance / 100,
        ignore_labels=flags.ignore_labels,
        labels_are_random=flags.labels_are_random,
        max_params=flags.max_params,
        max_ms=flags.max_ms,
        selector=selector,
        dry_run=flags.dry_run,
    )


def answer_command(
    images: str, zoo: "KnownZoo", options: "AnswerOptions", run: "RunOptions"
) -> "TargetAnswer":
    """Answer, with progress where models are run, and compare with the last answer."""
    from vlmsel.api.answer import AnswerSteps, answer_images
    from vlmsel.api.answer_memory import compare_answer
    from vlmsel.cli.views.plan_run import say_plan
    from vlmsel.cli.views.run_progress import progress_bar

    what = f"answers on {images}"
    with progress_bar(what) as bar:

        def begin(plan: "Plan") -> None:
            say_plan(plan, what=what)
            bar.expect(plan)

        steps = AnswerSteps(on_plan=begin, on_outcome=bar.tick)
        return compare_answer(answer_images(images, zoo, options, run=run, steps=steps))


def show_answer(answer: "TargetAnswer", top: int) -> None:
    """The answer for people: the sentences first, then the table, then what it rests on."""
    from vlmsel.api.answer_lines import answer_lines

    for line in (*answer_lines(answer), *answer.changes):
        tell(line)
    shown = shown_table(answer).head(top)
    show_table(shown, title=_title(answer, shown.height))
    note("accuracy: expected, with its 90 % interval; P(best), in top 5: over all that is possible")
    for line in answer.zoo.left_out:
        say(f"counted once: {line}")
    if answer.to_run:
        tell(f"dry run; to be run on the images: {', '.join(answer.to_run)}")
    tell(f"source: {answer.zoo.about}")
    for line in answer.notes:
        warn(line)


def _title(answer: "TargetAnswer", shown: int) -> str:
    n_images = answer.found.n_images
    images = f"{n_images} images" if n_images else "images not looked at"
    return f"{answer.target}: {images}, the first {shown} of {answer.table.height} models"


def shown_table(answer: "TargetAnswer") -> pl.DataFrame:
    """The table under headers that a newcomer understands; columns without any value are gone."""
    table = answer.table

    def percent(column: str) -> pl.Expr:
        return (100 * pl.col(column)).round(0).cast(pl.Int64)

    columns: dict[str, Callable[[], pl.Expr]] = {
        "accuracy": lambda: pl.format("{} ({}-{})", *map(percent, ("accuracy", "low", "high"))),
        "p_best": lambda: pl.format("{}%", percent("p_best")).alias("P(best)"),
        "p_top5": lambda: pl.format("{}%", percent("p_top5")).alias("in top 5"),
        "rank_low": lambda: pl.format("{}-{}", "rank_low", "rank_high").alias("true rank"),
        "average_rank": lambda: pl.col("average_rank").alias("average"),
        "imagenet": lambda: percent("imagenet").alias("ImageNet"),
        "parameters_m": lambda: pl.col("parameters_m").round(0).cast(pl.Int64).alias("M params"),
        "input_size": lambda: pl.col("input_size").alias("input"),
        "ms_image": lambda: pl.format("{}", pl.col("ms_image").round(2)).alias("ms per image"),
    }
    shown = [pl.col("rank"), pl.concat_str("model", "pretrained", separator="/").alias("model")]
    for name, column in columns.items():
        if table[name].null_count() < table.height:
            shown.append(column().alias(name) if name == "accuracy" else column())
    return table.select(shown)


def answer_dict(answer: "TargetAnswer", top: int) -> dict[str, object]:
    """Document that ``--json`` prints."""
    from vlmsel.api.answer_lines import answer_lines

    found, first = answer.found, answer.table.row(0, named=True)
    failed = answer.summary.failures if answer.summary else ()
    return {
        "target": answer.target,
        "first": answer.first,
        "lines": answer_lines(answer),
        "accuracy": first["accuracy"],
        "accuracy_interval": (first["low"], first["high"]),
        "expected_regret": found.regret,
        "not_told_apart": ["/".join(found.models[i]) for i in found.rivals],
        "n_labels": found.n_labels,
        "n_labels_outside": found.n_outside,
        "labels_worth": found.worth,
        "stop": found.enough,
        "checked_at": found.checked,
        "next_check": found.next_check,
        "regret_with_more_labels": found.regrets,
        "label_next": answer.draw.wanted,
        "labels_not_used": answer.draw.unused,
        "next_model": _name(answer, found.next_model),
        "average_rank_says": _name(answer, found.average_rank),
        "imagenet_says": _name(answer, found.imagenet),
        "basis": found.basis,
        "selector": answer.choice.name if answer.choice else None,
        "why": answer.choice.why if answer.choice else None,
        "n_images": found.n_images,
        "class_names": answer.target_labels.classnames,
        "load": answer.zoo.loading_line(found.first),
        "licence": first["licence"],
        "n_models": answer.table.height,
        "ranking": answer.table.head(top),
        "to_run": answer.to_run,
        "changes": answer.changes,
        "source": answer.zoo.about,
        "warnings": answer.warnings,
        "left_out": answer.zoo.left_out,
        "failures": [str(failure) for failure in failed],
        "passed_over": answer.target_labels.index.passed_over,
    }


def _name(answer: "TargetAnswer", place: int | None) -> str | None:
    return None if place is None else "/".join(answer.found.models[place])


def emit_answer(answer: "TargetAnswer", top: int, *, as_json: bool) -> None:
    """Print the answer."""
    if as_json:
        emit_json(answer_dict(answer, top))
    else:
        show_answer(answer, top)


def _unread_files(answer: "TargetAnswer") -> "tuple[Failure, ...]":
    """Files of the target that could not be read."""
    from vlmsel.evidence.failure import Failure

    index = answer.target_labels.index
    return tuple(Failure("", "", index.task, None, bad.reason) for bad in index.bad)


def end_with_answer(
    answer: "TargetAnswer", store: str, shown: Shown, *, allow_failures: int
) -> None:
    """Print an answer, write its report, log it, and end with the true exit code.

    Raises:
        Exit: something failed, or the answer could not be logged.
    """
    from vlmsel.cli.run_records import log_choice, track_answer

    emit_answer(answer, shown.top, as_json=shown.as_json)
    if shown.report:
        from vlmsel.api.answer_report import answer_report

        page = answer_report(shown.report, answer, thumbnails=shown.thumbnails)
        say(f"report: {page}")
    is_logged = log_choice(
        lambda: track_answer(answer, store, shown.tracking_uri, experiment=shown.experiment)
    )
    finish_answer(answer, allow_failures)
    if not is_logged:
        raise typer.Exit(1)


def finish_answer(answer: "TargetAnswer", allow_failures: int) -> None:
    """Name what failed and end with the true exit code."""
    from vlmsel.cli.views.plan_run import finish_for_images
    from vlmsel.cli.views.ranking_view import name_failures
    from vlmsel.execution.run_summary import RunSummary

    summary = answer.summary or RunSummary(faults=_unread_files(answer))
    failures = (*summary.failures, *summary.earlier)
    images = [(failure.image_id, failure.reason) for failure in failures if failure.image_id]
    failed = pl.DataFrame(images, schema={"image_id": pl.String, "reason": pl.String}, orient="row")
    n_images = name_failures(failed)
    finish_for_images(summary, n_images, allow_failures)

"""``vlmsel label``: a local page that asks for labels and says when they are enough."""

import os
import shlex
import signal
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.answer_flags import LabelFlags
from vlmsel.cli.option_groups import RunFlags, takes_flags
from vlmsel.cli.views.console import emit_json, say, tell, warn
from vlmsel.plurals import number_of

if TYPE_CHECKING:
    from vlmsel.api.answer import TargetAnswer
    from vlmsel.api.label import LabelSession
    from vlmsel.api.label_plan import LabelPlan
    from vlmsel.execution.plan.run_options import RunOptions

_PAGE = "The page"
HIGHEST_PORT = 65535
# More of them would fill the terminal.
NAMED_CLASSES = 30


@takes_flags
def label(
    images: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder, tar or Parquet of images, local or s3:// or gs://.",
            show_default=False,
        ),
    ],
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=o.output_path,
            metavar="FILE",
            help="CSV file of the labels, which `vlmsel select --labels` reads. Default: beside "
            "the store, named after the folder. What it holds goes on.",
            show_default=False,
            rich_help_panel=_PAGE,
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Order in which images are asked for. Any other than random makes labels that "
            "are no random sample, and is marked so.",
            rich_help_panel=_PAGE,
        ),
    ] = "random",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=HIGHEST_PORT, help="Of the page; 0 is a free one.", rich_help_panel=_PAGE
        ),
    ] = 0,
    no_browser: Annotated[
        bool,
        typer.Option(
            "--no-browser",
            help="Only print the page's address; as without a screen.",
            rich_help_panel=_PAGE,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say where labels go, how many there are and which models would be run.",
        ),
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Models to show at the end.")] = 5,
    report: Annotated[
        Path | None,
        typer.Option(
            parser=o.output_path,
            metavar="FILE",
            help="At the end, also write an HTML report here.",
            show_default=False,
        ),
    ] = None,
    as_json: o.AsJson = False,
    tracking_uri: o.TrackingUri = None,
    experiment: o.Experiment = o.DEFAULT_EXPERIMENT,
    allow_failures: o.AllowFailures = 0,
    *,
    asked: LabelFlags,
    flags: RunFlags,
) -> None:
    """Label a few images in a local page, which says when to stop; the models answer meanwhile.

    The page is served by this process to this machine alone, under an address with a secret that
    is printed here. Every label is saved at once; started again, the work goes on. Finish (in the
    page) or Ctrl-C ends it with the answer of `vlmsel select --labels`.
    """
    from vlmsel.api.answer_memory import compare_answer
    from vlmsel.api.known_zoo import known_zoo
    from vlmsel.api.label_plan import check_extra, plan_labels
    from vlmsel.cli.views.answer_view import Shown, end_with_answer, read_options

    check_extra()
    options = read_options(asked.as_answer(), None)
    plan = plan_labels(images, known_zoo(store, zoo, tasks), options, out=out, order=order)
    if dry_run:
        _show_plan(plan, as_json=as_json)
        return
    found, n_left = _work(plan, flags.options(), port, opens=not no_browser, as_json=as_json)
    answer = compare_answer(found)
    _say_files(plan, answer, store)
    shown = Shown(top, as_json, report, not asked.no_thumbnails, tracking_uri, experiment)
    end_with_answer(answer, store, shown, allow_failures=allow_failures)
    _end_early(n_left)


def _work(
    plan: "LabelPlan", run: "RunOptions", port: int, *, opens: bool, as_json: bool
) -> "tuple[TargetAnswer, int]":
    """Serve the page until it is finished or Ctrl-C, and answer.

    Returns:
        The answer, and how many models had not answered yet.
    """
    from vlmsel.api.label import LabelSession
    from vlmsel.labelling.label_files import LabelLock

    with LabelLock(plan.files.path) as lock:
        # Only here: no other command needs a server.
        from vlmsel.labelling.page_server import PageServer

        server = PageServer(port)
        lock.name(server.address)
        session = LabelSession(plan, run)
        session.start()
        server.start(session)
        _announce(server.url, as_json=as_json)
        if opens and _has_screen():
            webbrowser.open(server.url)
        try:
            _wait(session)
        finally:
            server.stop()
            session.stop()
        say("choosing from the labels ...")
        return session.answer(), session.n_unanswered


def _wait(session: "LabelSession") -> None:
    # A shell starts what runs behind it deaf to Ctrl-C, which ends the work here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        session.ended.wait()
    except KeyboardInterrupt:
        # Ctrl-C ends the labelling, not the command; a second one ends that.
        say("")


def _announce(url: str, *, as_json: bool) -> None:
    """Print the page's address, secret and all, at once; with --json stdout is for the document."""
    stream = sys.stderr if as_json else sys.stdout
    stream.write(f"label page: {url}\n")
    stream.flush()
    say(
        "open it in a browser of this machine; Finish in the page, or Ctrl-C here, ends with the "
        "answer"
    )


def _has_screen() -> bool:
    """True if a browser would open a window, and not take over this terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _show_plan(plan: "LabelPlan", *, as_json: bool) -> None:
    """Say what would be done."""
    ready, book = plan.ready, plan.book
    models = ["/".join(ready.zoo.models[place]) for place in ready.chosen]
    if as_json:
        emit_json(
            {
                "labels_file": plan.files.path,
                "images": len(book.images),
                "class_names": book.classes,
                "labelled": len(book.labels),
                "unreadable": dict(book.unreadable),
                "order": plan.order.name,
                "to_run": models,
                "label_next": book.queue()[:1],
            }
        )
        return
    tell(f"dry run; labels would go to {plan.files.path}")
    tell(
        f"{len(book.images)} images may be asked for, {len(book.labels)} are labelled; "
        f"{len(book.classes)} classes"
    )
    tell(f"to be run on the images, in this order: {', '.join(models)}")
    for image, reason in book.unreadable.items():
        warn(f"cannot be read and is passed over: {image}: {reason}")


def _say_files(plan: "LabelPlan", answer: "TargetAnswer", store: str) -> None:
    """Say where the labels are, and how to have the same answer again."""
    say(f"labels: {plan.files.path}")
    if answer.options.labels is not None and answer.options.picked_by is None:
        say(f"the same again: {write_select_command(answer, store)}")


def write_select_command(answer: "TargetAnswer", store: str) -> str:
    """Write the command that gives an answer again."""
    from vlmsel.selection.posterior.advice import TOLERANCE

    asked = answer.options
    words = ["vlmsel", "select", answer.images, "--store", store]
    if asked.classnames is not None:
        is_plain = len(asked.classnames) <= NAMED_CLASSES and "," not in "".join(asked.classnames)
        words += ["--classnames", ",".join(asked.classnames) if is_plain else "CLASSES.txt"]
    for template in asked.templates or ():
        words += ["--template", template]
    options = {
        "--prompts": asked.prompts,
        "--evaluated": asked.evaluated,
        "--shortlist": asked.shortlist,
        "--max-params": asked.max_params,
        "--max-ms": asked.max_ms,
        "--labels": asked.labels,
    }
    for name, value in options.items():
        if value is not None:
            words += [name, str(value)]
    if asked.tolerance != TOLERANCE:
        words += ["--tolerance", f"{100 * asked.tolerance:g}"]
    return shlex.join(words)


def _end_early(n_left: int) -> None:
    """End with 1 where models had not answered yet.

    Raises:
        Exit: some had not.
    """
    if n_left:
        models = number_of(n_left, "model", "models")
        say(
            f"ended before {models} had answered: the same command, or `vlmsel select`, goes on "
            "from there"
        )
        raise typer.Exit(1)

"""Submit a job to a Ray cluster, follow its log, and exit as it did.

    python jobs/submit.py --submission-id refresh-2026-11-21 -- python jobs/refresh.py --zoo ...

Ray's own `ray job submit` exits with 0 for a stopped job. Here the exit code is that of the job's
command; what went wrong around it has codes of its own: 125 it could not be submitted or was lost
sight of, 126 it was stopped. A submission id is used once in a cluster's life, so an id with the
date stops a second nightly.
"""

import asyncio
import os
import re
import shlex
import sys
import time
from typing import Annotated

import typer

try:
    import aiohttp
    from ray.job_submission import JobStatus, JobSubmissionClient
except ModuleNotFoundError:
    sys.exit("submitting a job needs ray, which is not installed: pip install 'vlmsel[ray]'")

# Of a job that failed without a code of its own, as where its environment could not be made.
EXIT_FAILED = 1
# As `docker run` has them: the command itself exits with none of these.
EXIT_REFUSED, EXIT_STOPPED = 125, 126
SIGNALLED = 128
# After it Ray repeats the end of the log, which was shown already.
LOG_AGAIN = "last available logs"
DEFAULT_ADDRESS = "http://127.0.0.1:8265"
# It becomes a part of the address that the dashboard is asked by.
JOB_ID = re.compile(r"[A-Za-z0-9_.-]+")
POLL_S = 1.0
# The log may close before the last status is known.
SETTLE_S = 60.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"ignore_unknown_options": True})
def submit(
    command: Annotated[list[str], typer.Argument(help="What to run there, after `--`.")],
    submission_id: Annotated[
        str | None, typer.Option(help="Refused where a job of this id ran before.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help=f"Default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS or {DEFAULT_ADDRESS}."),
    ] = None,
    working_dir: Annotated[
        str | None, typer.Option(help="Sent to the cluster. Leave out if its image has vlmsel.")
    ] = None,
) -> None:
    """Submit COMMAND, wait for it, and exit as it did."""
    client = _connect(address or _default_address())
    job = _submit(client, command, submission_id, working_dir)
    typer.echo(f"submitted {job}", err=True)
    asyncio.run(_follow(client, job))
    status = _final_status(client, job)
    typer.echo(f"{job}: {status.value.lower()}", err=True)
    if status != JobStatus.SUCCEEDED:
        about = client.get_job_info(job)
        typer.echo(job_reason(about.message), err=True)
        is_stopped = status == JobStatus.STOPPED
        raise typer.Exit(EXIT_STOPPED if is_stopped else job_code(about.driver_exit_code))


def _default_address() -> str:
    known = os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS", "")
    return known if known.startswith("http") else DEFAULT_ADDRESS


def _connect(address: str) -> JobSubmissionClient:
    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        typer.echo(f"no Ray dashboard answers at {address}: {_first_line(error)}", err=True)
        raise typer.Exit(EXIT_REFUSED) from error


def _submit(
    client: JobSubmissionClient, command: list[str], job: str | None, working_dir: str | None
) -> str:
    environment = {"working_dir": working_dir} if working_dir else {}
    if job is not None and not JOB_ID.fullmatch(job):
        typer.echo(f"refused: --submission-id {job!r}: use letters, digits, . _ and -", err=True)
        raise typer.Exit(EXIT_REFUSED)
    try:
        return client.submit_job(
            entrypoint=shlex.join(command), submission_id=job, runtime_env=environment
        )
    except (OSError, ValueError, RuntimeError) as error:
        if job is None or not _exists(client, job):
            typer.echo(f"refused: {_first_line(error)}", err=True)
        else:
            status = client.get_job_status(job).value.lower()
            typer.echo(
                f"refused: a job {job!r} was submitted before and is {status}; follow it with "
                f"`ray job logs --follow {job}`, or submit under another id",
                err=True,
            )
        raise typer.Exit(EXIT_REFUSED) from error


def _exists(client: JobSubmissionClient, job: str) -> bool:
    return any(details.submission_id == job for details in client.list_jobs())


async def _follow(client: JobSubmissionClient, job: str) -> None:
    try:
        async for lines in client.tail_job_logs(job):
            sys.stdout.write(lines)
            sys.stdout.flush()
    except (OSError, RuntimeError, aiohttp.ClientError) as error:
        # The job goes on without its log; its status decides.
        typer.echo(f"the log broke off: {_first_line(error)}", err=True)


def _final_status(client: JobSubmissionClient, job: str) -> JobStatus:
    """The status after the end. While the job answers that it runs, waiting has no limit."""
    silent_since: float | None = None
    while True:
        try:
            status = client.get_job_status(job)
            if status.is_terminal():
                return status
            silent_since = None
        except (ConnectionError, RuntimeError) as error:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > SETTLE_S:
                typer.echo(f"{job}: the cluster is gone: {_first_line(error)}", err=True)
                raise typer.Exit(EXIT_REFUSED) from error
        time.sleep(POLL_S)


def job_code(code: int | None) -> int:
    """The exit code of a job's command, as a shell would have it."""
    if code is None or code == 0:
        return EXIT_FAILED
    return SIGNALLED - code if code < 0 else min(code, 255)


def job_reason(message: str | None) -> str:
    """Why Ray says that a job failed, without the log that it appends."""
    text = (message or "").partition(LOG_AGAIN)[0]
    return text.strip().rstrip(",;:")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    app()

"""One HTML file that opens offline: no script, style, font or picture comes from elsewhere."""

import base64
import hashlib
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vlmsel.addresses import absolute_path
from vlmsel.errors import StoreError
from vlmsel.outside_names import readable
from vlmsel.redaction import redact
from vlmsel.report.inputs import ReportInputs
from vlmsel.report.sections import build_sections, full_ranking

TEMPLATE = Path(__file__).with_name("template.html.j2")


def render_report(inputs: ReportInputs) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["redact"] = redact
    sections, absent = build_sections(inputs)
    ranking = full_ranking(inputs)
    return environment.get_template(TEMPLATE.name).render(
        report=inputs,
        script_hash=_script_hash(),
        created=inputs.created or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        sections=sections,
        absent=absent,
        facts=_facts(inputs),
        first=None if ranking is None else ranking.row(0, named=True),
    )


def write_report(path: str | Path, inputs: ReportInputs) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: the HTML file; its folder is made where missing.
        inputs: what to show.

    Returns:
        The absolute path.

    Raises:
        StoreError: the file cannot be written.
    """
    return write_page(path, render_report(inputs))


def write_page(path: str | Path, text: str) -> Path:
    """Write a page, whole or not at all; returns the absolute path.

    Raises:
        StoreError: the file cannot be written.
    """
    target = absolute_path(path, "report", StoreError)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(readable(text), encoding="utf-8")
        fresh.replace(target)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        message = f"the report {target} cannot be written ({error.strerror}); choose another path"
        raise StoreError(message) from error
    return target


@cache
def _script_hash() -> str:
    """Hash the page's own script: its policy lets run that, and nothing that came with a name."""
    (script,) = re.findall(r"<script>(.*?)</script>", TEMPLATE.read_text("utf-8"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"


def _facts(inputs: ReportInputs) -> list[tuple[str, str]]:
    """The few numbers that a reader looks for first."""
    facts = []
    ranking = full_ranking(inputs)
    if ranking is not None:
        facts.append(("models ranked", str(ranking.height)))
    profiles = inputs.profiles
    if profiles is not None and inputs.target is not None and "image_id" in profiles.columns:
        rows = profiles.filter(profiles["task"] == inputs.target)
        facts.append(("images of the target", str(rows["image_id"].n_unique())))
    if inputs.effective_sources is not None:
        facts.append(("effective sources", f"{inputs.effective_sources:.1f}"))
    if inputs.selector is not None:
        facts.append(("selector", inputs.selector))
    if inputs.failures is not None:
        facts.append(("failed", str(_n_failed(inputs.failures))))
    return facts


def _n_failed(failures: pl.DataFrame) -> int:
    """Images, each once whatever the number of models, and whole cells."""
    images = failures.filter(pl.col("image_id").is_not_null())
    return images.n_unique(["task", "image_id"]) + failures.height - images.height

"""Say what the dependencies are: their licences, and whether known holes were looked for.

    python .ci/dependencies.py licences [--markdown]
    python .ci/dependencies.py audit

`audit` asks a database of vulnerabilities with pip-audit. It exits with 0 only where the database
answered and knows of none, with 1 where it knows of some, and with 3 where nothing was checked.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-runtime.lock"
EXIT_CLEAN, EXIT_FOUND, EXIT_UNCHECKED = 0, 1, 3
AUDIT = (
    "uvx", "pip-audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip",
    "--format", "json", "--progress-spinner", "off",
)  # fmt: skip
# No audit takes longer; a database that does not answer is none.
AUDIT_S = 300
# Words of licences that ask for nothing but their own text.
PERMISSIVE = re.compile(
    r"\b(MIT(-0|-CMU)?|(Free|0)?BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0|CNRI|HPND|"
    r"Unlicense|BSL-1\.0)",
    re.IGNORECASE,
)
# Not permissive, and looked at: what each asks for.
KNOWN = {
    "MPL": "Mozilla: changes of its own files must be published; none is changed here",
    "NVIDIA": "proprietary: may be used, and redistributed with an application",
    "DFSG": "permissive by Debian's guidelines",
    "names none": "unclear: it comes with clip-benchmark, is never imported, and not redistributed",
}
# Name no licence in their metadata.
UNNAMED = {
    "cuda-toolkit": "NVIDIA (a package without files of its own)",
    "huey": "MIT (its licence file)",
    "pycocoevalcap": "names none",
    "skops": "MIT (its licence file)",
}
PRINTED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)


def locked(lock: Path = LOCK) -> dict[str, str]:
    """Versions by name of what a lock file names."""
    return dict(PRINTED.findall(lock.read_text()))


def licence_of(found: Distribution) -> str:
    """A distribution's licence: its expression, else its classifiers, else a short free text."""
    about = found.metadata
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [
        line.rpartition("::")[2].strip()
        for line in about.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    text = (about.get("License") or "").strip().partition("\n")[0][:80]
    named = [name for name in classifiers if name != "OSI Approved"]
    text = "" if text == "UNKNOWN" else text
    return ", ".join(named) or text or UNNAMED.get(about["Name"].lower(), "")


def judged(licence: str) -> str | None:
    """What a licence asks for, in words; None for one that nobody has looked at."""
    for word, meaning in KNOWN.items():
        if word.lower() in licence.lower() or (word == "MPL" and "mozilla" in licence.lower()):
            return meaning
    return "permissive" if PERMISSIVE.search(licence) else None


def licences(names: Iterable[str]) -> list[tuple[str, str, str, str]]:
    """(name, version, licence, what it asks for) of those that are installed here, sorted."""
    rows = []
    for name in sorted(names, key=str.lower):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            # Of another platform.
            continue
        licence = licence_of(found)
        rows.append((name, found.version, licence, judged(licence) or "UNKNOWN: look at it"))
    return rows


def audit(command: Sequence[str] = AUDIT, *, timeout_s: float = AUDIT_S) -> tuple[int, str]:
    """Exit code and a line on what a database of vulnerabilities knows of the lock file."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        answer = json.loads(done.stdout)["dependencies"]
        found = [(one["name"], one["version"], v["id"]) for one in answer for v in one["vulns"]]
    except (OSError, subprocess.TimeoutExpired) as error:
        return EXIT_UNCHECKED, f"not checked: {type(error).__name__}: {error}"[:300]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return EXIT_UNCHECKED, f"not checked: no database answered ({last[:200]})"
    if not answer:
        return EXIT_UNCHECKED, "not checked: the answer names no package"
    if found:
        lines = [f"{name} {version}: {hole}" for name, version, hole in found]
        return EXIT_FOUND, "\n".join([f"{len(found)} known vulnerabilities:", *lines])
    return EXIT_CLEAN, f"{len(answer)} packages checked, no known vulnerability"


def main(words: Sequence[str]) -> int:
    """Run one of the two."""
    if words[:1] == ["audit"]:
        code, said = audit()
        sys.stdout.write(f"{said}\n")
        return code
    if words[:1] != ["licences"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    rows = licences(locked())
    is_markdown = "--markdown" in words
    if is_markdown:
        sys.stdout.write("| package | version | licence | asks for |\n|---|---|---|---|\n")
    for row in rows:
        sys.stdout.write(f"| {' | '.join(row)} |\n" if is_markdown else "\t".join(row) + "\n")
    return int(any(row[3].startswith("UNKNOWN") for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

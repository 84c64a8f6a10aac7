"""Libraries that only some users need, and the extras of the package that install them."""

import sys
from importlib.util import find_spec

# Extra -> the libraries that it is there for.
LIBRARIES = {
    "clip-benchmark": ("clip_benchmark",),
    "label": ("starlette", "uvicorn"),
    "mlflow": ("mlflow",),
    "ray": ("ray",),
    "transformers": ("transformers",),
}


def has_extra(extra: str) -> bool:
    """True if the libraries of an extra are installed; none is imported."""
    return not _missing(extra)


def missing_extra(what: str, extra: str) -> str:
    """Say which libraries of an extra are missing for something, and how to install them."""
    names = _missing(extra) or LIBRARIES[extra]
    verb = "is" if len(names) == 1 else "are"
    return (
        f"{what} needs {' and '.join(names)}, which {verb} not installed: "
        f"pip install 'vlmsel[{extra}]'"
    )


def _missing(extra: str) -> list[str]:
    return [name for name in LIBRARIES[extra] if not _is_installed(name)]


def _is_installed(library: str) -> bool:
    if library in sys.modules:
        return sys.modules[library] is not None
    return find_spec(library) is not None

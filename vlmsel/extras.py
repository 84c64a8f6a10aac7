"""Libraries that only some users need, and the extras of the package that install them."""

import sys
from importlib.util import find_spec

# Extra -> the library that it is there for.
LIBRARIES = {
    "clip-benchmark": "clip_benchmark",
    "label": "starlette",
    "mlflow": "mlflow",
    "ray": "ray",
    "transformers": "transformers",
}


def has_extra(extra: str) -> bool:
    """Whether the library of an extra is installed; it is not imported."""
    library = LIBRARIES[extra]
    if library in sys.modules:
        return sys.modules[library] is not None
    return find_spec(library) is not None


def missing_extra(what: str, extra: str) -> str:
    """Say what needs an extra, and how to install it."""
    return f"{what} needs {extra}, which is not installed: pip install 'vlmsel[{extra}]'"

"""Pick the best pretrained vision-language model for a task from a few unlabelled images.

Three calls tell the whole story:

    import vlmsel

    vlmsel.measure(["profile", "prediction"], zoo="demo", tasks="demo", store="store")
    loo = vlmsel.evaluate("store")                    # how good is each selector on known tasks?
    selection = vlmsel.select("images", store="store")  # which model for these images?
    print(selection)

`select` returns a `Selection`: `.ranking` is a polars frame, `.headline` its first line, and
`.warnings` everything that limits the trust in it. `docs/guide/python.md` shows the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlmsel.api.evaluate import evaluate
    from vlmsel.api.measure import measure
    from vlmsel.api.select import select
    from vlmsel.api.selection import Selection
    from vlmsel.api.workspace import load_task_catalog as load_tasks
    from vlmsel.api.workspace import open_store
    from vlmsel.selection.registry import selector_classes as selectors
    from vlmsel.zoo.catalog import load_zoo

    __version__: str

__all__ = [
    "Selection",
    "__version__",
    "evaluate",
    "load_tasks",
    "load_zoo",
    "measure",
    "open_store",
    "select",
    "selectors",
]

# Late (PEP 562): importing the package stays free of polars, torch and the rest.
_PLACES = {
    "Selection": ("vlmsel.api.selection", "Selection"),
    "evaluate": ("vlmsel.api.evaluate", "evaluate"),
    "load_tasks": ("vlmsel.api.workspace", "load_task_catalog"),
    "load_zoo": ("vlmsel.zoo.catalog", "load_zoo"),
    "measure": ("vlmsel.api.measure", "measure"),
    "open_store": ("vlmsel.api.workspace", "open_store"),
    "select": ("vlmsel.api.select", "select"),
    "selectors": ("vlmsel.selection.registry", "selector_classes"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("vlmsel")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)

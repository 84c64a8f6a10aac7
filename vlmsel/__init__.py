"""Pick the best pretrained vision-language model for a task from a few unlabelled images."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlmsel.api.selecting import select

__all__ = ["select"]


def __getattr__(name: str) -> Any:
    # Late (PEP 562): importing the package stays free of polars, torch and the rest.
    if name == "select":
        from vlmsel.api.selecting import select

        return select
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

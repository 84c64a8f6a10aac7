"""The selectors, one per file; `vlmsel.selection.registry` finds them by name."""

from vlmsel.selection.selector import Selector

__all__ = ["Selector"]

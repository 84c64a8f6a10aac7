"""The error family: a message says what is wrong, where, and what to do, on one line."""


class VlmselError(Exception):
    """Base of every error that a user can act on; the command line shows it without a traceback."""


class SettingsError(VlmselError):
    """A setting does not exist or cannot have this value."""


class CatalogError(VlmselError):
    """A zoo or task catalog cannot be read or says something impossible."""


class ModelError(VlmselError):
    """A model is unknown, does not fit its weights, or cannot be loaded."""


class TaskError(VlmselError):
    """A task's images or labels are missing or unreadable."""


class UnavailableError(TaskError):
    """Images or weights cannot be read now, for a reason that may pass."""


class ImageError(VlmselError):
    """One image cannot be decoded within the limits."""


class AttributionError(VlmselError):
    """An attribution cannot be computed or would not mean anything."""


class MemoryLimitError(AttributionError):
    """Not even one image fits into the memory that there is."""


class StoreError(VlmselError):
    """The store cannot be read or written, or holds something else than asked for."""


class RowsError(StoreError):
    """Rows are none of their kind: the fault of what made them, not of the store."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached now, for a reason that may pass."""


class SelectionError(VlmselError):
    """A ranking cannot be made from what is known."""


class ExecutionError(VlmselError):
    """The work cannot be placed or did not finish."""


class TrackingError(VlmselError):
    """The tracking server cannot be reached or refused a run."""


def first_line(error: BaseException, longest: int | None = None) -> str:
    """First line of an error's message, cut to `longest` characters; its class without one."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:longest]


def one_line(error: BaseException, longest: int | None = None) -> str:
    """Return an error's whole message on one line, cut to `longest` characters."""
    return " ".join(str(error).split())[:longest]

"""The small real things of tests/execution: two demo models, three folders of drawn images."""

from tests.execution.conftest import (
    _own_caches,  # noqa: F401
    profile,  # noqa: F401
    settings,  # noqa: F401
    store,  # noqa: F401
    tasks,  # noqa: F401
    wants,  # noqa: F401
    zoo,  # noqa: F401
)

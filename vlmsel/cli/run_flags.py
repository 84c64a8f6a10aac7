"""The options that every measuring command takes, declared once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from vlmsel.cli import options as o
from vlmsel.execution.options import RunOptions


@dataclass(frozen=True)
class RunFlags:
    """How a run is done, as the command line says it."""

    executor: o.ExecutorOption = o.Executor.local
    device: o.Device = None
    max_memory: o.MaxMemory = None
    workers: o.Workers = None
    address: o.Address = None
    n_gpus: o.Gpus = 0
    threads: o.Threads = 1
    log_level: o.LogLevelOption = o.LogLevelChoice.warning
    verify: o.Verify = True
    retry_failed: o.RetryFailed = False
    deadline: o.Deadline = None
    patience: o.Patience = o.PATIENCE_S

    def options(self) -> RunOptions:
        """Options of a run; one that belongs to the other executor is refused."""
        from vlmsel.cli.running import run_options

        return run_options(self)


def takes_run_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `RunFlags`; it receives them as its parameter `flags`."""
    names = {one.name for one in fields(RunFlags)}

    @functools.wraps(command)
    def wrapper(**said: Any) -> None:
        flags = RunFlags(**{name: said.pop(name) for name in names})
        command(**said, flags=flags)

    hints = get_type_hints(RunFlags, include_extras=True)
    own = [p for name, p in inspect.signature(command).parameters.items() if name != "flags"]
    shared = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=one.default,
            annotation=hints[one.name],
        )
        for one in fields(RunFlags)
    ]
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    signature = inspect.Signature([*keyword, *shared])
    wrapper.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    wrapper.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items()
    }
    return wrapper

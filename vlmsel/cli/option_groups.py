"""Groups of options that several commands take, each declared once."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from vlmsel.cli import options as o
from vlmsel.errors import SettingsError
from vlmsel.execution.plan.limits import Limits
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.work.logs import log_json_lines

if TYPE_CHECKING:
    from vlmsel.cli.wanted_kinds import MeasurementOptions


HOUR_S = 3600.0


@dataclass(frozen=True)
class RunFlags:
    """Options of a run, as the command line says them."""

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
    max_hours: o.MaxHours = None
    price: o.Price = None

    def options(self) -> RunOptions:
        """Return the options of a run; one that belongs to the other executor is refused.

        The workers of the local executor are this process, so their log lines begin here.
        """
        level = self.log_level
        is_loud = level in (o.LogLevelChoice.info, o.LogLevelChoice.debug)
        if self.executor is o.Executor.local and is_loud:
            log_json_lines(level.value)
        elif self.executor is o.Executor.local:
            logging.getLogger("vlmsel").setLevel(level.value.upper())
        return RunOptions(
            executor=self.executor.value,
            device=self.device,
            max_memory_gb=self.max_memory,
            n_workers=self.workers,
            address=self.address,
            n_gpus=self.n_gpus,
            threads=self.threads,
            log_level=level.value,
            retry_failed=self.retry_failed,
            verify=self.verify,
            limits=Limits(
                self.deadline,
                self.patience,
                None if self.max_hours is None else self.max_hours * HOUR_S,
            ),
        )


@dataclass(frozen=True)
class WantFlags:
    """Measurements, models and tasks that are wanted, as the command line says them."""

    store: o.Store = o.DEFAULT_STORE
    zoo: o.ZooSource = None
    tasks: o.TaskSource = None
    n_images: o.Images = None
    preset: o.PresetOption = None
    attribution: o.AttributionOption = None
    setting: o.SettingOption = None

    @property
    def in_full(self) -> bool:
        """True if nothing is left for the store's memory to say."""
        settings = self.preset or self.attribution or self.setting
        return bool(self.zoo and self.tasks and self.n_images and settings)

    def read(
        self, kinds: Iterable[str], *, counted: Iterable[str] | None = None
    ) -> "MeasurementOptions":
        """Read the measurements and numbers of images (`vlmsel.cli.wanted_kinds.read_wants`)."""
        from vlmsel.cli.wanted_kinds import read_wants

        return read_wants(
            kinds,
            preset=self.preset,
            attribution=self.attribution,
            setting=self.setting,
            n_images=self.n_images,
            counted=counted,
        )


def takes_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command's parameters that are groups of options stand for the options themselves.

    The options take the place of their group, so a command's signature is the order of its help.
    """
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            parameters += _options_of(parameter.annotation)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        flags = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        _refuse_price(flags.values(), is_forecast=bool(values.get("dry_run")))
        command(**values, **flags)

    signature = inspect.Signature(parameters)
    wrapper.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    wrapper.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items()
    }
    return wrapper


def _refuse_price(groups: Iterable[object], *, is_forecast: bool) -> None:
    """Refuse a price where nothing is forecast.

    Raises:
        SettingsError: one was given.
    """
    has_price = any(isinstance(group, RunFlags) and group.price is not None for group in groups)
    if has_price and not is_forecast:
        raise SettingsError("--price is for the forecast of a measuring command: add --dry-run")


def _options_of(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]

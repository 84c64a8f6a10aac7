"""Options that several commands share, declared once."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vlmsel.addresses import absolute_path, output_address
from vlmsel.errors import SettingsError, StoreError
from vlmsel.settings import AttributionSettings

DEFAULT_STORE = ".vlmsel/store"


class Executor(StrEnum):
    """The place where the work runs."""

    local = "local"
    ray = "ray"


class LogLevelChoice(StrEnum):
    """Level of the workers' log; the values of `execution.plan.run_options.LogLevel`."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class Preset(StrEnum):
    """A named set of attribution settings."""

    default = "default"
    paper = "paper"


class AttributionChoice(StrEnum):
    """Method that scores a block; the values of `settings.Attribution`."""

    conductance = "conductance"
    gradient = "gradient"
    gradient_x_activation = "gradient_x_activation"


# Settings of the measurements beside profiles; `vlmsel.measurements` has them, this stays light.
OTHER_SETTINGS = ("logits", "options", "layer", "tower", "part")


def store_address(address: str) -> str:
    """The store of an option, seen from the folder in which the command was typed."""
    return output_address(address, "store", StoreError)


def input_file(path: str | Path) -> Path:
    """A local file that is read."""
    return absolute_path(path, "the file", SettingsError)


def output_path(path: str | Path) -> Path:
    """A local file or folder that is written."""
    place = output_address(path, "the output", SettingsError)
    return absolute_path(place, "the output", SettingsError)


def _ray_address(address: str | None) -> str | None:
    if address is not None and not address.strip():
        raise SettingsError("--address is empty: leave it out for RAY_ADDRESS or a cluster here")
    return address


_HOW = "How to measure"
_WHERE = "Where to run"
_FAILURES = "When something fails"
_LOG = "Where to log"

Store = Annotated[
    str,
    typer.Option(
        "--store",
        parser=store_address,
        metavar="TEXT",
        envvar="VLMSEL_STORE",
        help="Folder or s3:// or gs:// address of what is measured.",
    ),
]
ZooSource = Annotated[
    str | None,
    typer.Option(
        "--zoo",
        help="Model catalog (YAML), a shipped one (demo, demo-vlm, paper), or a folder with one "
        "saved model. Default: the one of the store's last run.",
    ),
]
TaskSource = Annotated[
    str | None,
    typer.Option(
        "--tasks",
        help="Task catalog (YAML), or a shipped one (demo, demo-vlm). Default: the one of the "
        "store's last run.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout, for programs.")]
ExecutorOption = Annotated[
    Executor,
    typer.Option("--executor", help="This process, or Ray actors.", rich_help_panel=_WHERE),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1 ... Default: a GPU if any.", rich_help_panel=_WHERE),
]


def _positive(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a number of gigabytes above 0")
    return value


MaxMemory = Annotated[
    float | None,
    typer.Option(
        "--max-memory",
        help="Gigabytes the attribution may take; work is split, results do not change.",
        callback=_positive,
        rich_help_panel=_WHERE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Ray actors at most.", rich_help_panel=_WHERE),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        callback=_ray_address,
        help="Ray cluster, such as HEAD:6379. Default: RAY_ADDRESS, the "
        "surrounding job's, or one started on this machine for the time of the run.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Gpus = Annotated[
    int,
    typer.Option(
        "--n-gpus",
        min=0,
        help="GPUs to ask an autoscaling cluster for; 0 takes what is there.",
        rich_help_panel=_WHERE,
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        min=1,
        help="Torch threads of a worker, and on Ray its CPUs. Values may differ by rounding.",
        rich_help_panel=_WHERE,
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify/--no-verify",
        help="Hash what is stored first; corrupt files are set aside and measured again. Without, "
        "a large store far away is planned in a listing.",
        rich_help_panel=_WHERE,
    ),
]
LogLevelOption = Annotated[
    LogLevelChoice,
    typer.Option(
        "--log-level",
        envvar="VLMSEL_LOG_LEVEL",
        help="Of the workers. On Ray each writes JSON lines: at warning one per failure, at info "
        "one per cell; here JSON lines begin at info.",
        rich_help_panel=_WHERE,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would be measured, and its cost.")
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--n-images",
        metavar="N|all|KIND=N",
        help="Images per task. 25, 50, 100, 200 ... share their shards: more measures the new "
        "ones only. Default: 25 for profiles, else all, or those of the store's last run.",
        rich_help_panel=_HOW,
    ),
]
LabelFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="[TASK=]FILE",
        help="CSV with the columns image (its id) and label (a class name); wins over labels of "
        "folders, members or a column. TASK= where the catalog has several.",
        rich_help_panel=_HOW,
    ),
]
PresetOption = Annotated[
    Preset | None,
    typer.Option(
        "--preset",
        help="Settings by name; paper is the published setting (50 steps, slower). "
        "Default: those of the store's last run.",
        rich_help_panel=_HOW,
    ),
]
AttributionOption = Annotated[
    AttributionChoice | None,
    typer.Option(
        "--attribution",
        help="How blocks are scored. Default: conductance, or that of the store's last run.",
        rich_help_panel=_HOW,
    ),
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other setting of a measurement, e.g. --set n_steps=32; keys: "
        + ", ".join(dict.fromkeys((*AttributionSettings.model_fields, *OTHER_SETTINGS)))
        + ".",
        rich_help_panel=_HOW,
    ),
]
AllowFailures = Annotated[
    int,
    typer.Option(
        "--allow-failures",
        min=0,
        help="Exit with 0 although up to this many cells or images failed, now or before.",
        rich_help_panel=_FAILURES,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Try again what failed in an earlier run.",
        rich_help_panel=_FAILURES,
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        "--deadline",
        help="Seconds that a cell may take before its worker is killed and it is tried again, "
        "thrice that where the model is loaded. Default: ten minutes and ten times what is "
        "expected.",
        rich_help_panel=_FAILURES,
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        help="Seconds over which a fault that may pass (a disk or network that is away) is tried "
        "again.",
        rich_help_panel=_FAILURES,
    ),
]
PATIENCE_S = 300.0


def _above_zero(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a number above 0")
    return value


MaxHours = Annotated[
    float | None,
    typer.Option(
        "--max-hours",
        callback=_above_zero,
        help="Hand out nothing more after so many hours, finish what is out, and stop with exit "
        "code 1; the same command goes on from there.",
        rich_help_panel=_WHERE,
    ),
]
Price = Annotated[
    float | None,
    typer.Option(
        "--price",
        callback=_above_zero,
        help="Money per hour of a GPU (without GPUs: of a CPU core), for the forecast of "
        "--dry-run.",
        rich_help_panel=_WHERE,
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow tracking URI. Default: a sqlite database beside the store.",
        rich_help_panel=_LOG,
    ),
]
Experiment = Annotated[
    str,
    typer.Option(
        "--experiment", help="MLflow experiment; made when missing.", rich_help_panel=_LOG
    ),
]
DEFAULT_EXPERIMENT = "vlmsel"
Imported = Annotated[
    bool,
    typer.Option("--imported", help="Use the published tables imported into the store."),
]
SelectorNames = Annotated[
    list[str] | None,
    typer.Option("--selector", help="Selector name; may be given more than once."),
]

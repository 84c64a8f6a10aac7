"""``--dry-run``: what would be measured, where, and what it would take."""

from collections.abc import Callable
from dataclasses import asdict, replace

import polars as pl

from vlmsel.cli.views.console import emit_json, say, show_table, warn
from vlmsel.cli.views.run_progress import duration
from vlmsel.execution.plan.forecast import Forecast, add_requested_gpus, forecast, this_machine
from vlmsel.execution.plan.placement import Resources
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan, describe_plan
from vlmsel.execution.run import cluster_supply
from vlmsel.zoo.footprints import footprint

HOUR_S, GB = 3600.0, 1e9


def dry_run(
    options: RunOptions,
    make_plan: Callable[[RunOptions], Plan],
    *,
    as_json: bool,
    price: float | None = None,
) -> None:
    """Show a plan without doing it.

    The store is left as it is: its files are not hashed, and corrupt ones not set aside. On Ray the
    cluster is asked what it has, so that a demand that it can never meet is an error here already.

    Args:
        options: of the run.
        make_plan: how to make the plan.
        as_json: write JSON.
        price: money per hour of a GPU, or of a CPU core where there is none.

    Raises:
        ExecutionError: there is no cluster, or it cannot give what a model needs.
    """
    supply, options = _supply(replace(options, verify=False))
    plan = make_plan(options)
    cost = _forecast(plan, supply, options)
    if as_json:
        emit_json({**_document(plan, cost, supply), **_needs(plan, cost, supply, price)})
    else:
        _show(plan, cost, supply)
        _show_needs(_needs(plan, cost, supply, price))


def _needs(
    plan: Plan, cost: Forecast, supply: Resources, price: float | None
) -> dict[str, float | int | None]:
    """Downloads, memory, hours and money that a plan is expected to take."""
    found = {work.name: footprint(work.spec) for work in plan.work}
    downloads = [need.download for need in found.values()]
    memory = [need.memory for need in found.values() if need.memory is not None]
    hours = (cost.gpu_s if supply.gpus else cost.cpu_s) / HOUR_S
    return {
        "download_bytes": sum(size for size in downloads if size is not None),
        "download_unknown": sum(size is None for size in downloads),
        "weights_bytes_largest": max(memory, default=None),
        "gpu_hours": hours if supply.gpus else 0.0,
        "cpu_hours": 0.0 if supply.gpus else hours,
        "money": None if price is None else hours * price,
    }


def _show_needs(needs: dict[str, float | int | None]) -> None:
    unknown = needs["download_unknown"]
    more = f" (of {unknown} model(s) the size is not known)" if unknown else ""
    largest = needs["weights_bytes_largest"]
    memory = "" if largest is None else f"; weights of the largest model: {largest / GB:.2f} GB"
    say(f"to download: {(needs['download_bytes'] or 0) / GB:.2f} GB{more}{memory} in fp32")
    kind = "GPU" if needs["gpu_hours"] else "CPU"
    hours = needs["gpu_hours"] or needs["cpu_hours"] or 0.0
    if needs["money"] is not None:
        say(f"{hours:.2f} {kind} hours cost about {needs['money']:.2f} at the given price")
    else:
        say(f"{hours:.2f} {kind} hours; --price MONEY per hour of a {kind} says what they cost")


def _supply(options: RunOptions) -> tuple[Resources, RunOptions]:
    """Look up the resources, and options that make the plan's estimates fit them."""
    if options.executor == "local":
        from vlmsel.execution.work.device import best_device, check_device

        device = check_device(options.device or best_device())
        return this_machine(device, threads=options.threads), replace(options, device=device)
    supply = add_requested_gpus(cluster_supply(options), options.n_gpus, threads=options.threads)
    return supply, replace(options, n_gpus=supply.gpus)


def _forecast(plan: Plan, supply: Resources, options: RunOptions) -> Forecast:
    limit = 1 if options.executor == "local" else options.n_workers
    return forecast(plan, supply, threads=options.threads, n_workers=limit)


def _table(plan: Plan, cost: Forecast) -> pl.DataFrame:
    names = pl.DataFrame(
        [(*name.split("/", 1), demand.cpus, demand.gpus) for name, demand in cost.demands.items()],
        schema={
            "model": pl.String,
            "pretrained": pl.String,
            "cpus": pl.Float64,
            "gpus": pl.Float64,
        },
        orient="row",
    )
    return describe_plan(plan).join(
        names, on=["model", "pretrained"], how="left", maintain_order="left"
    )


def _document(plan: Plan, cost: Forecast, supply: Resources) -> dict[str, object]:
    return {
        "plan": _table(plan, cost),
        "estimated_s": plan.seconds,
        "estimated_gpu_s": cost.gpu_s,
        "estimated_cpu_s": cost.cpu_s,
        "estimated_wall_s": cost.wall_s,
        "guessed": sorted(plan.guessed & cost.demands.keys()),
        "workers": cost.workers,
        "supply": str(supply),
        "faults": [asdict(fault) for fault in plan.faults],
        "failed_before": [asdict(failure) for failure in plan.earlier],
    }


def _show(plan: Plan, cost: Forecast, supply: Resources) -> None:
    table = _table(plan, cost)
    if not supply.gpus:
        table = table.drop("gpus")
    show_table(table, title=f"plan of {plan.job.name}, longest work first", decimals=1)
    for fault in plan.faults:
        warn(f"left out: {fault}")
    say(
        f"{plan.n_missing} cells to measure, {plan.n_measured} measured, "
        f"{plan.n_failed_before} failed before"
    )
    kind, seconds = ("GPU", cost.gpu_s) if supply.gpus else ("CPU", cost.cpu_s)
    say(
        f"about {duration(seconds)} of {kind} time; at best {duration(cost.wall_s)} "
        f"with {cost.workers} worker(s) on {supply}"
    )
    guessed = plan.guessed & cost.demands.keys()
    if guessed:
        warn(
            f"the time of {len(guessed)} of {len(cost.demands)} model(s) is a guess from their "
            "size, often wrong several times over: nothing like it was timed in this store yet"
        )

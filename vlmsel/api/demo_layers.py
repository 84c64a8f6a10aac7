"""Heatmap of silenced layers for the demo: an embedded generative model on drawn questions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from vlmsel.api.layers import interaction_figure, read_answers, task_vectors
from vlmsel.api.workspace import Workspace, open_workspace
from vlmsel.demo.demo_questions import demo_question
from vlmsel.demo.question_bundle import write_demo_questions
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements.knockout import Knockout
from vlmsel.report.inputs import ReportStudy
from vlmsel.store import Store
from vlmsel.zoo.catalog import Zoo
from vlmsel.zoo.layer_name import TOWERS, Tower

MODEL, PRETRAINED = "demo-vlm-scenes", "demo"
TASKS = (
    "counting",
    "counting-noise",
    "counting-dim",
    "directions",
    "directions-noise",
    "colours",
    "colours-noise",
    "shapes",
)
N_ITEMS = 50

Runner = Callable[[Plan, Store, RunOptions, str], RunSummary]


def explain_lack() -> str | None:
    """Say in one line why there can be no heatmap of a generative model; None where there can."""
    if find_spec("transformers") is not None:
        return None
    return (
        "no heatmap of a generative model in the report: transformers is not installed "
        "(pip install 'vlmsel[transformers]')"
    )


def study_layers(
    folder: Path,
    options: RunOptions,
    run: Runner,
    *,
    names: Sequence[str] = TASKS,
    n_items: int = N_ITEMS,
) -> ReportStudy:
    """Silence every layer of both towers on a few questions, and draw what that does.

    Args:
        folder: for questions and store; what is there already is not made again.
        options: of the run.
        run: does a plan and shows its progress.
        names: of the demo's tasks of questions.
        n_items: questions per task.

    Raises:
        StoreError: nothing could be measured.
    """
    catalog = write_demo_questions(
        folder / "questions", [demo_question(name) for name in names], n_items=n_items
    )
    store = str(folder / "layers-store")
    for tower in TOWERS:
        workspace = _open(store, str(catalog), tower)
        workspace.remember()
        what = f"silenced {tower} layers of {MODEL}"
        run(workspace.plan(["knockout"], options), workspace.store, options, what)
    found = task_vectors(read_answers(_open(store, str(catalog), TOWERS[0])))
    figure = interaction_figure(found, (MODEL, PRETRAINED))
    best = found.vectors.sort("delta", descending=True).row(0, named=True)
    return ReportStudy(
        title="Which layers get in the way of a generative model",
        text=(
            f"{MODEL}, a small generative model that comes with vlmsel, answers multiple-choice "
            f"questions about {n_items} drawn pictures per task while one layer after the other "
            "is silent. Red: the layer is needed; blue: the answers are better without it. The "
            f"largest change of {found.vectors.height} is {100 * best['delta']:+.0f} points "
            f"({best['task']} without {best['layer']}); the largest of many is optimistic: vlmsel "
            "layers adapt tells what holds on items that a layer was not chosen on."
        ),
        figure=figure,
        alt=f"Heatmap: change of accuracy by task and silenced layer of {MODEL}",
        command=f"vlmsel layers vectors --store {store}",
    )


def _open(store: str, catalog: str, tower: Tower) -> Workspace:
    """The store with the knockouts of one tower wanted, of one model."""
    workspace = open_workspace(
        store,
        zoo="demo-vlm",
        tasks=catalog,
        measurements={"knockout": Knockout(tower=tower)},
        n_images={"knockout": None},
    )
    return replace(workspace, zoo=Zoo(models=(workspace.zoo.find(MODEL),)))

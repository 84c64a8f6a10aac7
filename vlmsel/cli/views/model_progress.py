"""Progress of every model of a run: cells and tasks that are done, and cells that failed."""

from collections import Counter
from dataclasses import dataclass, field

from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan

ModelKey = tuple[str, str]


@dataclass
class ModelPace:
    """Progress of one model.

    Attributes:
        name: `model/pretrained`.
        task: of the last cell.
        done: cells that are settled.
        failed: cells among them that failed.
    """

    name: str
    task: str = ""
    done: int = 0
    failed: int = 0
    _cells: Counter[str] = field(default_factory=Counter)
    _left: Counter[str] = field(default_factory=Counter)

    def expect(self, task: str, cells: int) -> None:
        """Add cells of a task that are to be settled."""
        self._cells[task] += cells
        self._left[task] += cells

    def settle(self, outcome: CellOutcome) -> None:
        """Count one more cell."""
        self.task = outcome.cell.task
        self.done += 1
        self.failed += outcome.status == "failed"
        self._left[self.task] -= 1

    @property
    def cells(self) -> int:
        """Cells in all."""
        return self._cells.total()

    @property
    def is_done(self) -> bool:
        """True if every cell is settled."""
        return self.done >= self.cells

    @property
    def counts(self) -> str:
        """Such as ``3/8 cells, 1/4 tasks, 1 failed``."""
        n_done = sum(remaining <= 0 for remaining in self._left.values())
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done}/{self.cells} cells, {n_done}/{len(self._cells)} tasks{failed}"


def add_plan(paces: dict[ModelKey, ModelPace], plan: Plan) -> None:
    """Add the work of a plan to the models' progress."""
    for work in plan.work:
        key = (work.spec.model, work.spec.pretrained)
        pace = paces.setdefault(key, ModelPace(work.name))
        for unit in work.units:
            pace.expect(unit.shard.task, len(unit.cells))

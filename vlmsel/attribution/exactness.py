"""Distance of attribution settings from the converged value, and their cost.

Everything is measured on profiles normalised to one: the L1 distance sum_l |p_l - q_l|, between 0
and 2, to a reference with so many steps that more change nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from vlmsel.attribution.adaptive import SCAN_ROUNDS
from vlmsel.attribution.block_scores import LayerConductance, profile_distance
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.path import quadrature
from vlmsel.settings import AttributionSettings

REFERENCE_STEPS = 257
FORWARD_COST = 0.5  # of a gradient evaluation: frozen parameters make backward as dear as forward


@dataclass(frozen=True)
class Case:
    """A model and images to study; it satisfies `vlmsel.attribution.model_attribution.ImageModel`.

    Attributes:
        name: shown in tables.
        family: kind of architecture, for grouping.
        visual: visual encoder in eval mode.
        encode_image: (B, 3, H, W) -> (B, D).
        images: (N, 3, H, W), preprocessed.
    """

    name: str
    family: str
    visual: nn.Module
    encode_image: Callable[[Tensor], Tensor]
    images: Tensor


@dataclass(frozen=True)
class Record:
    """One setting measured on one case.

    Attributes:
        case: name of the case.
        family: its family.
        kind: `steps` (same target by another rule, path or number of steps), `target` (another
            baseline, attribution or objective, by its own converged value), `baseline` (the default
            steps from another baseline, against that one's converged value), `precision`, or
            `reference` (the reference with half its steps).
        setting: what was chosen, `rule/path/n_steps` for `steps`.
        cost: gradient evaluations per image; a forward pass alone counts half.
        mean: L1 distance to what `kind` says, mean over images.
        worst: the same, largest over images.
        task: L1 distance of the profiles averaged over the images, as a task profile is.
        step_error: largest estimated error, NaN where there is no estimate.
        completeness_error: largest over images.
    """

    case: str
    family: str
    kind: str
    setting: str
    cost: float
    mean: float
    worst: float
    task: float
    step_error: float
    completeness_error: float


def converged(n_steps: int = REFERENCE_STEPS, **changes: object) -> AttributionSettings:
    """The reference: adaptive trapezoid with many steps, with other fields changed."""
    fields = {"rule": "trapezoid", "path": "adaptive", "n_steps": n_steps}
    return AttributionSettings.model_validate({**fields, **changes})


def step_settings() -> tuple[AttributionSettings, ...]:
    """The rules, paths and numbers of steps that are compared."""
    grid = {
        ("captum", "uniform"): (9, 17, 33, 50),
        ("left", "uniform"): (9, 17, 33),
        ("right", "uniform"): (9, 17, 33),
        ("midpoint", "uniform"): (5, 9, 17),
        ("trapezoid", "uniform"): (3, 5, 9, 17, 33),
        ("trapezoid", "graded"): (3, 5, 9, 17, 33),
        ("midpoint", "adaptive"): (5, 9, 17),
        ("trapezoid", "adaptive"): (3, 5, 9, 17, 33),
        ("refined", "uniform"): (5, 9),
        ("refined", "graded"): (5, 9),
        ("refined", "adaptive"): (3, 5, 7, 9),
    }
    return tuple(
        AttributionSettings.model_validate({"rule": rule, "path": path, "n_steps": n})
        for (rule, path), steps in grid.items()
        for n in steps
    )


OTHER_BASELINES = ("mean-image", "blur")
OTHER_TARGETS = (
    ("objective", "entropy"),
    ("objective", "variance"),
    ("attribution", "gradient"),
    ("attribution", "gradient_x_activation"),
)


@dataclass(frozen=True)
class SettingsGrid:
    """Settings that are measured on every case.

    Attributes:
        steps: of every rule and path.
        baselines: other than the default.
        targets: other definitions, each a field and its value.
        reference_steps: of the converged values.
    """

    steps: tuple[AttributionSettings, ...] = field(default_factory=step_settings)
    baselines: tuple[str, ...] = OTHER_BASELINES
    targets: tuple[tuple[str, str], ...] = OTHER_TARGETS
    reference_steps: int = REFERENCE_STEPS

    @property
    def n_records(self) -> int:
        """Count the measurements that `study` makes of one case."""
        return 1 + len(self.steps) + 2 * len(self.baselines) + len(self.targets) + 1


FULL_GRID = SettingsGrid()


def study(case: Case, grid: SettingsGrid = FULL_GRID) -> Iterator[Record]:
    """All measurements of one case, one after the other.

    Args:
        case: model and images.
        grid: what is measured.

    Raises:
        AttributionError: the case cannot be measured at all.
    """
    n_steps = grid.reference_steps
    reference = _scores(case, converged(n_steps))
    half = _scores(case, converged(n_steps // 2 + 1))
    yield _record(case, "reference", f"{n_steps // 2 + 1} steps", half, reference)
    for settings in grid.steps:
        found = attribute(case, case.images, settings)
        name = f"{settings.rule}/{settings.path}/{settings.n_steps}"
        yield _record(case, "steps", name, found, reference, cost=cost(settings, found))
    for baseline in grid.baselines:
        target = _scores(case, converged(n_steps, baseline=baseline))
        yield _record(case, "target", f"baseline {baseline}", target, reference)
        settings = AttributionSettings.model_validate({"baseline": baseline})
        found = attribute(case, case.images, settings)
        name = f"default from {baseline}"
        yield _record(case, "baseline", name, found, target, cost=cost(settings, found))
    for name, value in grid.targets:
        target = _scores(case, converged(n_steps, **{name: value}))
        yield _record(case, "target", f"{name} {value}", target, reference)
    settings = AttributionSettings(precision="bf16")
    found = attribute(case, case.images, settings)
    yield _record(case, "precision", "bf16", found, reference, cost=cost(settings, found))


def cost(settings: AttributionSettings, found: LayerConductance) -> float:
    """Gradient evaluations per image, mean over images; passes without gradient count half."""
    rule = quadrature(settings.rule, settings.n_steps)
    forwards = len(rule.points) - rule.n_gradients
    if settings.path == "adaptive":
        forwards += 2 + sum(SCAN_ROUNDS)
    return float(found.n_gradients.double().mean()) + FORWARD_COST * forwards


def _scores(case: Case, settings: AttributionSettings) -> LayerConductance:
    return attribute(case, case.images, settings)


def _record(
    case: Case,
    kind: str,
    setting: str,
    found: LayerConductance,
    reference: LayerConductance,
    *,
    cost: float = float("nan"),
) -> Record:
    distance = profile_distance(found.scores, reference.scores)
    task = profile_distance(found.scores.mean(0)[None], reference.scores.mean(0)[None])
    return Record(
        case=case.name,
        family=case.family,
        kind=kind,
        setting=setting,
        cost=cost,
        mean=float(distance.mean()),
        worst=float(distance.max()),
        task=float(task),
        step_error=float(found.step_error.max()),
        completeness_error=float(found.completeness_error.max()),
    )

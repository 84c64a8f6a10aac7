"""Linear regression of accuracy minus its task's mean on features, as ModelGPT fits it."""

from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError


@dataclass(frozen=True, eq=False)
class FeatureFit:
    """A fitted regression.

    Attributes:
        used: (F,) of booleans, features that are known and vary.
        coefficients: (F,), 0 for features that are not used.
        intercept: the constant.
    """

    used: np.ndarray
    coefficients: np.ndarray
    intercept: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict accuracy minus the task's mean: (..., F) in, (...) out; NaN where unknown."""
        return features[..., self.used] @ self.coefficients[self.used] + self.intercept


def fit_features(
    features: np.ndarray, accuracy: np.ndarray, *, usable: np.ndarray | None = None
) -> FeatureFit:
    """Fit by least squares over all models and tasks.

    Args:
        features: (models, tasks, F), NaN where unknown; a model and task is used where all usable
            features are known.
        accuracy: (models, tasks), NaN where unknown.
        usable: (F,) of booleans, features that may be used; all by default.

    Raises:
        SelectionError: there are fewer models and tasks than features to fit.
    """
    known = np.isfinite(accuracy)
    count = np.maximum(known.sum(axis=0), 1)
    centred = accuracy - np.where(known, accuracy, 0.0).sum(axis=0) / count
    allowed = np.ones(features.shape[-1], dtype=bool) if usable is None else usable
    allowed = allowed & np.isfinite(features).any(axis=(0, 1))
    whole = known & np.isfinite(features[..., allowed]).all(axis=-1)
    rows, y = features[whole], centred[whole]
    spread = np.zeros(len(allowed))
    if len(rows):
        spread[allowed] = rows[:, allowed].std(axis=0)
    used = allowed & (spread > 1e-12)
    if len(rows) < used.sum() + 2 or not used.any():
        raise SelectionError(
            f"{len(rows)} pairs of a model and a source task with features and accuracy are too "
            f"few to fit {used.sum()} features; measure more source tasks"
        )
    centre, scale = rows[:, used].mean(axis=0), spread[used]
    design = np.column_stack([np.ones(len(rows)), (rows[:, used] - centre) / scale])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    coefficients = np.zeros(len(allowed))
    coefficients[used] = solution[1:] / scale
    return FeatureFit(used, coefficients, float(solution[0] - centre @ coefficients[used]))

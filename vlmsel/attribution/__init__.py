"""Block scores of a visual encoder: how much of its objective flows through every block.

    images -> path (points, quadrature) -> conductance (all blocks at once) -> checks -> scores

`objective` says what is attributed, `path` where the gradients are taken and how they are summed,
`recorder` runs one point of the path, `conductance` adds the points up, `memory` bounds what is
held at once, `numerics` refuses values that mean nothing, `profile` is the way in for a loaded
model, and `study` measures how exact all of this is.
"""

from vlmsel.attribution.conductance import (
    LayerConductance,
    gradient,
    gradient_x_activation,
    layer_conductance,
)
from vlmsel.attribution.objective import make_objective
from vlmsel.attribution.profile import attribute

__all__ = [
    "LayerConductance",
    "attribute",
    "gradient",
    "gradient_x_activation",
    "layer_conductance",
    "make_objective",
]

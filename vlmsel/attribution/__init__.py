"""Block scores of a visual encoder: how much of its objective flows through every block.

    images -> path (points, quadrature) -> conductance (all blocks at once) -> checks -> scores

`objective` says what is attributed, `pair` where that is a score of an image against a text, and
`subject` holds either with its input and blocks. `path` says where gradients are taken and how they
are summed, and `adaptive` finds where that matters. `recorder` runs one point of the path,
`integral` adds the points up, `conductance` gives the block scores and refines them. `memory`
bounds what is held at once, `numerics` refuses values that mean nothing, `block_scores` is what
comes out, `model_attribution` the way in for a loaded model, and `exactness` measures how exact all
of this is.
"""

from vlmsel.attribution.block_scores import LayerConductance
from vlmsel.attribution.conductance import gradient, gradient_x_activation, layer_conductance
from vlmsel.attribution.model_attribution import attribute
from vlmsel.attribution.objective import make_objective

__all__ = [
    "LayerConductance",
    "attribute",
    "gradient",
    "gradient_x_activation",
    "layer_conductance",
    "make_objective",
]

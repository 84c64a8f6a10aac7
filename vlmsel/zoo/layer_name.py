"""Names of layers that can be silenced: tower, number and part, ``vision.0`` or ``text.3.mlp``."""

import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from vlmsel.errors import SettingsError

Tower = Literal["vision", "text"]
Part = Literal["block", "attention", "mlp", "branch", "uniform-weights"]

TOWERS: tuple[Tower, ...] = get_args(Tower)
PARTS: tuple[Part, ...] = get_args(Part)
HOW_TO_NAME = (
    "write TOWER.NUMBER or TOWER.NUMBER.PART, such as vision.0 or text.3.attention; towers: "
    f"{', '.join(TOWERS)}; numbers from 0; parts: {', '.join(PARTS)}"
)
# A model's own name may hold an @; what looks like a layer after it is one.
_VARIANT = re.compile(r"(.+)@([a-z]+\.\d.*)")
_NAME = re.compile(r"([a-z]+)\.(0|[1-9][0-9]{0,3})(?:\.([a-z-]+))?")


@dataclass(frozen=True, order=True)
class LayerName:
    """One block of a tower, and which part of it is silenced.

    Attributes:
        tower: vision or text.
        number: of the block, from 0, in the order in which the blocks run.
        part: `block`, all of it (its output is its input); `attention` or `mlp`, that part gives
            zeros; `branch`, the residual branch gives zeros and the shortcut stays, where shapes
            change; `uniform-weights`, every weight of the attention is one over its outputs.
    """

    tower: Tower
    number: int
    part: Part = "block"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name.

        Raises:
            SettingsError: it is no name of a layer; says how to write one.
        """
        found = _NAME.fullmatch(text)
        tower, number, part = found.groups() if found else ("", "0", None)
        if tower not in TOWERS or (part is not None and part not in PARTS):
            raise SettingsError(f"{text!r} names no layer: {HOW_TO_NAME}")
        return cls(cast(Tower, tower), int(number), cast(Part, part or "block"))

    def __str__(self) -> str:
        whole = f"{self.tower}.{self.number}"
        return whole if self.part == "block" else f"{whole}.{self.part}"


def split_variant(model: str) -> tuple[str, str]:
    """The model and the layer's name of ``MODEL@LAYER``; no layer in any other name."""
    found = _VARIANT.fullmatch(model)
    return (found.group(1), found.group(2)) if found else (model, "")

"""One point of the path: the objective, every block's output and every block's gradient."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from vlmsel.errors import AttributionError
from vlmsel.zoo.hooks import hooked

Objective = Callable[[Tensor], Tensor]
Blocks = Sequence[tuple[str, nn.Module]]


@dataclass(frozen=True)
class Parts:
    """Shares of two towers in the input of an objective, which has them as its attribute `parts`.

    Attributes:
        towers: tower of every block, by the block's name.
        rows: rows of a block's output per image, by tower; 1 where not named.
        inputs: by tower, the part of the last input that goes to it.
    """

    towers: Mapping[str, str]
    rows: Mapping[str, int] = field(default_factory=dict)
    inputs: dict[str, Tensor] = field(default_factory=dict)

    def others(self, name: str) -> list[Tensor]:
        """Return the parts of the last input that do not go to a block's tower."""
        return [part for tower, part in self.inputs.items() if tower != self.towers[name]]


def parts_of(objective: Objective) -> Parts | None:
    """Return the parts of an objective's input; None where all of it goes to every block."""
    return getattr(objective, "parts", None)


@dataclass(frozen=True)
class Point:
    """Result of one evaluation of a batch of B images.

    Attributes:
        objective: F, shape (B,), detached.
        activations: per block its output, shape (B, ...), detached.
        gradients: per block dF/dh of the same shape; empty where none were asked for.
        cuts: per block whether every way from the images to F leads through it; empty unless asked.
    """

    objective: Tensor
    activations: list[Tensor]
    gradients: list[Tensor]
    cuts: tuple[bool, ...] = ()


@dataclass
class BlockRecorder:
    """Runs an objective and keeps what its blocks gave.

    One forward pass records all block outputs by hooks, one backward pass gives the gradients of
    all of them. From the second time on the first block's output starts the graph, so what comes
    before is not recorded. A block's output is copied only where the network later writes into it
    in place; this is noticed the first time.
    """

    objective: Objective
    blocks: Blocks
    _outputs: dict[str, Tensor] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    _copied: set[str] = field(default_factory=set)
    _tried: bool = False
    _n_images: int = 0

    def __post_init__(self) -> None:
        names = self.names
        if not names:
            raise AttributionError("no blocks to attribute to: name at least one module")
        if len(set(names)) != len(names):
            raise AttributionError("two blocks have the same name: name each block once")
        training = [name for name, module in self.blocks if module.training]
        if training:
            raise AttributionError(
                f"block {training[0]} is in training mode: call eval() on the model first"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The blocks' names, in order."""
        return tuple(name for name, _ in self.blocks)

    def values(self, images: Tensor) -> Point:
        """Objective and block outputs of `images` (B, ...), without any gradient."""
        with torch.no_grad(), self._hooks(start_at_first=False):
            value = self._evaluate(images)
        if self._find_written():
            return self.values(images)
        return Point(value, self._take(images), [])

    def glimpses(self, images: Tensor, see: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Per block `see` of its output, without any gradient; no two outputs are held at once.

        Args:
            images: input of the objective, (B, ...).
            see: (B, ...) to a tensor of its own memory, no view.

        Raises:
            AttributionError: the blocks do not run once each, in order, giving one tensor.
        """
        with torch.no_grad(), self._hooks(start_at_first=False, see=see):
            self._evaluate(images)
        seen = [self._outputs[name] for name, _ in self.blocks]
        self._outputs.clear()
        return seen

    def gradients(self, images: Tensor, *, find_cuts: bool = False) -> Point:
        """Objective, block outputs and dF/dh of `images` (B, ...).

        Args:
            images: input of the objective.
            find_cuts: also record what comes before the first block and say which blocks cut.
        """
        whole = find_cuts or not self._tried
        images = images.detach().requires_grad_(whole)
        with torch.enable_grad(), self._hooks(start_at_first=not whole):
            value = self._evaluate(images)
        self._tried = True
        if self._find_written():
            return self.gradients(images, find_cuts=find_cuts)
        if not value.requires_grad:
            raise AttributionError(
                "the objective does not depend on the blocks: it must be computed from their "
                "outputs, with gradients"
            )
        outputs = [self._outputs[name] for name, _ in self.blocks]
        cuts = self._cuts(value, outputs, images) if find_cuts else ()
        found = torch.autograd.grad(value.sum(), outputs, materialize_grads=True)
        gradients = [self._fold(name, g) for name, g in zip(self.names, found, strict=True)]
        return Point(value.detach(), self._take(images), gradients, cuts)

    def _find_written(self) -> bool:
        """Tell whether the network wrote into an output not copied; from now on it is copied."""
        written = {n for n, out in self._outputs.items() if out._version != self._versions[n]}
        self._copied |= written
        return bool(written)

    @contextmanager
    def _hooks(
        self, *, start_at_first: bool, see: Callable[[Tensor], Tensor] | None = None
    ) -> Iterator[None]:
        self._outputs.clear()
        self._versions.clear()
        hooks = ((module, self._hook(name, start_at_first, see)) for name, module in self.blocks)
        with hooked(hooks):
            yield

    def _hook(
        self, name: str, start_at_first: bool, see: Callable[[Tensor], Tensor] | None
    ) -> Callable[..., Tensor]:
        def keep(_module: nn.Module, _args: object, _kwargs: object, output: object) -> Tensor:
            if not isinstance(output, Tensor):
                raise AttributionError(
                    f"block {name} gives a {type(output).__name__}, not one tensor: "
                    "choose blocks that give one tensor"
                )
            if name in self._outputs:
                raise AttributionError(f"block {name} runs twice in one forward pass")
            if see is not None:
                self._outputs[name] = see(self._fold(name, output))
                return output
            if start_at_first and not self._outputs:
                output = output.detach().requires_grad_()
            elif torch.is_grad_enabled() and not output.requires_grad:
                output.requires_grad_()
            self._outputs[name] = output
            self._versions[name] = output._version
            return output.clone() if name in self._copied else output

        return keep

    def _evaluate(self, images: Tensor) -> Tensor:
        self._n_images = len(images)
        value = self.objective(images)
        if value.shape != (len(images),):
            raise AttributionError(
                f"the objective gives shape {tuple(value.shape)} for {len(images)} images: "
                "it must give one number per image"
            )
        missing = [name for name, _ in self.blocks if name not in self._outputs]
        if missing:
            raise AttributionError(f"block {missing[0]} did not run in the forward pass")
        for name, ran in zip(self.names, self._outputs, strict=True):
            if name != ran:
                raise AttributionError(
                    f"block {ran} runs before block {name}: list the blocks in forward order"
                )
        return value

    def _take(self, images: Tensor) -> list[Tensor]:
        """The recorded outputs, released, checked to have the images as first dimension."""
        outputs = [self._fold(name, self._outputs[name].detach()) for name in self.names]
        for (name, _), output in zip(self.blocks, outputs, strict=True):
            if output.ndim < 2 or len(output) != len(images):
                raise AttributionError(
                    f"block {name} gives shape {tuple(output.shape)} for {len(images)} images: "
                    "the first dimension must be the images"
                )
        self._outputs.clear()
        return outputs

    def _fold(self, name: str, output: Tensor) -> Tensor:
        """An output of several rows per image as one row per image."""
        parts = parts_of(self.objective)
        rows = 1 if parts is None else parts.rows.get(parts.towers[name], 1)
        if rows == 1 or len(output) != rows * self._n_images:
            return output
        return output.reshape(self._n_images, -1)

    def _cuts(self, value: Tensor, outputs: Sequence[Tensor], images: Tensor) -> tuple[bool, ...]:
        """True if, with one block's output taken away, no way leads from F back to the images.

        Ways through the other tower's part of the input do not count.
        """
        parts = parts_of(self.objective)
        cuts = []
        for name, output in zip(self.names, outputs, strict=True):
            beside = [] if parts is None else parts.others(name)
            barriers = {output.grad_fn, *(part.grad_fn for part in beside)}
            cuts.append(not _reaches(value.grad_fn, barriers, images))
        return tuple(cuts)


def _reaches(start: Node | None, barriers: set[Node | None], leaf: Tensor) -> bool:
    pending = [start]
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if node is None or node in barriers or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", None) is leaf:
            return True
        pending.extend(parent for parent, _ in node.next_functions)
    return False

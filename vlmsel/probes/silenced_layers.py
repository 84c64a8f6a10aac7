"""Every layer of a tower silenced in turn, with the work before the layer done once.

Three ways give the same numbers up to rounding (docs/guide/layers.md, "One forward pass for all
layers"):

    plain     a forward pass for the base and for every layer: L (L + 1) calls of blocks
    resumed   layers before the silenced one give what they gave the base: L + L (L - 1) / 2 calls
    growing   the same calls in one forward pass, whose batch gains one silenced copy per layer

A part smaller than a block needs one more call of that block per layer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vlmsel.errors import ModelError
from vlmsel.zoo.blocks import Blocks
from vlmsel.zoo.hooks import (
    BypassError,
    Forward,
    first_input,
    has_same_shape,
    replace_forward,
    silenced,
)
from vlmsel.zoo.layer_name import Part

Run = Callable[[], Tensor]
# Largest difference between two ways, relative to the largest value, that rounding may make.
TOLERANCE = 1e-4
NOT_RUN = "it does not run in the forward pass"
RESHAPES = "it changes the shape of what it takes: only part branch can be silenced"
# What code that is not made for a grown batch raises.
UNSHARED = (RuntimeError, IndexError, TypeError, ValueError, AssertionError, ModelError)


@dataclass
class Silenced:
    """Outputs of a tower, as it is and with one layer silenced.

    Attributes:
        base: (rows, D), of the tower as it is.
        outputs: by layer number, (rows, D) with that layer silenced.
        reasons: by layer number, why it cannot be silenced.
    """

    base: Tensor
    outputs: dict[int, Tensor] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)


Way = Callable[[Run, Blocks, Part], Silenced]


def plain(run: Run, blocks: Blocks, part: Part) -> Silenced:
    """One hooked forward pass per layer: the reference."""
    found = Silenced(run())
    for number, (_, block) in enumerate(blocks):
        try:
            with silenced(block, part) as seen:
                output = run()
        except BypassError as error:
            found.reasons[number] = str(error)
            continue
        if seen.n_calls:
            found.outputs[number] = output
        else:
            found.reasons[number] = NOT_RUN
    return found


def resumed(run: Run, blocks: Blocks, part: Part) -> Silenced:
    """One forward pass per layer, in which the layers before it only repeat the base's outputs.

    Raises:
        ModelError: a block runs more than once in a forward pass.
    """
    kept: dict[int, Any] = {}
    keeps: dict[int, bool] = {}
    with ExitStack() as stack:
        for number, (_, block) in enumerate(blocks):
            stack.enter_context(replace_forward(block, _keeper(number, kept, keeps)))
        found = Silenced(run())
    for number in range(len(blocks)):
        if number not in kept:
            found.reasons[number] = NOT_RUN
        elif part == "block" and not keeps[number]:
            found.reasons[number] = RESHAPES
        else:
            _resume_at(number, run, blocks, part, kept, found)
    return found


def growing(run: Run, blocks: Blocks, part: Part) -> Silenced:
    """One forward pass whose batch gains, at every layer, a copy of the base without that layer.

    Raises:
        ModelError, or what torch raises: the tower does not take a batch that grows on its way.
    """
    growth = _Growth(part)
    with ExitStack() as stack:
        for number, (_, block) in enumerate(blocks):
            stack.enter_context(replace_forward(block, growth.maker(number, block)))
        output = run()
    for number in set(range(len(blocks))) - set(growth.order) - growth.reasons.keys():
        growth.reasons[number] = NOT_RUN
    if growth.n_rows is None:
        return Silenced(output, {}, growth.reasons)
    if len(output) != growth.n_rows * (1 + len(growth.order)):
        raise ModelError(f"{len(output)} rows came out of a batch that grew to another number")
    base, *others = output.split(growth.n_rows)
    return Silenced(base, dict(zip(growth.order, others, strict=True)), growth.reasons)


def choose_way(run: Run, blocks: Blocks, part: Part, ways: Sequence[Way]) -> Way:
    """The first way that agrees with the plain one, on the base and on one silenced layer.

    Args:
        run: the tower on two rows or more, so that code that expects the first batch size fails.
        blocks: of the tower.
        part: what of a layer is silenced.
        ways: the fastest first; `plain` where none agrees.
    """
    for way in ways:
        try:
            found = way(run, blocks, part)
        except UNSHARED:
            continue
        if not found.outputs:
            if plain(run, blocks, part).outputs:
                continue
            return way
        number = sorted(found.outputs)[len(found.outputs) // 2]
        expected = plain(run, [blocks[number]], part)
        if not expected.outputs:
            continue
        pairs = ((found.base, expected.base), (found.outputs[number], expected.outputs[0]))
        if all(_agree(actual, wanted) for actual, wanted in pairs):
            return way
    return plain


def _agree(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    finite = torch.isfinite(expected)
    if not torch.equal(finite, torch.isfinite(found)):
        return False
    gap = (found - expected)[finite].abs()
    scale = expected[finite].abs()
    return gap.numel() == 0 or bool(gap.max() <= TOLERANCE * scale.max())


def _keeper(number: int, kept: dict[int, Any], keeps: dict[int, bool]) -> Callable[..., Forward]:
    """Keep what the base's block gives."""

    def make(original: Forward) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            if number in kept:
                raise ModelError("a block runs twice in one forward pass")
            given = first_input(args, kwargs)
            output = original(*args, **kwargs)
            keeps[number] = has_same_shape(given, output)
            kept[number] = _copy(output)
            return output

        return forward

    return make


def _resume_at(
    number: int, run: Run, blocks: Blocks, part: Part, kept: dict[int, Any], found: Silenced
) -> None:
    """Silence one layer in a forward pass that repeats what came before it."""

    def repeat(output: Any) -> Callable[..., Forward]:
        # Copied, since the network may write into it.
        return lambda _: lambda *_args, **_kwargs: _copy(output)

    block = blocks[number][1]
    with ExitStack() as stack:
        for earlier in range(number):
            if earlier in kept:
                stack.enter_context(replace_forward(blocks[earlier][1], repeat(kept[earlier])))
        if part == "block":
            stack.enter_context(replace_forward(block, _pass_on(kept[number])))
            found.outputs[number] = run()
            return
        try:
            seen = stack.enter_context(silenced(block, part))
        except BypassError as error:
            found.reasons[number] = str(error)
            return
        output = run()
    if seen.n_calls:
        found.outputs[number] = output
    else:
        found.reasons[number] = NOT_RUN


def _pass_on(output: Any) -> Callable[..., Forward]:
    """A forward that gives what it takes, with the rest of the tuple that the block gave."""

    def make(_original: Forward) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            given = first_input(args, kwargs)
            return (given, *output[1:]) if isinstance(output, tuple) else given

        return forward

    return make


def _copy(output: Any) -> Any:
    if isinstance(output, tuple):
        return (output[0].clone(), *output[1:])
    return output.clone()


class _Growth:
    """A batch on its way through the blocks: the base's rows, then those of each silenced layer.

    Attributes:
        n_rows: of the base; None before the first block.
        order: layers whose rows were added.
        reasons: why the others have none.
    """

    def __init__(self, part: Part) -> None:
        self.n_rows: int | None = None
        self.order: list[int] = []
        self.reasons: dict[int, str] = {}
        self._part: Part = part

    def maker(self, number: int, block: nn.Module) -> Callable[[Forward], Forward]:
        """Make the forward of one block."""

        def make(original: Forward) -> Forward:
            def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
                if self.n_rows is None:
                    self.n_rows = len(x)
                if number in self.order or number in self.reasons:
                    raise ModelError("a block runs twice in one forward pass")
                given = x[: self.n_rows].clone()
                output = original(x, *args, **kwargs)
                if not isinstance(output, Tensor):
                    raise ModelError("a block gives no tensor")
                base = output[: self.n_rows]
                alone = self._run_alone(
                    number, block, given, base, lambda: original(given, *args, **kwargs)
                )
                return output if alone is None else torch.cat([output, alone])

            return forward

        return make

    def _run_alone(
        self, number: int, block: nn.Module, given: Tensor, base: Tensor, run: Run
    ) -> Tensor | None:
        """Output of the block on the base's rows when it is silenced."""
        if self._part == "block":
            if given.shape != base.shape:
                self.reasons[number] = RESHAPES
                return None
            self.order.append(number)
            return given
        with _note_bypass_errors(self.reasons, number), silenced(block, self._part) as seen:
            found = run()
            if seen.n_calls:
                self.order.append(number)
                return found
            self.reasons[number] = NOT_RUN
        return None


@contextmanager
def _note_bypass_errors(reasons: dict[int, str], number: int) -> Iterator[None]:
    try:
        yield
    except BypassError as error:
        reasons[number] = str(error)

"""Hooks on a model's modules: watch what they give, or put something else in its place.

The one place where a module's behaviour is changed: attribution watches blocks here, knockouts and
variants of a model silence them. Whatever happens within a context, the modules are afterwards what
they were before.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vlmsel.errors import ModelError
from vlmsel.zoo.layer_name import Part

Hook = Callable[..., Any]
Forward = Callable[..., Any]

ATTENTION = ("attn", "self_attn", "attention", "token_mixer")
MLP = ("mlp", "feed_forward", "ffn")
# What a residual branch ends with, right before the shortcut is added: timm's and open_clip's.
BRANCH_ENDS = ("drop_path", "drop_path1", "drop_path2")
BOTTLENECK_END = "bn3"
# What BERT's branches end with: the shortcut is added within their last module.
BERT_ATTENTION_END, BERT_MLP_END = "attention.output.dense", "output.dense"


@dataclass
class Silence:
    """State of a silenced block.

    Attributes:
        n_calls: how often its silenced part ran; 0 after a forward pass means that nothing changed.
    """

    n_calls: int = 0


class BypassError(ModelError):
    """A block that cannot be silenced in this way, with the reason."""


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]], *, prepend: bool = False) -> Iterator[None]:
    """Register forward hooks (with keyword arguments) for the time of the context.

    Args:
        hooks: modules, each with what is called after it: (module, args, kwargs, output) -> the
            output in its place, or None.
        prepend: run before hooks that are there already, so that they see what these give; a
            library that collects hidden states by hooks would keep the old ones else.
    """
    with ExitStack() as stack:
        for module, hook in hooks:
            handle = module.register_forward_hook(hook, prepend=prepend, with_kwargs=True)
            stack.callback(handle.remove)
        yield


@contextmanager
def replace_forward(module: nn.Module, make: Callable[[Forward], Forward]) -> Iterator[None]:
    """Let another function stand for a module's forward; hooks on the module still run.

    Args:
        module: whose forward is replaced; one that another library set on it is put back later.
        make: takes the forward that is there, gives the other one.
    """
    previous = module.__dict__.get("forward")
    module.forward = make(module.forward)
    try:
        yield
    finally:
        if previous is None:
            del module.__dict__["forward"]
        else:
            module.forward = previous


@contextmanager
def silenced(block: nn.Module, part: Part) -> Iterator[Silence]:
    """Silence a block, or a part of it, by hooks: the reference for every faster way.

    Raises:
        BypassError: the block has no such part, or gives another shape than it takes.
    """
    seen = Silence()
    if part == "uniform-weights":
        with _uniform_weights(_parts(block, "attention"), seen):
            yield seen
        return
    hook = _return_input(seen) if part == "block" else _return_zeros(seen)
    targets = [block] if part == "block" else _bert_ends(block, part) or _parts(block, part)
    with hooked(((module, hook) for module in targets), prepend=True):
        yield seen


def has_same_shape(given: object, output: object) -> bool:
    """True if a block's output could be its input instead."""
    first = output[0] if isinstance(output, tuple) else output
    return isinstance(given, Tensor) and isinstance(first, Tensor) and given.shape == first.shape


def first_input(args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """Input that a block works on: its first argument, or transformers' `hidden_states`."""
    return args[0] if args else kwargs.get("hidden_states", next(iter(kwargs.values()), None))


def _return_input(seen: Silence) -> Hook:
    def hook(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        given = first_input(args, kwargs)
        if not has_same_shape(given, output):
            raise BypassError(
                f"it takes {_shape(given)} and gives {_shape(output)}: what changes the shape "
                "cannot be bypassed; part branch silences its residual branch"
            )
        seen.n_calls += 1
        return (given, *output[1:]) if isinstance(output, tuple) else given

    return hook


def _return_zeros(seen: Silence) -> Hook:
    def hook(_module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> Any:
        seen.n_calls += 1
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        return torch.zeros_like(output)

    return hook


@contextmanager
def _uniform_weights(modules: list[nn.Module], seen: Silence) -> Iterator[None]:
    """Let every entry of a module's matrices be one over the number of its outputs."""
    matrices = [
        (parameter, 3 if name.endswith("in_proj_weight") or name.endswith("qkv.weight") else 1)
        for module in modules
        for name, parameter in module.named_parameters()
        if parameter.ndim == 2
    ]
    before = [parameter.detach().clone() for parameter, _ in matrices]

    def count(*_: object) -> None:
        seen.n_calls += 1

    try:
        with torch.no_grad():
            for parameter, n_stacked in matrices:
                parameter.fill_(n_stacked / parameter.shape[0])
        with hooked((module, count) for module in modules):
            yield
    finally:
        with torch.no_grad():
            for (parameter, _), values in zip(matrices, before, strict=True):
                parameter.copy_(values)


def _parts(block: nn.Module, part: Part) -> list[nn.Module]:
    """The modules of a block that make a part of it.

    Raises:
        BypassError: it has none.
    """
    if part == "branch":
        found = _branch_ends(block) or _find_named(block, ATTENTION) + _find_named(block, MLP)
    else:
        found = _find_named(block, MLP if part == "mlp" else ATTENTION)
    if not found:
        what = "residual branch" if part == "branch" else part
        raise BypassError(f"a {type(block).__name__} has no {what} that is known by its name")
    return found


def _bert_ends(block: nn.Module, part: Part) -> list[nn.Module]:
    """The last layers of the branches of one of BERT's blocks; none of any other block.

    Its attention adds the shortcut itself, and zeros of the whole would take that away too.
    """
    modules = dict(block.named_modules())
    ends = {"attention": BERT_ATTENTION_END, "mlp": BERT_MLP_END}
    if not all(f"{end.removesuffix('dense')}LayerNorm" in modules for end in ends.values()):
        return []
    return [modules[end] for name, end in ends.items() if part in (name, "branch")]


def _find_named(block: nn.Module, names: tuple[str, ...]) -> list[nn.Module]:
    return [m for name, m in block.named_modules() if name.rpartition(".")[2] in names]


def _branch_ends(block: nn.Module) -> list[nn.Module]:
    """The last modules of residual branches: after each, a shortcut is added."""
    found: list[nn.Module] = []
    for name, module in block.named_modules():
        parent, _, leaf = name.rpartition(".")
        holder = block.get_submodule(parent)
        # open_clip's ResNets have no module of their own there.
        is_bottleneck = leaf == BOTTLENECK_END and hasattr(holder, "downsample")
        if is_bottleneck or (leaf in BRANCH_ENDS and _has_shortcut(holder)):
            found.append(module)
    return found


def _has_shortcut(holder: nn.Module) -> bool:
    """True if one of timm's blocks adds its input, or a shortcut of it, to its branch."""
    if hasattr(holder, "reparameterize"):
        return False
    has_skip = getattr(holder, "has_skip", True)
    return bool(has_skip) and getattr(holder, "shortcut", holder) is not None


def _shape(value: object) -> str:
    first = value[0] if isinstance(value, tuple) else value
    return "x".join(map(str, first.shape)) if isinstance(first, Tensor) else type(first).__name__

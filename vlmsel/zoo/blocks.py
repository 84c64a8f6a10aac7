"""The functional blocks of a visual encoder: what a profile has one entry for.

One rule finds them in all of open_clip's visual towers (docs/internals/method.md, "One pass
for all blocks"); a registered encoder with other names says its own pattern in an attribute
`block_pattern`.
"""

import re
from collections.abc import Callable
from itertools import groupby

from torch import nn

from vlmsel.errors import ModelError

BLOCK_PATTERN = r"(?:^|\.)(?:resblocks|blocks|layer[1-4]|backbone\.stages\.\d+)\.\d+$"
# Blocks of a text tower: CLIP's and CoCa's own, and those of transformers.
TEXT_PATTERN = re.compile(r"(?:^|\.)(?:resblocks|encoder\.layer|encoder\.layers)\.\d+$")
# Of a whole open_clip model: the other tower, and CoCa's decoder, which takes no part in zero-shot.
NOT_TEXT = ("visual.", "text_decoder.")
QUARTERS = 4
# Containers that count as one published block: ResNet layers and the stages of timm's hierarchies.
_HIERARCHY = re.compile(r"(?:^|\.)(?:layer[1-4]|stages\.\d+|layers\.\d+)(?:\.blocks)?$")

Blocks = list[tuple[str, nn.Module]]


def functional_blocks(visual: nn.Module, granularity: str = "block") -> Blocks:
    """The blocks of `visual` in the order in which they run; each gives one tensor per forward.

    Args:
        visual: visual encoder; its attribute `block_pattern`, if any, replaces the rule.
        granularity: `block`, every block; `stage`, the last block of every stage, or of every
            quarter of the depth where there is one stage only (a stage's output is that of its last
            block); `published`, as in the published profiles: a ResNet's layer1-4 and attnpool, a
            transformer's blocks, a hierarchy's stages, and the head of a timm tower.

    Returns:
        (name, module) pairs; names are unique.

    Raises:
        ModelError: unknown granularity, or no block found.
    """
    if granularity not in _GRANULARITIES:
        known = ", ".join(_GRANULARITIES)
        raise ModelError(f"unknown granularity '{granularity}'; known: {known}")
    return _GRANULARITIES[granularity](visual)


def read_blocks(visual: nn.Module, granularity: str = "block") -> Blocks:
    """The functional blocks whose output the model reads, directly or through later ones.

    LLaVA reads an earlier layer than the last of its image encoder, which names the blocks after it
    in an attribute `unread`; they have no conductance.
    """
    unread = getattr(visual, "unread", ())
    found = functional_blocks(visual, granularity)
    return [block for block in found if not any(block[1] is module for module in unread)]


def text_blocks(model: nn.Module) -> Blocks:
    """The blocks of a text tower in the order in which they run; may be none.

    Args:
        model: open_clip's whole model, or a tower that says its blocks in `block_pattern`.
    """
    pattern = re.compile(getattr(model, "block_pattern", TEXT_PATTERN))
    return [
        (name, module)
        for name, module in model.named_modules()
        if pattern.search(name) and not name.startswith(NOT_TEXT)
    ]


def _list_blocks(visual: nn.Module) -> Blocks:
    pattern = re.compile(getattr(visual, "block_pattern", BLOCK_PATTERN))
    found: Blocks = []
    for name, module in visual.named_modules():
        nested = bool(found) and name.startswith(f"{found[-1][0]}.")
        if not nested and pattern.search(name):
            found.append((name, module))
    if not found:
        msg = (
            f"no functional block in {type(visual).__name__}: no module name matches "
            f"'{pattern.pattern}'; set `block_pattern` on the registered encoder "
            "(docs/guide/zoo.md)"
        )
        raise ModelError(msg)
    return found


def _stages(visual: nn.Module) -> Blocks:
    groups = _group_by_container(_list_blocks(visual))
    if len(groups) > 1:
        return [(container, blocks[-1][1]) for container, blocks in groups]
    ((container, blocks),) = groups
    parts = min(QUARTERS, len(blocks))
    ends = [len(blocks) * (i + 1) // parts for i in range(parts)]
    starts = [0, *ends[:-1]]
    return [
        (f"{container}.{a}-{b - 1}", blocks[b - 1][1]) for a, b in zip(starts, ends, strict=True)
    ]


def _published(visual: nn.Module) -> Blocks:
    result: Blocks = []
    for container, blocks in _group_by_container(_list_blocks(visual)):
        if _HIERARCHY.search(container):
            result.append((_published_stage(container), blocks[-1][1]))
        else:
            kind = "resblock" if container.endswith("resblocks") else "block"
            result += [(f"{kind}_{i}", module) for i, (_, module) in enumerate(blocks)]
    return result + _published_head(visual)


def _published_stage(container: str) -> str:
    parts = container.removesuffix(".blocks").split(".")
    return parts[-1] if parts[-1].startswith("layer") else f"stage_{parts[-1]}"


def _published_head(visual: nn.Module) -> Blocks:
    heads = {
        "attnpool": getattr(visual, "attnpool", None),
        "attn_pool": _inner(visual, "trunk", "attn_pool"),
        "clip_visual_head": _inner(visual, "head"),
        "head": _inner(visual, "trunk", "head"),
    }
    for name, module in heads.items():
        # An empty or parameterless head (Identity) is no block of its own.
        if isinstance(module, nn.Module) and next(module.parameters(), None) is not None:
            return [(name, module)]
    return []


def _inner(visual: nn.Module, *path: str) -> object:
    module: object = visual if hasattr(visual, "trunk") else None
    for part in path:
        module = getattr(module, part, None)
    return module


def _group_by_container(blocks: Blocks) -> list[tuple[str, Blocks]]:
    grouped = groupby(blocks, key=lambda block: block[0].rpartition(".")[0])
    return [(container, list(members)) for container, members in grouped]


_GRANULARITIES: dict[str, Callable[[nn.Module], Blocks]] = {
    "block": _list_blocks,
    "stage": _stages,
    "published": _published,
}

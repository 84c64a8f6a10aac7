"""Read small JSON and YAML documents that come from somewhere else."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from vlmsel.errors import first_line

# Configurations are kilobytes; the largest vocabularies are tens of megabytes.
MAX_BYTES = 64 << 20
# A catalog of a thousand tasks has one; to read ten takes half a minute.
MAX_YAML_BYTES = 8 << 20
# Values of a document when every alias is written out.
MAX_YAML_VALUES = 1_000_000
DATE = "tag:yaml.org,2002:timestamp"


def parse_json(data: bytes | str) -> Any:
    """Parse a JSON document; whatever is wrong with it is a ValueError.

    Raises:
        ValueError: it is no JSON, no UTF-8, nested too deeply, or holds a number without end.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """Read and parse a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is too large, or see `parse_json`.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MB")
    return parse_json(data)


def parse_yaml(text: str) -> Any:
    """Parse a YAML document of plain values; whatever is wrong with it is a ValueError.

    Unlike YAML's own rules a key may come once only, and dates stay texts.

    Raises:
        ValueError: it is no YAML, or too large, nested too deeply, a key comes twice, a value
            cannot be read, or its aliases unfold to more than `MAX_YAML_VALUES` values; with the
            line where there is one.
    """
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"it has more than {MAX_YAML_BYTES >> 20} MB")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or first_line(error)
        raise ValueError(f"{line}{problem}") from None


class _Loader(yaml.SafeLoader):
    """Safe, without dates, and each key of a mapping once."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A value; one that Python cannot hold is an error at its line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, ArithmeticError) as error:
            raise yaml.constructor.ConstructorError(
                problem=str(error), problem_mark=node.start_mark
            ) from None

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge `<<`, whose keys may come again: to overwrite them is its use."""
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key '{key.value[:80]}' comes twice; keep one",
                    problem_mark=key.start_mark,
                )
            seen.add((key.tag, key.value))
        super().flatten_mapping(node)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in found if tag != DATE]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _check_size(root: yaml.Node) -> None:
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            # An alias within its own anchor would unfold for ever.
            sizes[id(node)] = MAX_YAML_VALUES + 1
            sizes[id(node)] = 1 + sum(map(size, _parts(node)))
        return sizes[id(node)]

    if size(root) > MAX_YAML_VALUES:
        raise ValueError(
            f"its aliases (*name) unfold to more than {MAX_YAML_VALUES} values, or to no end"
        )


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []

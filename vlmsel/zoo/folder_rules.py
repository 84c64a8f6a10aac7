"""Rules for the configuration of a model's folder. A folder of weights is data, not a program.

Whoever made the folder is not trusted: its files are checked before any library reads them. Keys
and values of `open_clip_config.json` are an allow-list (`vlmsel.zoo.open_clip_schema`); files of
transformers have too many keys for one, so that what makes transformers import code, or ask a model
hub, is refused by name and by value, and `SAFE_OPTIONS` go to each of its loaders.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from vlmsel.documents import read_json
from vlmsel.errors import ModelError
from vlmsel.suggest import nearest
from vlmsel.zoo.open_clip_schema import OpenClipDocument, Preprocessing

# For every `from_pretrained` of transformers on a folder: its code is not run, no hub is asked.
SAFE_OPTIONS: dict[str, bool] = {"trust_remote_code": False, "local_files_only": True}
# Keys of any depth that name code to import, whatever their value.
CODE_KEYS = frozenset(
    {
        "auto_map",
        "trust_remote_code",
        "code_revision",
        "custom_pipelines",
        "custom_object_save",
        "use_kernels",
        "kernel_config",
        "allow_all_kernels",
        "remote_code",
    }
)
# Keys that make a library fetch weights or architectures of another repository.
HUB_KEYS = frozenset({"use_pretrained_backbone", "base_model_name_or_path"})
# Key -> values that name no repository. Anything else may be a kernel, thus code, of a hub.
KNOWN_VALUES: dict[str, frozenset[str]] = {
    key: frozenset({"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"})
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
} | {"experts_implementation": frozenset({"eager", "batched_mm", "grouped_mm"})}
# Classes of transformers that read vocabularies and do nothing else.
TOKENIZER_CLASS = re.compile(
    r"(Albert|Bart|Bert|Bloom|Camembert|CLIP|Code[Ll]lama|Cohere|DebertaV2|Deberta|DistilBert|Electra|"
    r"Gemma|GPT2|Llama|MBart|MBart50|MPNet|MT5|NLLB|Nllb|Phi3|PreTrained|Qwen2|Roberta|SentencePiece"
    r"|Siglip|Siglip2|T5|Tokenizers|XGLM|XLM|XLMRoberta|XLNet)(Tokenizer(Fast)?|Backend)"
)
MODEL_CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
ADAPTER_CONFIG = "adapter_config.json"
# What a tokenizer may be read from; weights and texts about the model are left out.
TOKENIZER_SUFFIXES = (".json", ".txt", ".model", ".tiktoken", ".vocab", ".bpe", ".gz", ".jinja")
NO_TOKENIZER = re.compile(
    r"(open_clip_config\.json|.*\.index\.json|(readme|licen[cs]e|requirements).*)", re.IGNORECASE
)
# One of them is in every folder of a tokenizer.
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model", "*.tiktoken")


def check_open_clip(name: str, path: Path, document: Any) -> dict[str, Any]:
    """Check the content of an `open_clip_config.json` and give its `model_cfg`.

    Args:
        name: of the model, for messages.
        path: of the file, for messages.
        document: its content.

    Raises:
        ModelError: an unknown key, a value of another kind than the key's, or one that names code
            or a repository of a hub; names the key.
    """
    _refuse_switches(name, path, document)
    _validate(name, path, OpenClipDocument, document)
    return document["model_cfg"]


def check_preprocessing(name: str, values: dict[str, Any]) -> None:
    """Check the values of a preprocessing before open_clip gets them.

    Raises:
        ModelError: names the key and the value.
    """
    _validate(name, "its preprocessing", Preprocessing, values)


def check_transformers(name: str, folder: Path) -> None:
    """Check every configuration in a folder that transformers would read.

    Raises:
        ModelError: one asks for code, for another repository, or cannot be read; names file and
            key.
    """
    if (folder / ADAPTER_CONFIG).exists():
        msg = (
            f"{name}: {folder / ADAPTER_CONFIG} is an adapter, whose base model lies elsewhere; "
            "merge it into its base model and save that"
        )
        raise ModelError(msg)
    for path in sorted(folder.glob("*.json")):
        if path.is_file() and not path.name.endswith(".index.json"):
            document = _read(name, path)
            _refuse_switches(name, path, document)
            if path.name in (TOKENIZER_CONFIG, MODEL_CONFIG):
                _check_tokenizer_class(name, path, document)


def tokenizer_files(folder: Path) -> tuple[Path, ...]:
    """The files in a folder that a tokenizer of transformers may be made of, by name."""
    return tuple(
        path
        for path in sorted(folder.iterdir())
        if path.name.endswith(TOKENIZER_SUFFIXES)
        and not NO_TOKENIZER.fullmatch(path.name)
        and path.is_file()
    )


def has_vocabulary(folder: Path) -> bool:
    """Return whether a tokenizer of transformers lies in the folder."""
    return any(next(folder.glob(pattern), None) is not None for pattern in VOCABULARIES)


def _read(name: str, path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}: {path} cannot be read: {error}") from None


def _refuse_switches(name: str, path: Path, document: Any) -> None:
    for where, key, value in _items(document):
        if value is None or value is False:
            continue
        if key in CODE_KEYS:
            msg = (
                f"{name}: {path} has the key '{where}', which makes a library run code that comes "
                "with the weights; a model folder is data: remove the key, or register an `encoder`"
            )
            raise ModelError(msg)
        if key in HUB_KEYS or (key in KNOWN_VALUES and value not in KNOWN_VALUES[key]):
            msg = (
                f"{name}: {path} has the key '{where}', which would ask a model hub "
                f"({_shorten(value)}); a local folder must hold all that it needs: remove the key"
            )
            raise ModelError(msg)


def _items(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Every (path of keys, key, value) of a document, however deep."""
    rest: list[tuple[str, Any]] = [("", document)]
    while rest:
        where, node = rest.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                place = f"{where}.{key}" if where else str(key)
                yield place, str(key), _make_hashable(value)
                rest.append((place, value))
        elif isinstance(node, list):
            rest.extend((where, item) for item in node)


def _make_hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)


def _check_tokenizer_class(name: str, path: Path, document: Any) -> None:
    if not isinstance(document, dict):
        raise ModelError(f"{name}: {path} must be a mapping")
    found = document.get("tokenizer_class")
    if found is not None and not (isinstance(found, str) and TOKENIZER_CLASS.fullmatch(found)):
        msg = (
            f"{name}: {path} names the tokenizer_class {_shorten(found)}, which is none of those "
            "that only read a vocabulary; save it as tokenizer.json with PreTrainedTokenizerFast"
        )
        raise ModelError(msg)


def _validate(name: str, place: Path | str, schema: type[BaseModel], document: Any) -> None:
    try:
        schema.model_validate(document)
    except ValidationError as error:
        raise ModelError(f"{name}: {place}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    # A misspelt key says more than the one that is missing for it.
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    where = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        hint = nearest(key, _fields(first["loc"]), n=1)
        return f"unknown key '{where}'{hint}; a model folder may hold known keys only"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing" or not where:
        return f"key '{where}': {message}" if where else message
    return f"key '{where}' is {_shorten(first['input'])}: {message}"


def _fields(location: tuple[int | str, ...]) -> list[str]:
    schema: Any = OpenClipDocument
    for part in location[:-1]:
        field = schema.model_fields.get(part) if isinstance(part, str) else None
        schema = _model_of(field.annotation) if field is not None else None
        if schema is None:
            return []
    return list(schema.model_fields)


def _model_of(annotation: Any) -> Any:
    options = (annotation, *getattr(annotation, "__args__", ()))
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) and value.isalnum() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

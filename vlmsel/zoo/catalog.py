"""Catalog of a zoo: model specs read from YAML, without loading or even importing a model."""

from collections import Counter
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vlmsel.addresses import absolute_path
from vlmsel.catalogs import first_problem, read_entries
from vlmsel.errors import CatalogError, ModelError, SettingsError
from vlmsel.outside_names import encoded_length, stored
from vlmsel.suggest import nearest
from vlmsel.zoo.layer_name import LayerName, split_variant

SHIPPED = {
    "demo": ("vlmsel.demo", "zoo.yaml"),
    "demo-vlm": ("vlmsel.demo", "vlm_zoo.yaml"),
    "paper": ("vlmsel.zoo", "catalogs/paper.yaml"),
}

# What a saved model lies beside, and the label of such weights where nothing else is said.
FOLDER_CONFIGS, LOCAL = ("open_clip_config.json", "config.json"), "local"
# Bytes of a folder's name on a disk.
MAX_NAME = 255


class ModelSpec(BaseModel):
    """One model of a zoo, in open_clip's own words.

    Attributes:
        model: open_clip architecture, or an own name where `weights` is a directory or `encoder`
            is set. `NAME@LAYER`, such as ``ViT-B-32@vision.0``, is NAME with that layer silent.
        pretrained: open_clip tag, or an own label for local weights.
        weights: local directory (open_clip_config.json and weights) or checkpoint file.
        bpe_path: merges file of open_clip's SimpleTokenizer, where it is not the usual one.
        encoder: `package.module:function`, builds a registered encoder.
        provider: library that the model is of; by default open_clip, or the one that saved the
            folder `weights`. Without `weights`, `model` is a repository of the hub for
            transformers (`pretrained` its revision), an architecture for timm.
        memory_gb: declared accelerator memory in GB, for packing several models on one GPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, pattern=r"^\S(.*\S)?$")
    pretrained: str = Field(min_length=1, pattern=r"^\S(.*\S)?$")
    weights: str | None = None
    bpe_path: str | None = None
    encoder: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    provider: Literal["open_clip", "transformers", "timm"] | None = None
    memory_gb: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @field_validator("model")
    @classmethod
    def _check_layer(cls, model: str) -> str:
        _, layer = split_variant(model)
        if layer:
            try:
                LayerName.parse(layer)
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return model

    @model_validator(mode="after")
    def _check_folder_name(self) -> Self:
        if (length := encoded_length(self.model) + 1 + encoded_length(self.pretrained)) > MAX_NAME:
            raise ValueError(
                "the names are too long: results are kept in a folder named after both, and they "
                f"take {length} bytes there, of {MAX_NAME}"
            )
        return self

    @property
    def name(self) -> str:
        """`model/pretrained`, unique within a zoo."""
        return f"{self.model}/{self.pretrained}"

    @property
    def silenced(self) -> LayerName | None:
        """The layer that is silent in this variant of a model; None in a model as it is."""
        _, layer = split_variant(self.model)
        return LayerName.parse(layer) if layer else None

    @property
    def base(self) -> Self:
        """The model as it is, of which this may be a variant."""
        base, layer = split_variant(self.model)
        return self.model_copy(update={"model": base}) if layer else self

    def anchored(self, folder: Path) -> Self:
        """The same spec with relative paths made absolute against `folder`; links are kept.

        What is no local path is left as it is: it fails its model alone, in `check_paths`.
        """
        update: dict[str, str] = {}
        for field, path in self._paths().items():
            with suppress(ModelError):
                update[field] = str(absolute_path(path, field, ModelError, base=folder))
        return self.model_copy(update=update)

    def check_paths(self) -> None:
        """Refuse paths that are addresses of an object store, or nothing.

        Raises:
            ModelError: names the model and the field.
        """
        for field, path in self._paths().items():
            absolute_path(path, f"{self.name}: {field}", ModelError)

    def _paths(self) -> dict[str, str]:
        paths = {"weights": self.weights, "bpe_path": self.bpe_path}
        return {field: path for field, path in paths.items() if path is not None}


class Zoo(BaseModel):
    """At least one model; no two of one name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[ModelSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names_differ(self) -> Self:
        twice = [name for name, n in Counter(m.name for m in self.models).items() if n > 1]
        if twice:
            raise ValueError(f"two models of one name: {', '.join(twice)}; remove one")
        return self

    def find(self, model: str, pretrained: str | None = None) -> ModelSpec:
        """The one spec of that architecture and tag; `model` alone may also be `model/pretrained`.

        Raises:
            ModelError: no such model (with the nearest names), or several tags of one architecture.
        """
        wanted = model if pretrained is None else f"{model}/{pretrained}"
        found = [s for s in self.models if wanted == s.name]
        if not found and pretrained is None:
            found = [s for s in self.models if wanted == s.model]
        if len(found) == 1:
            return found[0]
        if found:
            tags = ", ".join(s.pretrained for s in found)
            raise ModelError(f"model '{wanted}' has several tags in this zoo: {tags}; name one")
        names = {s.name for s in self.models} | {s.model for s in self.models}
        raise ModelError(f"model '{wanted}' is not in this zoo{nearest(wanted, sorted(names))}")


def load_zoo(source: str | Path) -> Zoo:
    """Read a zoo from a YAML file, or a shipped one by name (`demo`, `paper`).

    A folder that open_clip, transformers or timm saved is a zoo of that one model.

    Raises:
        CatalogError: no such catalog, or it says something impossible; names file, entry and key.
    """
    is_shipped = str(source) in SHIPPED
    path = (
        _shipped_path(source)
        if is_shipped
        else absolute_path(source, "model catalog", CatalogError)
    )
    if not is_shipped and path.suffix not in (".yaml", ".yml") and not path.exists():
        shipped = ", ".join(SHIPPED)
        hint = nearest(str(source), SHIPPED)
        msg = f"no zoo '{source}': give a YAML file or a shipped zoo ({shipped}){hint}"
        raise CatalogError(msg)
    if not is_shipped and path.is_dir():
        return _folder_zoo(path)
    entries = read_entries(path, "models", ModelSpec, "model")
    try:
        return Zoo(models=tuple(spec.anchored(path.parent) for spec in entries))
    except ValidationError as error:
        raise CatalogError(f"{path}: {first_problem(error, Zoo)}") from None


def _folder_zoo(folder: Path) -> Zoo:
    """One model under the folder's name.

    Raises:
        CatalogError: the folder holds no model, or its name is none of a model.
    """
    if not any((folder / name).is_file() for name in FOLDER_CONFIGS):
        raise CatalogError(
            f"zoo {folder} is a folder without {' or '.join(FOLDER_CONFIGS)}: give a YAML file, or "
            "a folder that open_clip, transformers or timm saved"
        )
    try:
        name = stored(folder.resolve().name or "model")
        return Zoo(models=(ModelSpec(model=name, pretrained=LOCAL, weights=str(folder)),))
    except ValidationError as error:
        raise CatalogError(f"zoo {folder}: {first_problem(error, ModelSpec)}") from None


def _shipped_path(source: str | Path) -> Path:
    package, name = SHIPPED[str(source)]
    return Path(str(resources.files(package))) / name

"""Identity of a model: the part of a cell's fingerprint that the model gives. Builds no model.

A name is not enough: weights change under a tag, and a checkpoint run with the wrong activation is
another model (docs/internals/method.md, "Known traps"), so a QuickGELU mismatch is refused here,
before anything is measured.
"""

import hashlib
import importlib.util
import json
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from vlmsel.documents import read_json
from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.folder_rules import (
    check_open_clip,
    check_transformers,
    tokenizer_files,
)
from vlmsel.zoo.open_clip_tables import Config, architecture_config, is_tag, tag_config, tag_configs
from vlmsel.zoo.providers import require_package
from vlmsel.zoo.providers.folders import provider_name
from vlmsel.zoo.providers.timm_tags import describe_tower
from vlmsel.zoo.providers.transformers_folder import activation, describe_folder
from vlmsel.zoo.weights import CONFIG_NAME, hub_sha256, local_sha256, local_weights

# open_clip's PreprocessCfg defaults: an explicit default and a missing one are one preprocessing.
PREPROCESS_DEFAULTS: Config = {
    "mode": "RGB",
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


class ModelIdentity(BaseModel):
    """All of a model that can change its profile.

    Attributes:
        architecture: digest of the canonical JSON of the model's configuration.
        activation: `quick_gelu`, `gelu`, or `encoder` for a registered encoder.
        preprocessing: digest of the canonical JSON of the transform; equal means interchangeable.
        weights_sha256: checksum of the checkpoint, 64 hex digits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    activation: str
    preprocessing: str
    weights_sha256: str

    @property
    def digest(self) -> str:
        """16 hex digits over all four parts."""
        return _fields_digest(**self.__dict__)

    @property
    def text_digest(self) -> str:
        """16 hex digits over the parts that a text embedding depends on.

        The checkpoint's checksum is one of them, since files are not hashed tower by tower.
        """
        parts = {name: value for name, value in self.__dict__.items() if name != "preprocessing"}
        return _fields_digest(**parts)


# Asked for once per model and shard.
@lru_cache(maxsize=4096)
def _fields_digest(**fields: str) -> str:
    return _digest(fields)


def identify(spec: ModelSpec) -> ModelIdentity:
    """The identity of a model; cheap, since checksums are cached and no model is built.

    Raises:
        ModelError: unknown architecture or tag (nearest names), wrong activation (the right model),
            weights that are missing here and cannot be asked for.
    """
    spec.check_paths()
    if spec.silenced is not None:
        base = identify(spec.base)
        described = {"base": base.architecture, "silenced": str(spec.silenced)}
        return base.model_copy(update={"architecture": _digest(described)})
    provider = provider_name(spec)
    if provider != "open_clip":
        return _IDENTITIES[provider](spec)
    config, preprocess = configuration(spec)
    described: Config = {"model": config}
    if spec.bpe_path is not None:
        described["bpe_sha256"] = local_sha256(spec, Path(spec.bpe_path))
    if (folder := tokenizer_folder(spec, config)) is not None:
        files = tokenizer_files(folder)
        described["tokenizer"] = {file.name: local_sha256(spec, file) for file in files}
    if spec.weights is None:
        checksum = hub_sha256(spec, tag_config(spec.model, spec.pretrained))
    else:
        checksum = local_sha256(spec, local_weights(spec))
    return ModelIdentity(
        architecture=_digest(described),
        activation="quick_gelu" if config.get("quick_gelu") else "gelu",
        preprocessing=_digest(preprocess),
        weights_sha256=checksum,
    )


def configuration(spec: ModelSpec) -> tuple[Config, Config]:
    """open_clip's model configuration and the whole preprocessing (with `size`) of a spec.

    Raises:
        ModelError: see `identify`.
    """
    spec = spec.base
    if (folder := _folder(spec)) is not None:
        config, preprocess = _directory_configuration(spec, folder)
    else:
        config, preprocess = _find_configuration(spec)
    size = config["vision_cfg"].get("image_size", 224)
    return config, _choose_preprocessing(preprocess) | {"size": size}


def tokenizer_folder(spec: ModelSpec, config: Config) -> Path | None:
    """The folder of a local model whose tokenizer is one of transformers, which lies there too."""
    folder = _folder(spec)
    return folder if folder is not None and config["text_cfg"].get("hf_tokenizer_name") else None


def _folder(spec: ModelSpec) -> Path | None:
    if spec.weights is None or not Path(spec.weights).is_dir():
        return None
    return Path(spec.weights)


def _find_configuration(spec: ModelSpec) -> tuple[Config, Config]:
    config = architecture_config(spec.model)
    # A local file under an official tag's name is that tag's: same preprocessing and activation.
    if spec.weights is None or is_tag(spec.model, spec.pretrained):
        return config, tag_config(spec.model, spec.pretrained)
    return config, _shared_preprocessing(spec)


def _shared_preprocessing(spec: ModelSpec) -> Config:
    """Return the preprocessing that all tags share, for a user's file under another label.

    Raises:
        ModelError: they disagree; names the keys.
    """
    known = {
        json.dumps(_choose_preprocessing(tag), sort_keys=True): tag
        for tag in tag_configs(spec.model)
    }
    if len(known) > 1:
        texts = [json.loads(text) for text in known]
        differ = [key for key in texts[0] if any(text[key] != texts[0][key] for text in texts)]
        raise ModelError(
            f"{spec.name}: the tags of {spec.model} differ in their preprocessing "
            f"({', '.join(differ)}), so that of {spec.weights} is not known: give a directory with "
            f"`preprocess_cfg` in its {CONFIG_NAME}, or, as `pretrained`, the tag it was tuned from"
        )
    return next(iter(known.values()), {})


def _choose_preprocessing(preprocess: Config) -> Config:
    """The preprocessing of a configuration, with open_clip's defaults where it says nothing."""
    chosen = {k: preprocess[k] for k in PREPROCESS_DEFAULTS if preprocess.get(k) is not None}
    return PREPROCESS_DEFAULTS | chosen


def _directory_configuration(spec: ModelSpec, folder: Path) -> tuple[Config, Config]:
    path = folder / CONFIG_NAME
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise ModelError(f"{spec.name}: no {CONFIG_NAME} in {folder}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{spec.name}: {path} cannot be read: {error}") from None
    config = document.get("model_cfg") if isinstance(document, dict) else None
    needed = ("embed_dim", "vision_cfg", "text_cfg")
    if not isinstance(config, dict) or any(key not in config for key in needed):
        raise ModelError(f"{spec.name}: {path} needs `model_cfg` with {', '.join(needed)}")
    config = check_open_clip(spec.name, path, document)
    if tokenizer_folder(spec, config) is not None:
        check_transformers(spec.name, folder)
    return config, document.get("preprocess_cfg") or {}


def _identify_encoder(spec: ModelSpec) -> ModelIdentity:
    reference = spec.encoder or ""
    source = _module_file(spec, reference.partition(":")[0])
    checksum = (
        hashlib.sha256(spec.name.encode()).hexdigest()
        if spec.weights is None
        else local_sha256(spec, local_weights(spec))
    )
    described = {"encoder": reference, "source": local_sha256(spec, source)}
    if spec.weights is not None and Path(spec.weights).is_dir():
        # config.json and its like say how the weights are used.
        files = sorted(Path(spec.weights).glob("*.json"))
        described |= {file.name: local_sha256(spec, file) for file in files}
    return ModelIdentity(
        architecture=_digest(described),
        activation="encoder",
        # The transform is code: other code, other tensors.
        preprocessing=_digest({"model": spec.name, **described}),
        weights_sha256=checksum,
    )


def _identify_transformers(spec: ModelSpec) -> ModelIdentity:
    require_package(spec, "transformers")
    described, processors, checksum = describe_folder(spec)
    return ModelIdentity(
        architecture=_digest(described),
        activation=activation(described["model"]),
        preprocessing=_digest({"provider": "transformers", **processors}),
        weights_sha256=checksum,
    )


def _identify_timm(spec: ModelSpec) -> ModelIdentity:
    described, preprocessing, checksum = describe_tower(spec)
    return ModelIdentity(
        architecture=_digest(described),
        activation="timm",
        preprocessing=_digest(preprocessing),
        weights_sha256=checksum,
    )


_IDENTITIES = {
    "own": _identify_encoder,
    "transformers": _identify_transformers,
    "timm": _identify_timm,
}


def _module_file(spec: ModelSpec, module: str) -> Path:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None:
        msg = f"{spec.name}: no encoder module '{module}'; put its folder on PYTHONPATH"
        raise ModelError(msg)
    return Path(found.origin)


def _digest(value: Config) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

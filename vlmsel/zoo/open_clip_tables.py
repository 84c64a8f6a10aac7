"""open_clip's own tables: architectures, pretrained tags, and whether the two fit together.

open_clip (and with it torch) is imported inside the functions: a zoo of local directories never
needs it.
"""

from typing import Any

from vlmsel.errors import ModelError
from vlmsel.suggest import nearest

QUICKGELU_SUFFIX = "-quickgelu"
Config = dict[str, Any]


def architectures() -> tuple[str, ...]:
    """The names of all architectures that open_clip knows."""
    import open_clip

    return tuple(open_clip.list_models())


def architecture_config(model: str) -> Config:
    """open_clip's configuration of an architecture (a copy).

    Raises:
        ModelError: no such architecture, with the nearest names.
    """
    import open_clip

    known = architectures()
    if model not in known:
        hint = _hub_hint(model) or nearest(model, known) or "; `vlmsel models --blocks` lists all"
        raise ModelError(f"unknown architecture '{model}'{hint}")
    config = open_clip.get_model_config(model)
    if config is None:
        raise ModelError(f"open_clip lists architecture '{model}' but has no configuration of it")
    return config


def _hub_hint(model: str) -> str | None:
    scheme, colon, repository = model.partition(":")
    if not colon or scheme not in ("hf-hub", "hf_hub"):
        return None
    return (
        f": models are not read from a hub by that name; `hf download {repository} --local-dir "
        "FOLDER`, then name the model as you like and give `weights: FOLDER`"
    )


def tag_config(model: str, pretrained: str) -> Config:
    """open_clip's entry of a pretrained tag (url or hub repository, preprocessing, activation).

    Raises:
        ModelError: unknown architecture or tag (nearest names), or not the trained activation.
    """
    config = architecture_config(model)
    tags = _tags(model)
    key = _clean(pretrained)
    if key not in tags:
        _refuse_unknown(model, pretrained, tags)
    tag = tags[key]
    trained, built = bool(tag.get("quick_gelu")), bool(config.get("quick_gelu"))
    # roberta-ViT-B-32 is QuickGELU by its own configuration; its tag says nothing: no mismatch.
    if trained != built and (trained or _switch_activation(model) in architectures()):
        raise ModelError(_mismatch(model, pretrained, quick_gelu=trained))
    return tag


def tag_configs(model: str) -> tuple[Config, ...]:
    """open_clip's entries of all tags of an architecture, or of its other activation where none."""
    return tuple((_tags(model) or _tags(_switch_activation(model))).values())


def is_tag(model: str, pretrained: str) -> bool:
    """Return whether `pretrained` is a tag of `model`, under this or the other activation."""
    key = _clean(pretrained)
    return key in _tags(model) or key in _tags(_switch_activation(model))


def _refuse_unknown(model: str, pretrained: str, tags: dict[str, Config]) -> None:
    other = _switch_activation(model)
    if _clean(pretrained) in _tags(other):
        raise ModelError(_mismatch(model, pretrained, quick_gelu=other.endswith(QUICKGELU_SUFFIX)))
    if not tags:
        raise ModelError(f"open_clip has no pretrained weights for '{model}': give `weights`")
    hint = nearest(pretrained, tags) or f"; its tags: {', '.join(tags)}"
    raise ModelError(f"'{model}' has no pretrained tag '{pretrained}'{hint}")


def _mismatch(model: str, pretrained: str, *, quick_gelu: bool) -> str:
    trained, right = ("QuickGELU" if quick_gelu else "GELU"), _switch_activation(model)
    mismatch = f"'{model}/{pretrained}' was trained with {trained}, which '{model}' does not use"
    if right in architectures():
        return f"{mismatch}: use model '{right}'"
    return f"{mismatch}, and open_clip has no '{right}': give a local directory as `weights`"


def _switch_activation(model: str) -> str:
    if model.endswith(QUICKGELU_SUFFIX):
        return model.removesuffix(QUICKGELU_SUFFIX)
    return model + QUICKGELU_SUFFIX


def _tags(model: str) -> dict[str, Config]:
    import open_clip

    return {
        tag: open_clip.get_pretrained_cfg(model, tag)
        for tag in open_clip.list_pretrained_tags_by_model(model)
    }


def _clean(tag: str) -> str:
    # open_clip's own spelling rule for tags.
    return tag.lower().replace("-", "_")

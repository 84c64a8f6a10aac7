"""The keys and values that a local `open_clip_config.json` may hold: sizes, switches, names.

They are the fields of open_clip's own configuration classes, without those that name a repository
of a model hub, and without free arguments of constructors.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Size = Annotated[int, Field(ge=0, le=1 << 16)]
Vocabulary = Annotated[int, Field(ge=1, le=1 << 22)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Word = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_]*$")]
ImageSize = Size | Annotated[list[Size], Field(min_length=2, max_length=2)]


def _architecture_of_timm(name: str | None) -> str | None:
    if name is not None and (":" in name or "/" in name):
        raise ValueError("it asks a model hub or another folder; name an architecture of timm")
    return name


def _require_empty(value: object) -> None:
    if value:
        msg = (
            "it asks a model hub for the text tower, which a local folder must hold itself; where "
            "open_clip knows the architecture, name it as `model` and the file as `weights`"
        )
        raise ValueError(msg)


TimmName = Annotated[
    Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_.:/@-]*$")] | None,
    AfterValidator(_architecture_of_timm),
]
NoHub = Annotated[str | None, AfterValidator(_require_empty)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LayerArguments(_Strict):
    """Arguments of an activation or a normalisation layer."""

    eps: Positive | None = None
    approximate: Literal["tanh", "none"] | None = None
    elementwise_affine: bool | None = None
    bias: bool | None = None
    inplace: bool | None = None


class TokenizerArguments(_Strict):
    """Arguments of a tokenizer: how texts are cleaned, never where code or files lie."""

    clean: Literal["whitespace", "lower", "canonicalize"] | None = None
    strip_sep_token: bool | None = None
    language: Word | None = None


class _Tower(_Strict):
    width: Size | None = None
    mlp_ratio: Real | None = None
    ls_init_value: Real | None = None
    final_ln_after_pool: bool | None = None
    pool_type: Word | None = None
    output_tokens: bool | None = None
    act_kwargs: LayerArguments | None = None
    norm_kwargs: LayerArguments | None = None
    block_type: Word | None = None
    qk_norm: bool | None = None
    scaled_cosine_attn: bool | None = None
    scale_heads: bool | None = None
    scale_attn_inner: bool | None = None
    scale_attn: bool | None = None
    scale_fc: bool | None = None


class VisionTower(_Tower):
    """open_clip's CLIPVisionCfg."""

    layers: Size | Annotated[list[Size], Field(min_length=4, max_length=4)] | None = None
    head_width: Size | None = None
    patch_size: Size | None = None
    image_size: ImageSize | None = None
    patch_dropout: Real | None = None
    attentional_pool: bool | Word | None = None
    attn_pooler_queries: Size | None = None
    attn_pooler_heads: Size | None = None
    no_ln_pre: bool | None = None
    pos_embed_type: Word | None = None
    timm_model_name: TimmName = None
    timm_model_pretrained: bool | None = None
    timm_pool: Word | None = None
    timm_proj: Word | None = None
    timm_proj_bias: bool | None = None
    timm_drop: Real | None = None
    timm_drop_path: Real | None = None


class TextTower(_Tower):
    """open_clip's CLIPTextCfg, without a text tower of a model hub."""

    context_length: Size | None = None
    vocab_size: Vocabulary | None = None
    hf_tokenizer_name: Annotated[str, Field(max_length=200)] | None = None
    tokenizer_mode: Literal["", "clips"] | None = None
    tokenizer_kwargs: TokenizerArguments | None = None
    heads: Size | None = None
    layers: Size | None = None
    embed_cls: bool | None = None
    pad_id: Size | None = None
    eos_id: Vocabulary | None = None
    no_causal_mask: bool | None = None
    proj_bias: bool | None = None
    proj_type: Word | None = None
    hf_model_name: NoHub = None
    hf_model_pretrained: bool | None = None
    hf_proj_type: Word | None = None
    hf_pooler_type: Word | None = None


class TextDecoder(TextTower):
    """open_clip's MultimodalCfg."""

    dim_head: Size | None = None
    n_queries: Size | None = None
    attn_pooler_heads: Size | None = None


class Towers(_Strict):
    """`model_cfg`: the arguments of open_clip's CLIP, CustomTextCLIP and CoCa."""

    embed_dim: Annotated[int, Field(ge=1, le=1 << 16)]
    vision_cfg: VisionTower
    text_cfg: TextTower
    multimodal_cfg: TextDecoder | None = None
    quick_gelu: bool | None = None
    custom_text: bool | None = None
    init_logit_scale: Real | None = None
    init_logit_bias: Real | None = None
    nonscalar_logit_scale: bool | None = None
    output_dict: bool | None = None


class OpenClipDocument(BaseModel):
    """`open_clip_config.json`; no library gets more of it than these two keys."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    model_cfg: Towers
    # Checked by `Preprocessing` where it is used.
    preprocess_cfg: dict[str, object] | None = None


class Preprocessing(BaseModel):
    """open_clip's PreprocessCfg."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    size: int | Annotated[tuple[int, ...], Field(min_length=2, max_length=2)] | None = None
    mode: Literal["RGB"] = "RGB"
    mean: Annotated[tuple[Real, ...], Field(min_length=3, max_length=3)]
    std: Annotated[tuple[Positive, ...], Field(min_length=3, max_length=3)]
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    fill_color: Annotated[int, Field(ge=0, le=255)] = 0

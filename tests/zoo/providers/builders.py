"""Tiny models of other libraries, made from a configuration and saved to disk."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AlignConfig,
    AlignModel,
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    MetaClip2Config,
    MetaClip2Model,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

WORDS = ["a", "photo", "of", "cat", "dog", "red", ".", "the"]
SIZE = 16
KINDS = ("clip", "metaclip_2", "siglip", "siglip_2", "align")
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 16,
    "max_position_embeddings": 12,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": SIZE,
    "patch_size": 8,
}


def _clip() -> Any:
    return CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8))


def _metaclip_2() -> Any:
    config = MetaClip2Config(text_config=TEXT, vision_config=VISION, projection_dim=8)
    return MetaClip2Model(config)


def _siglip() -> Any:
    return SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION))


def _align() -> Any:
    vision = {
        "image_size": SIZE,
        "width_coefficient": 0.25,
        "depth_coefficient": 1.0,
        "hidden_dim": 16,
        "kernel_sizes": [3, 3],
        "in_channels": [32, 32],
        "out_channels": [32, 64],
        "strides": [1, 2],
        "num_block_repeats": [1, 2],
        "expand_ratios": [1, 2],
        "squeeze_expansion_ratio": 0.25,
        "depthwise_padding": [],
    }
    return AlignModel(AlignConfig(text_config=TEXT, vision_config=vision, projection_dim=16))


def _siglip_2() -> Any:
    # Checkpoints of SigLIP 2 with one resolution: SigLIP's model, and a tokenizer of Gemma's kind.
    text = {**TEXT, "projection_size": 16, "hidden_act": "gelu_pytorch_tanh"}
    return SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))


MAKERS = {
    "clip": _clip,
    "metaclip_2": _metaclip_2,
    "siglip": _siglip,
    "siglip_2": _siglip_2,
    "align": _align,
}


def processor(kind: str) -> Any:
    """The image processor of a kind."""
    if kind.startswith("siglip"):
        return SiglipImageProcessor(size={"height": SIZE, "width": SIZE})
    if kind == "align":
        crop = {"height": SIZE, "width": SIZE}
        return BitImageProcessor(size={"shortest_edge": SIZE}, crop_size=crop)
    return CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
    )


def tokenizer(kind: str = "clip") -> PreTrainedTokenizerFast:
    """A tokenizer of a few words; that of SigLIP 2 masks nothing."""
    vocabulary = {"<pad>": 0, "<bos>": 1, "<eos>": 2, "<unk>": 3}
    for word in WORDS:
        vocabulary[word] = len(vocabulary)
    fast = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    fast.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=12,
        **({"model_input_names": ["input_ids"]} if kind == "siglip_2" else {}),
    )


def save_dual_encoder(kind: str, folder: Path, seed: int = 0) -> Any:
    """Save a dual encoder with tokenizer and processor as transformers does; gives the model."""
    torch.manual_seed(seed)
    model = MAKERS[kind]().eval()
    model.save_pretrained(folder)
    tokenizer(kind).save_pretrained(folder)
    processor(kind).save_pretrained(folder)
    return model


def save_naflex(folder: Path) -> None:
    """Save a SigLIP 2 of variable resolution."""
    vision = {**VISION, "num_patches": 4}
    vision.pop("image_size")
    Siglip2Model(Siglip2Config(text_config=TEXT, vision_config=vision)).save_pretrained(folder)
    tokenizer("siglip_2").save_pretrained(folder)
    Siglip2ImageProcessor(patch_size=8, max_num_patches=4).save_pretrained(folder)

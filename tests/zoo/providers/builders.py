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
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

WORDS = ["a", "photo", "of", "cat", "dog", "red", ".", "the"]
SIZE = 16
KINDS = ("clip", "metaclip_2", "siglip", "align")
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


MAKERS = {"clip": _clip, "metaclip_2": _metaclip_2, "siglip": _siglip, "align": _align}


def processor(kind: str) -> Any:
    """The image processor of a kind."""
    if kind == "siglip":
        return SiglipImageProcessor(size={"height": SIZE, "width": SIZE})
    if kind == "align":
        crop = {"height": SIZE, "width": SIZE}
        return BitImageProcessor(size={"shortest_edge": SIZE}, crop_size=crop)
    return CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
    )


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of a few words."""
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
    )


def save_dual_encoder(kind: str, folder: Path, seed: int = 0) -> Any:
    """Save a dual encoder with tokenizer and processor as transformers does; gives the model."""
    torch.manual_seed(seed)
    model = MAKERS[kind]().eval()
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    processor(kind).save_pretrained(folder)
    return model

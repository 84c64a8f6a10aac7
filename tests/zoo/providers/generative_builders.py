"""Tiny generative models of transformers, made from a configuration and saved to disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers

# fmt: off
WORDS = [
    "what", "which", "digit", "shape", "is", "this", "?", "the", "picture", "shows", "a", "an",
    "red", "green", "blue", "square", "circle", "one", "two", "three", "four", "five", ":", ".",
    ",", "dark", "light", "very", "USER", "ASSISTANT", "Hint", "Question", "Options", "Answer",
    "with", "option", "s", "letter", "from", "given", "choices", "directly", "'", "A", "B", "C",
    "D",
]
# Words of the families for pictures and what is around them.
SPECIAL = [
    "<image>", "<video>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
    "<start_of_image>", "<end_of_image>", "<img>", "</img>", "<IMG_CONTEXT>", "<|vision_start|>",
    "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
]
# fmt: on
VOCABULARY = ["<pad>", "<bos>", "<eos>", "<unk>", *SPECIAL, *WORDS]
NAMED = {
    "image_token": "<image>",
    "video_token": "<video>",
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
}
QWEN_NAMED = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
IDS = {word: number for number, word in enumerate(VOCABULARY)}
TEXT = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
MROPE = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
SQUARE = {"height": 16, "width": 16}
CHAT = (
    "{% for m in messages %}USER : {% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE "
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT :{% endif %}"
)


def tokenizer(named: dict[str, str] | None = None, **options: Any) -> Any:
    """A tokenizer of a few words, whose special words the processors know."""
    word_level = Tokenizer(models.WordLevel(IDS, unk_token="<unk>"))
    word_level.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=word_level,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens=NAMED if named is None else named,
        additional_special_tokens=SPECIAL,
        model_max_length=512,
        **options,
    )


def chat(word: str) -> str:
    """A chat template with a family's own word for a picture."""
    return CHAT.replace("IMAGE", word)


def _clip_processor() -> Any:
    return hf.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=SQUARE)


def _siglip_processor() -> Any:
    return hf.SiglipImageProcessor(size=SQUARE)


def _llava() -> tuple[Any, Any]:
    config = hf.LlavaConfig(
        text_config={"model_type": "llama", **TEXT},
        vision_config={"model_type": "clip_vision_model", **VISION},
        image_token_index=IDS["<image>"],
        vision_feature_layer=-2,
        image_seq_length=4,
    )
    processor = hf.LlavaProcessor(
        _clip_processor(),
        tokenizer(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    return hf.LlavaForConditionalGeneration(config), processor


def _llava_next() -> tuple[Any, Any]:
    pinpoints = [[16, 32], [32, 16]]
    config = hf.LlavaNextConfig(
        text_config={"model_type": "llama", **TEXT},
        vision_config={"model_type": "clip_vision_model", **VISION},
        image_token_index=IDS["<image>"],
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-2,
    )
    images = hf.LlavaNextImageProcessor(
        size={"shortest_edge": 16}, crop_size=SQUARE, image_grid_pinpoints=pinpoints
    )
    processor = hf.LlavaNextProcessor(
        images,
        tokenizer(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def _llava_onevision() -> tuple[Any, Any]:
    pinpoints = [[16, 32], [32, 16]]
    config = hf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **TEXT},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        image_token_index=IDS["<image>"],
        video_token_index=IDS["<video>"],
        image_grid_pinpoints=pinpoints,
    )
    images = hf.LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=pinpoints)
    processor = hf.LlavaOnevisionProcessor(
        images,
        tokenizer(),
        hf.LlavaOnevisionVideoProcessor(size=SQUARE),
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=chat("<image>"),
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def _qwen(name: str, **vision: Any) -> tuple[Any, Any]:
    config = getattr(hf, f"{name}Config")(
        text_config={**TEXT, "rope_parameters": MROPE},
        vision_config={"depth": 3, "num_heads": 2, "patch_size": 8, **vision},
        image_token_id=IDS["<|image_pad|>"],
        video_token_id=IDS["<|video_pad|>"],
        vision_start_token_id=IDS["<|vision_start|>"],
        vision_end_token_id=IDS["<|vision_end|>"],
    )
    edges = {"shortest_edge": 16 * 16, "longest_edge": 48 * 48}
    images = hf.Qwen2VLImageProcessor(size=edges, patch_size=8)
    videos = hf.Qwen3VLVideoProcessor if name == "Qwen3VL" else hf.Qwen2VLVideoProcessor
    processor = getattr(hf, f"{name}Processor")(
        images,
        tokenizer(QWEN_NAMED),
        videos(patch_size=8),
        chat_template=chat("<|vision_start|><|image_pad|><|vision_end|>"),
    )
    return getattr(hf, f"{name}ForConditionalGeneration")(config), processor


def _qwen2_vl() -> tuple[Any, Any]:
    return _qwen("Qwen2VL", embed_dim=16, hidden_size=32)


def _qwen2_5_vl() -> tuple[Any, Any]:
    blocks = {"fullatt_block_indexes": [1], "window_size": 32}
    return _qwen("Qwen2_5_VL", hidden_size=16, intermediate_size=24, out_hidden_size=32, **blocks)


def _qwen3_vl() -> tuple[Any, Any]:
    deep = {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}
    return _qwen("Qwen3VL", hidden_size=16, intermediate_size=24, out_hidden_size=32, **deep)


def _idefics3(name: str = "Idefics3") -> tuple[Any, Any]:
    config = getattr(hf, f"{name}Config")(
        text_config={"model_type": "llama", **TEXT},
        vision_config=VISION,
        image_token_id=IDS["<image>"],
        scale_factor=2,
    )
    sizes = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 16}}
    images = hf.Idefics3ImageProcessor(do_image_splitting=False, **sizes)
    # SmolVLM's own processor, which does the same with pictures, needs the package num2words.
    processor = hf.Idefics3Processor(
        images, tokenizer(), image_seq_len=1, chat_template=chat("<image>")
    )
    return getattr(hf, f"{name}ForConditionalGeneration")(config), processor


def _smolvlm() -> tuple[Any, Any]:
    return _idefics3("SmolVLM")


def _internvl() -> tuple[Any, Any]:
    vision = {**VISION, "image_size": [16, 16], "patch_size": [8, 8]}
    config = hf.InternVLConfig(
        text_config={"model_type": "qwen2", **TEXT},
        vision_config=vision,
        image_token_id=IDS["<IMG_CONTEXT>"],
        image_seq_length=1,
        downsample_ratio=0.5,
    )
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessor(size=SQUARE, max_patches=2),
        tokenizer(),
        hf.InternVLVideoProcessor(size=SQUARE),
        image_seq_length=1,
        chat_template=chat("<IMG_CONTEXT>"),
    )
    return hf.InternVLForConditionalGeneration(config), processor


def _paligemma() -> tuple[Any, Any]:
    config = hf.PaliGemmaConfig(
        # Its processor adds words for places and shapes to the tokenizer.
        text_config={"model_type": "gemma", **TEXT, "vocab_size": 1280},
        vision_config={
            "model_type": "siglip_vision_model", "vision_use_head": False, "projection_dim": 32,
            **VISION,
        },
        image_token_index=IDS["<image>"],
        projection_dim=32,
        hidden_size=32,
    )  # fmt: skip
    images = _siglip_processor()
    images.image_seq_length = 4
    # Its processor puts a newline after the prompt, which a tokenizer of words does not see.
    return hf.PaliGemmaForConditionalGeneration(config), hf.PaliGemmaProcessor(images, tokenizer())


def _gemma3() -> tuple[Any, Any]:
    config = hf.Gemma3Config(
        text_config={
            **TEXT, "sliding_window": 8, "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        mm_tokens_per_image=4,
        boi_token_index=IDS["<start_of_image>"],
        eoi_token_index=IDS["<end_of_image>"],
        image_token_index=IDS["<image>"],
    )  # fmt: skip
    processor = hf.Gemma3Processor(
        hf.Gemma3ImageProcessor(size=SQUARE),
        tokenizer(),
        chat_template=chat("<start_of_image>"),
        image_seq_length=4,
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": _llava,
    "llava_next": _llava_next,
    "llava_onevision": _llava_onevision,
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "smolvlm": _smolvlm,
    "idefics3": _idefics3,
    "internvl": _internvl,
    "paligemma": _paligemma,
    "gemma3": _gemma3,
}


def save_generative(family: str, folder: Path, seed: int = 0) -> tuple[Any, Any]:
    """Save a tiny model with random weights, biases too, and its processor; gives both."""
    torch.manual_seed(seed)
    model, processor = FAMILIES[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor

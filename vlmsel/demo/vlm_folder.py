"""Folders of the embedded generative models: saved as transformers loads them, and loaded again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save_file

from vlmsel.demo.demo_checkpoint import SavedWeights, hash_weights
from vlmsel.demo.demo_questions import trained_questions
from vlmsel.demo.recipes import IMAGE_SIZE, MEAN, STD
from vlmsel.demo.vlm_recipes import CONTEXT_LENGTH, N_IMAGE_TOKENS, PATCH_SIZE, VlmRecipe

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

VLM_WEIGHTS = "model.safetensors"
PAD, UNKNOWN, END, IMAGE = "<pad>", "<unk>", "</s>", "<image>"

# A turn is the picture and the words of the message; nothing announces the answer.
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message.content is string %}{{ message.content }} "
    "{% else %}{% for part in message.content %}{% if part.type == 'image' %}<image> "
    "{% else %}{{ part.text }} {% endif %}{% endfor %}{% endif %}{% endfor %}"
)


def vocabulary() -> list[str]:
    """Return all words of the questions and their options, sorted, after the special tokens."""
    words = {word for known in trained_questions() for word in known.text.split()}
    words |= {word for known in trained_questions() for word in known.options}
    return [PAD, UNKNOWN, END, IMAGE, *sorted(words)]


def build_tokenizer() -> "PreTrainedTokenizerFast":
    """Return the tokenizer of all models: one token per word, lower case."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    places = {word: place for place, word in enumerate(vocabulary())}
    inner = Tokenizer(models.WordLevel(places, unk_token=UNKNOWN))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=CONTEXT_LENGTH,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> Any:
    """Return the processor of all models: their tokenizer, their pictures, the chat template."""
    from transformers import CLIPImageProcessor, LlavaProcessor

    side = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    pictures = CLIPImageProcessor(
        size={"shortest_edge": IMAGE_SIZE},
        crop_size=side,
        image_mean=list(MEAN),
        image_std=list(STD),
    )
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=build_tokenizer(),
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def new_vlm(recipe: VlmRecipe, seed: int) -> "LlavaForConditionalGeneration":
    """Return the untrained model; the same weights for the same seed."""
    from transformers import AutoConfig, LlavaConfig, LlavaForConditionalGeneration

    words = vocabulary()
    special = {"pad_token_id": 0, "eos_token_id": words.index(END), "bos_token_id": None}
    text = AutoConfig.for_model(**recipe.text_config(len(words)), **special)
    config = LlavaConfig(
        vision_config=AutoConfig.for_model(**recipe.vision_config),
        text_config=text,
        image_token_index=words.index(IMAGE),
        image_seq_length=N_IMAGE_TOKENS,
        vision_feature_layer=recipe.feature_layer,
        vision_feature_select_strategy="default",
        **special,
    )
    torch.manual_seed(seed)
    return LlavaForConditionalGeneration(config)


def save_vlm(model: "LlavaForConditionalGeneration", folder: Path) -> SavedWeights:
    """Write weights in half precision, configuration and processor into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    build_processor().save_pretrained(folder)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / VLM_WEIGHTS, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    # Read into full precision by default: half is how they are stored, not how they are run.
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return hash_weights(folder / VLM_WEIGHTS)


def load_vlm(folder: Path) -> tuple["LlavaForConditionalGeneration", Any]:
    """Load a saved model into fp32 with its processor; nothing is fetched."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, **options
    )
    processor = AutoProcessor.from_pretrained(folder, **options)
    return cast("LlavaForConditionalGeneration", model.eval()), processor

"""The text encoder of an open_clip model; its tokenizer is made on first use."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from vlmsel.errors import ModelError, first_line
from vlmsel.extras import LIBRARIES, missing_extra
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.folder_rules import SAFE_OPTIONS, has_vocabulary
from vlmsel.zoo.identity import configuration, tokenizer_folder
from vlmsel.zoo.open_clip_tables import Config
from vlmsel.zoo.output_silence import quiet_open_clip

TEXT_BATCH = 256


class TextEncoder:
    """Strings -> (N, D) L2-normalised embeddings on the model's device, without gradient.

    Args:
        spec: of the model.
        model: of open_clip.
        device: of the model.
        text_batch: texts that are encoded at once.
    """

    def __init__(
        self, spec: ModelSpec, model: Any, device: torch.device, *, text_batch: int = TEXT_BATCH
    ) -> None:
        self._spec = spec
        self._model = model
        self._device = device
        self._text_batch = text_batch

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Embed `texts`, in batches.

        Raises:
            ModelError: the tokenizer cannot be had, or its vocabulary is larger than the model's.
        """
        with torch.no_grad():
            parts = [
                self.encode(self.tokenize(texts[i : i + self._text_batch]))
                for i in range(0, len(texts), self._text_batch)
            ]
        return torch.cat(parts)

    def encode(self, tokens: Tensor) -> Tensor:
        """(N, L) token ids -> (N, D), L2-normalised, with gradients where they are recorded."""
        return self._model.encode_text(tokens, normalize=True)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """(N, L) token ids on the model's device.

        Raises:
            ModelError: as of a call.
        """
        tokens = self._tokenizer(list(texts))
        size = getattr(self._model, "vocab_size", None)
        if isinstance(size, int) and int(tokens.max()) >= size:
            msg = (
                f"{self._spec.name}: its tokenizer gives token {int(tokens.max())}, but the model "
                f"knows {size}; set `bpe_path` to the merges file that the model was trained with"
            )
            raise ModelError(msg)
        return tokens.to(self._device)

    @cached_property
    def _tokenizer(self) -> Callable[[list[str]], Tensor]:
        spec = self._spec
        config, _ = configuration(spec)
        folder = tokenizer_folder(spec, config)
        try:
            with quiet_open_clip():
                if folder is not None:
                    return _tokenizer_of_folder(spec, folder, config["text_cfg"])
                return open_clip.get_tokenizer(_source(spec), **_options(spec, config))
        except ModelError:
            raise
        except ModuleNotFoundError as error:
            if error.name not in LIBRARIES["transformers"]:
                raise ModelError(f"{spec.name}: its tokenizer needs {error.name}") from error
            why = missing_extra(f"the tokenizer of {spec.name}", "transformers")
            raise ModelError(why) from error
        except (OSError, ValueError, TypeError, ImportError, RuntimeError, IndexError) as error:
            first = first_line(error)
            raise ModelError(f"{spec.name}: its tokenizer cannot be loaded: {first}") from error


def _source(spec: ModelSpec) -> str:
    local = spec.weights is not None and Path(spec.weights).is_dir()
    return f"local-dir:{spec.weights}" if local else spec.model


def _options(spec: ModelSpec, config: Config) -> dict[str, Any]:
    options: dict[str, Any] = {} if spec.bpe_path is None else {"bpe_path": spec.bpe_path}
    if config["text_cfg"].get("hf_tokenizer_name"):
        # open_clip's own architecture: its tokenizer is one of a hub, whose code is not run.
        options["trust_remote_code"] = False
    return options


def _tokenizer_of_folder(
    spec: ModelSpec, folder: Path, text: Config
) -> Callable[[list[str]], Tensor]:
    """The tokenizer of transformers in a local model's folder; `configuration` has checked it."""
    if not has_vocabulary(folder):
        msg = (
            f"{spec.name}: its tokenizer {text['hf_tokenizer_name']} is not in {folder}; save the "
            "files of that repository's tokenizer there (`hf download`, tokenizer.json and the "
            "*.json beside it)"
        )
        raise ModelError(msg)
    cleaning = {k: v for k, v in (text.get("tokenizer_kwargs") or {}).items() if v is not None}
    options: dict[str, Any] = cleaning | SAFE_OPTIONS
    length = text.get("context_length") or open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH
    mode = text.get("tokenizer_mode")
    return open_clip.tokenizer.HFTokenizer(str(folder), length, tokenizer_mode=mode, **options)

"""The text encoder of an open_clip model; its tokenizer is made on first use."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.quiet import quiet_open_clip

TEXT_BATCH = 256


class TextEncoder:
    """Strings -> (N, D) L2-normalised embeddings on the model's device, without gradient."""

    def __init__(self, spec: ModelSpec, model: Any, device: torch.device) -> None:
        self._spec = spec
        self._model = model
        self._device = device

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Embed `texts`, in batches.

        Raises:
            ModelError: the tokenizer cannot be had, or its vocabulary is larger than the model's.
        """
        with torch.no_grad():
            parts = [
                self._model.encode_text(self._tokens(texts[i : i + TEXT_BATCH]), normalize=True)
                for i in range(0, len(texts), TEXT_BATCH)
            ]
        return torch.cat(parts)

    def _tokens(self, texts: Sequence[str]) -> Tensor:
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
        local = spec.weights is not None and Path(spec.weights).is_dir()
        name = f"local-dir:{spec.weights}" if local else spec.model
        options: dict[str, Any] = {} if spec.bpe_path is None else {"bpe_path": spec.bpe_path}
        try:
            with quiet_open_clip():
                return open_clip.get_tokenizer(name, **options)
        except (OSError, ValueError, TypeError, ImportError, RuntimeError, IndexError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{spec.name}: its tokenizer cannot be loaded: {first}") from error

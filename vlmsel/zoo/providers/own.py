"""Provider of registered encoders: the user's modules, with a text tower or without."""

import torch

from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.encoders import build_encoder
from vlmsel.zoo.identity import ModelIdentity
from vlmsel.zoo.loaded_model import ImageEncoder, LoadedModel, freeze
from vlmsel.zoo.towers import to_pair


def load(spec: ModelSpec, identity: ModelIdentity, device: torch.device) -> LoadedModel:
    """Build a registered encoder.

    Raises:
        ModelError: it cannot be built.
    """
    built = build_encoder(spec)
    visual = freeze(built.module, device)
    tower = None if built.text_tower is None else freeze(built.text_tower, device)
    return LoadedModel(
        spec=spec,
        identity=identity,
        visual=visual,
        image_size=to_pair(built.image_size),
        encode_image=ImageEncoder(visual),
        encode_text=built.encode_text,
        transform=built.transform,
        logit_scale=built.logit_scale,
        logit_bias=built.logit_bias,
        text_tower=tower,
    )

"""Encoders that misbehave as a file says; their model is a small real one."""

import os
import signal
import time
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from vlmsel.zoo import Encoder
from vlmsel.zoo.catalog import ModelSpec

# The folder in which an encoder finds how it is to behave, and counts its victims.
FOLDER = "VLMSEL_TEST_ENCODERS"


class Misbehaving(nn.Module):
    """Encoder that does what the words in ``<folder>/<model>`` say, one a call; then it is good."""

    def __init__(self, inner: nn.Module, name: str) -> None:
        super().__init__()
        self.inner, self.name = inner, name

    def forward(self, images: Tensor) -> Tensor:
        note = Path(os.environ[FOLDER]) / self.name
        words = note.read_text().split()
        if words:
            note.write_text(" ".join(words[1:]))
            misbehave(words[0])
        return self.inner(images)


def misbehave(how: str) -> None:
    if how == "loop":
        while True:
            pass
    if how == "sleep":
        time.sleep(10_000)
    if how == "exit":
        raise SystemExit(0)
    if how == "os-exit":
        os._exit(0)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)


def build(spec: ModelSpec) -> Encoder:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=0)
    resize = [v2.PILToTensor(), v2.Resize((160, 160)), v2.ToDtype(torch.float32, scale=True)]
    module = Misbehaving(model, spec.model)
    return Encoder(module, v2.Compose(resize), 160, block_pattern=r"blocks\.\d+$")

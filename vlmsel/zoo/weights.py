"""Paths of a model's weights, and their sha256, without loading or downloading them."""

import re
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants as hub_constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from vlmsel.cache import file_sha256
from vlmsel.errors import ModelError, first_line
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.open_clip_tables import Config

CONFIG_NAME = "open_clip_config.json"
# open_clip's own order of preference in a directory.
PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")
SHA256 = re.compile(r"[0-9a-f]{64}")


def local_weights(spec: ModelSpec) -> Path:
    """The checkpoint file of a spec with `weights`: the file itself, or the one in the directory.

    Raises:
        ModelError: nothing there, no checkpoint in the directory, or several and no telling which.
    """
    path = Path(spec.weights or "")
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"{spec.name}: weights {path} do not exist")
    for name in PREFERRED:
        if (path / name).is_file():
            return path / name
    found = sorted(p.name for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
    if len(found) == 1:
        return path / found[0]
    if found:
        msg = f"{spec.name}: {path} holds {', '.join(found)}: name one of them as `weights`"
        raise ModelError(msg)
    raise ModelError(f"{spec.name}: no checkpoint in {path} (looked for {', '.join(SUFFIXES)})")


def local_sha256(spec: ModelSpec, path: Path) -> str:
    """Checksum of a local file, cached; an unreadable file is a ModelError."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise ModelError(f"{spec.name}: {path} cannot be read: {error.strerror}") from None


def hub_sha256(spec: ModelSpec, tag: Config) -> str:
    """Checksum of a pretrained tag's weights: from the hub's cache here, else from the hub.

    Large files lie in the cache under their sha256, which is also the hub's etag, so both agree.

    Raises:
        ModelError: neither the cache nor the hub can tell.
    """
    repository, names = hub_files(tag)
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(
            repository, name, cache_dir=hub_constants.HF_HUB_CACHE
        )
        if isinstance(cached, str):
            blob = Path(cached).resolve()
            return blob.name if SHA256.fullmatch(blob.name) else local_sha256(spec, blob)
    return _ask_hub(spec, repository, names)


def hub_files(tag: Config) -> tuple[str, tuple[str, ...]]:
    """The repository of a tag and the files that may hold its weights, the preferred one first."""
    repository, _, filename = str(tag["hf_hub"]).rpartition("/")
    return repository, _candidates(filename)


def _ask_hub(spec: ModelSpec, repository: str, names: tuple[str, ...]) -> str:
    reason = "the hub has no checksum of it"
    for name in names:
        url = huggingface_hub.hf_hub_url(repository, name)
        try:
            etag = huggingface_hub.get_hf_file_metadata(url).etag
        except OfflineModeIsEnabled:
            reason = "offline mode is on (HF_HUB_OFFLINE)"
            break
        except HfHubHTTPError as error:
            reason = first_line(error)
            continue
        except (OSError, *_transport_errors()) as error:
            reason = f"the hub cannot be reached ({type(error).__name__})"
            break
        if etag and SHA256.fullmatch(etag):
            return etag
    msg = (
        f"{spec.name}: weights {repository} are not in this machine's cache and {reason}; run "
        f"`hf download {repository}` where there is a network, or set `weights` to a local copy"
    )
    raise ModelError(msg)


def _candidates(filename: str) -> tuple[str, ...]:
    # What open_clip tries, in its order: safetensors first.
    if not filename:
        return ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    path = Path(filename)
    if path.suffix in (".bin", ".pth"):
        return (f"{path.stem}.safetensors", filename)
    return (filename,)


def _transport_errors() -> tuple[type[Exception], ...]:
    # The hub's HTTP errors derive from its client's own base class, whichever client that is.
    return tuple(
        base
        for base in HfHubHTTPError.__mro__
        if base.__name__ == "HTTPError" and issubclass(base, Exception)
    )

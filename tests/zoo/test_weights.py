import hashlib
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from vlmsel.errors import ModelError
from vlmsel.zoo.catalog import ModelSpec
from vlmsel.zoo.weights import hub_sha256, local_weights

SPEC = ModelSpec(model="ViT-B-32", pretrained="tag")
TAG = {"hf_hub": "org/repo/"}
DIGEST = "ab" * 32
TRANSPORT_ERROR = next(c for c in HfHubHTTPError.__mro__ if c.__name__ == "HTTPError")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached(hub: Path, name: str, blob: str, data: bytes = b"weights") -> None:
    """A file in the hub's cache: refs, blobs and snapshots as huggingface_hub lays them out."""
    repository = hub / "models--org--repo"
    for folder in ("refs", "blobs", "snapshots/c0ffee"):
        (repository / folder).mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text("c0ffee")
    (repository / "blobs" / blob).write_bytes(data)
    (repository / "snapshots/c0ffee" / name).symlink_to(Path("../../blobs") / blob)


def answer(monkeypatch: pytest.MonkeyPatch, **etags: str | Exception) -> list[str]:
    asked = []

    def metadata(url: str) -> SimpleNamespace:
        asked.append(url)
        result = etags["safe" if url.endswith("safetensors") else "bin"]
        if isinstance(result, Exception):
            raise result
        return SimpleNamespace(etag=result)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)
    return asked


def spec_for(path: Path) -> ModelSpec:
    return ModelSpec(model="m", pretrained="p", weights=str(path))


def test_a_file_is_its_own_checkpoint_and_a_directory_has_a_preferred_one(tmp_path: Path) -> None:
    for name in ("model.safetensors", "other.pt", "open_clip_model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert local_weights(spec_for(tmp_path / "other.pt")) == tmp_path / "other.pt"
    assert local_weights(spec_for(tmp_path)) == tmp_path / "open_clip_model.safetensors"


def test_a_single_unusual_name_will_do_but_two_will_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no checkpoint in"):
        local_weights(spec_for(tmp_path))
    (tmp_path / "epoch_31.pt").write_bytes(b"")
    assert local_weights(spec_for(tmp_path)) == tmp_path / "epoch_31.pt"
    (tmp_path / "epoch_32.pt").write_bytes(b"")
    with pytest.raises(ModelError, match=r"holds epoch_31\.pt, epoch_32\.pt: name one"):
        local_weights(spec_for(tmp_path))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"m/p: weights .*gone\.pt do not exist"):
        local_weights(spec_for(tmp_path / "gone.pt"))


def test_the_hubs_cache_knows_the_checksum(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch)
    cached(hub_cache, "open_clip_model.safetensors", DIGEST)
    assert hub_sha256(SPEC, TAG) == DIGEST
    assert asked == []


def test_a_small_cached_file_is_hashed(hub_cache: Path) -> None:
    cached(hub_cache, "open_clip_pytorch_model.bin", "f00d" * 10, b"weights")
    assert hub_sha256(SPEC, TAG) == hashlib.sha256(b"weights").hexdigest()


def test_else_the_hub_is_asked_safetensors_first(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, safe=DIGEST)
    assert hub_sha256(SPEC, TAG) == DIGEST
    assert [url.rpartition("/")[2] for url in asked] == ["open_clip_model.safetensors"]


def test_a_repository_without_safetensors_is_asked_for_the_other_file(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = HfHubHTTPError("404 Client Error", response=SimpleNamespace(headers={}, request=None))
    asked = answer(monkeypatch, safe=missing, bin=DIGEST)
    assert hub_sha256(SPEC, {"hf_hub": "org/repo/pytorch_model.bin"}) == DIGEST
    assert [url.rpartition("/")[2] for url in asked] == [
        "pytorch_model.safetensors",
        "pytorch_model.bin",
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OfflineModeIsEnabled("offline"), "offline mode is on"),
        (TRANSPORT_ERROR("name or service not known"), "the hub cannot be reached"),
        (ConnectionError("refused"), "the hub cannot be reached"),
    ],
)
def test_offline_is_one_line_with_the_way_out(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    answer(monkeypatch, safe=error, bin=error)
    with pytest.raises(ModelError, match=reason) as caught:
        hub_sha256(SPEC, TAG)
    assert "hf download org/repo" in str(caught.value)
    assert "\n" not in str(caught.value)

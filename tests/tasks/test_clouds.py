import json
from pathlib import Path

import pytest

from vlmsel.errors import StoreError, TaskError
from vlmsel.store.filesystem import open_folder
from vlmsel.tasks.clouds import cloud_reason, with_retry_limit
from vlmsel.tasks.sources import find_sources


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("google::cloud::Status(UNAVAILABLE: a OAuth2 access token", "no credentials for Google"),
        ("google::cloud::Status(UNAVAILABLE: curl", "cannot be reached"),
        ("x: google::cloud::Status(PERMISSION_DENIED: me@x has no", "access is denied"),
        ("google::cloud::Status(NOT_FOUND: ", "create the bucket"),
        ("google::cloud::Status(ABORTED: me@x", "Google answered ABORTED"),
        ("AWS Error ACCESS_DENIED during HeadObject: me@x", "access is denied"),
        ("AWS Error UNKNOWN (HTTP status 403): HTTP response code 403", "access is denied"),
        ("AWS Error SLOW_DOWN: me@x", "the server answered SLOW_DOWN"),
    ],
)
def test_answers_in_plain_words(answer: str, reason: str) -> None:
    told = cloud_reason(OSError(answer))
    assert told is not None
    assert reason in told
    assert "me@x" not in told


def test_other_errors_are_none_of_theirs() -> None:
    assert cloud_reason(OSError("no such file")) is None


def test_tries_end_in_time_unless_told_otherwise() -> None:
    assert with_retry_limit("gs://b/x") == "gs://b/x?retry_limit_seconds=30"
    assert with_retry_limit("gs://b/x?scheme=http") == "gs://b/x?scheme=http&retry_limit_seconds=30"
    assert with_retry_limit("gs://b?retry_limit_seconds=5") == "gs://b?retry_limit_seconds=5"
    assert with_retry_limit("s3://b/x") == "s3://b/x"


def test_without_google_images_and_store_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A refresh token for a server that is not there: no network is asked, and it ends soon.
    key = {
        "type": "authorized_user",
        "client_id": "i",
        "client_secret": "hunter2",
        "refresh_token": "hunter2",
        "token_uri": "http://127.0.0.1:9/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    options = "endpoint_override=127.0.0.1:9&scheme=http&retry_limit_seconds=1"
    with pytest.raises(TaskError, match=r"gs://bucket/x cannot be reached: \S") as images:
        find_sources(f"gs://bucket/x?{options}")
    with pytest.raises(StoreError, match=r"cannot list gs://bucket/x\S* \S") as store:
        open_folder(f"gs://bucket/x?{options}").names("")
    messages = f"{images.value} {store.value}"
    assert "hunter2" not in messages
    assert "google::cloud" not in messages

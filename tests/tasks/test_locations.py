import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.locations import display
from vlmsel.tasks.sources import find_sources


@pytest.mark.parametrize(
    "uri",
    [
        "s3://key:topsecret@bucket/x.tar",
        "s3://bucket/x.tar?secret_key=topsecret",
        "s3://key:top/secret@bucket/x.tar",
        "gs://topsecret@bucket/x.tar",
    ],
)
def test_credentials_in_a_name_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(TaskError, match="put them into the environment") as caught:
        find_sources(uri)
    assert "secret" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")


@pytest.mark.parametrize("uri", ["ftp://host/x.tar", "s3://", "nonsense://bucket/x"])
def test_stores_that_nobody_reads(uri: str) -> None:
    with pytest.raises(TaskError, match=r"cannot be opened|neither a path"):
        find_sources(uri)


def test_messages_leave_options_out() -> None:
    assert display("s3://b/x.tar?token=1") == "s3://b/x.tar"
    assert display("/data/what?.tar") == "/data/what?.tar"

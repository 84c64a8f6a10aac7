import pytest

from vlmsel.redaction import redact, why_refused


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/x", "https://***@host/x"),
        ("s3://key:p@w@bucket/x and http://a:b@c", "s3://***@bucket/x and http://***@c"),
        ("http://host/?access_token=abc&n=1", "http://host/?access_token=***&n=1"),
        ("http://host/?n=1&X-Amz-Signature=abc", "http://host/?n=1&X-Amz-Signature=***"),
        ("https://host/path@v1?page=2", "https://host/path@v1?page=2"),
        ("someone@example.org", "someone@example.org"),
        (5, "5"),
    ],
)
def test_only_credentials_are_blotted_out(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/with@sign/x?region=r&endpoint_override=h:80",
        "gs://bucket/x",
        "/local/path@1:2",
        "file:///a@b",
        "relative/path",
    ],
)
def test_addresses_without_credentials_pass(address):
    assert why_refused(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIA:sec/ret@bucket/x",
        "gs://me@bucket",
        "https://a:b@host/x",
        "s3://b?session_token=s",
        "S3://AKIA:secret@bucket/x?region=r",
        "\t s3://AKIA:secret@bucket/x",
    ],
)
def test_addresses_with_credentials_are_refused_by_one_rule(address):
    said = why_refused(address)
    assert said is not None
    scheme = address.partition(":")[0].strip().lower()
    assert said.startswith(f"no credentials in {scheme}:// addresses")
    assert "secret" not in said

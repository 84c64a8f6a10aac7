import pytest

from vlmsel.redaction import redact


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

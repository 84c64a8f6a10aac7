import pytest

from vlmsel.errors import TaskError
from vlmsel.redaction import describe_error, explain_refusal, redact


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
    assert explain_refusal(address) is None


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
    reason = explain_refusal(address)
    assert reason is not None
    scheme = address.partition(":")[0].strip().lower()
    assert reason.startswith(f"no credentials in {scheme}:// addresses")
    assert "secret" not in reason


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:hun/SECRET@host/db failed",
        "mysql://root:SE#SECRET@host/db",
        "postgresql://me:my SECRET word@host/db",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BPWD%3DSECRET%3BUID%3Da",
        "mssql+pyodbc:///?odbc_connect=PWD=SECRET;UID=me",
        "https://account.host/x?sv=1&sig=SECRET%3D&se=2",
        "https://host/x?pwd=SECRET",
        "https://host/x?n=1&pass=SECRET",
        "https://host/x?auth=SECRET",
        "https://host/back#access_token=SECRET&x=1",
        "https://host/a;jsessionid=SECRET?x=1",
        "Authorization: Bearer SECRETabc123",
        "proxy: Basic SECRETdXNlcjpTRUNSRVQ=",
        "https://hooks.slack.com/services/T0/B0/SECRET",
        "https://discord.com/api/webhooks/1/SECRET",
        "{'password': 'SECRET', 'n': 1}",
        '{"aws_secret_access_key": "SECRET"}',
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=SECRET==;EndpointSuffix=core",
        "https://u:SECRET@h1,u2:SECRET@h2/x",
        "redis://:SECRETpw@h:6379",
        "s3://AKIA%3ASECRET%40bucket/x",
    ],
)
def test_secrets_of_every_kind_are_blotted_out(text):
    shown = redact(text)
    assert "SECRET" not in shown
    assert "***" in shown
    # What is blotted out once stays as it is.
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "m: its tokenizer cannot be loaded: no file",
        "hf_tokenizer_name: timm/ViT-B-16-SigLIP",
        "its token 49407, but max_tokens=3 and n_tokens: 4",
        "exit code=1 and n_steps=3 key=5",
        "http://host:80 refused; mail a@b",
        "https://host:8080/path@v1?page=2",
        "s3://bucket/x?region=us&endpoint_override=localhost:9000",
        "no credentials in s3:// addresses: put them into the environment",
        "basic attribution of images",
        "key 'images': Field required",
        "folder /data/monkeys=3/secrets holds 5 images",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_values_of_the_own_secret_variables_are_blotted_out(monkeypatch):
    monkeypatch.setenv("MY_SERVICE_PASSWORD", "corre/ct horse9")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:batt%2Fery9@db/x")
    monkeypatch.setenv("MY_TOKEN_FILE_TOKEN", "/var/run/token-file")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "disabled")
    for text in ("said corre/ct horse9", "said corre%2Fct%20horse9", "at batt/ery9 or batt%2Fery9"):
        assert "rse9" not in redact(text)
        assert "ery9" not in redact(text)
    # Read anew when it changes.
    monkeypatch.setenv("MY_SERVICE_PASSWORD", "another horse9")
    assert redact("corre/ct horse9 or another horse9") == "corre/ct horse9 or ***"
    # A file's name and a word of any text are none.
    assert redact("/var/run/token-file is disabled") == "/var/run/token-file is disabled"


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIA%3Asecret%40b/x",
        "gs://b/x?sig=1",
        "s3://b/x?endpoint_override=http://u:p@host",
        "s3://b/x?endpoint_override=http%3A%2F%2Fu%3Ap%40host",
    ],
)
def test_encoded_credentials_are_refused_too(address):
    assert explain_refusal(address) is not None


def test_an_error_of_a_library_is_one_line_without_secrets():
    error = OSError("no\n  way to https://u:SECRET@h/x")
    assert describe_error(error) == "OSError: no way to https://***@h/x"
    assert describe_error(TaskError("so\nit is")) == "so it is"
    assert describe_error(AssertionError()) == "AssertionError"
    assert describe_error(SystemExit(3)) == "its code asked to exit (SystemExit 3)"
    assert len(describe_error(ValueError("x" * 10**6))) < 600

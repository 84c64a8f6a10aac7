"""Allowed requests: those of the page itself, with its token, under its own name."""

import asyncio

import pytest

from vlmsel.labelling.request_guard import RequestGuard

OWN = [(b"host", b"127.0.0.1:8000")]


async def inner(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def ask(headers, query=b"token=secret"):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    guard = RequestGuard(inner, token="secret", port=8000)
    scope = {"type": "http", "headers": headers, "query_string": query}
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        (OWN, b"token=secret"),
        ([(b"host", b"localhost:8000")], b"token=secret"),
        ([*OWN, (b"x-vlmsel-token", b"secret")], b""),
        ([*OWN, (b"origin", b"http://127.0.0.1:8000")], b"token=secret"),
        ([*OWN, (b"sec-fetch-site", b"same-origin")], b"token=secret"),
        ([*OWN, (b"sec-fetch-site", b"none")], b"token=secret"),
    ],
)
def test_the_page_itself_may_ask(headers, query):
    status, said, body = ask(headers, query)
    assert (status, body) == (200, b"in")
    policy = said[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert said[b"referrer-policy"] == b"no-referrer"


@pytest.mark.parametrize(
    ("headers", "query", "reason"),
    [
        (OWN, b"", b"token is missing"),
        (OWN, b"token=", b"token is missing"),
        (OWN, b"token=secre", b"token is missing"),
        (OWN, "token=sécret".encode(), b"token is missing"),
        ([*OWN, (b"x-vlmsel-token", b"other")], b"token=secret", b"token is missing"),
        ([], b"token=secret", b"another name"),
        ([(b"host", b"evil.example:8000")], b"token=secret", b"another name"),
        ([(b"host", b"127.0.0.1:8001")], b"token=secret", b"another name"),
        ([*OWN, (b"host", b"evil.example")], b"token=secret", b"another name"),
        ([*OWN, (b"origin", b"http://evil.example")], b"token=secret", b"other sites"),
        ([*OWN, (b"origin", b"null")], b"token=secret", b"other sites"),
        ([*OWN, (b"origin", b"http://127.0.0.1:8001")], b"token=secret", b"other sites"),
        ([*OWN, (b"sec-fetch-site", b"cross-site")], b"token=secret", b"other sites"),
        ([*OWN, (b"sec-fetch-site", b"same-site")], b"token=secret", b"other sites"),
    ],
)
def test_nobody_else_may(headers, query, reason):
    status, said, body = ask(headers, query)
    assert status == 403
    assert reason in body
    assert b"secret" not in body
    assert b"content-security-policy" in said

"""Checks of every request, and headers of every answer. Pure ASGI; no server is imported.

A page on 127.0.0.1 can be asked by every program and every web site of the machine. So a request
needs the token of this run (a query or a header), the server's own Host (a foreign name may have
been made to point here), and, where a browser says where it comes from, the page's own Origin.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = b"x-vlmsel-token"
FORBIDDEN = 403
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class RequestGuard:
    """Lets requests through that are this page's own.

    Args:
        app: what is guarded.
        token: of this run.
        port: of the server.
    """

    def __init__(self, app: App, *, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 with the reason, or pass the request on."""
        if scope["type"] != "http":
            return
        reason = self._find_refusal(scope)
        if reason is not None:
            await _refuse(send, reason)
            return
        await self._app(scope, receive, _add_headers(send))

    def _find_refusal(self, scope: Scope) -> str | None:
        headers = list(scope["headers"])
        if _single_value(headers, b"host") not in self._hosts:
            return "this page is asked for under another name than its own"
        origin = _values(headers, b"origin")
        if origin and (len(origin) > 1 or origin[0] not in self._origins):
            return "requests of other sites are refused"
        site = _values(headers, b"sec-fetch-site")
        if site and site[0] not in (b"same-origin", b"none"):
            return "requests of other sites are refused"
        if not hmac.compare_digest(_token(scope, headers), self._token):
            return (
                "the token is missing or of an earlier run: open the address that "
                "`vlmsel label` printed"
            )
        return None


def _token(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    given = _values(headers, TOKEN_HEADER)
    if given:
        return given[0]
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return query.get("token", [""])[0].encode("utf-8", "replace")


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _single_value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of a header that comes once, in small letters."""
    found = _values(headers, name)
    return found[0].lower() if len(found) == 1 else None


async def _refuse(send: Send, reason: str) -> None:
    body = f"refused: {reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((key.encode(), value.encode()) for key, value in HEADERS.items()),
    ]
    await send({"type": "http.response.start", "status": FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _add_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return send_with_headers

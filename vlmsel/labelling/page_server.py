"""The page's routes, and its server in a thread of this process.

The only module that imports starlette and uvicorn, which the extra `label` brings.
"""

import json
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlmsel.errors import ImageError, SettingsError, VlmselError
from vlmsel.labelling.label_book import StaleLabelError
from vlmsel.labelling.page_images import PageImage
from vlmsel.labelling.request_guard import RequestGuard
from vlmsel.redaction import redact

PAGE = Path(__file__).with_name("page")
ASSETS = {"label.css": "text/css", "label.js": "text/javascript"}
HOST = "127.0.0.1"
MAX_BODY_BYTES = 64 * 2**10
TOKEN_BYTES = 24
STOP_S = 5.0


class LabelDesk(Protocol):
    """The work behind the page; methods may be called from several threads at once."""

    @property
    def title(self) -> str:
        """Name of the images."""
        ...

    def state(self) -> dict[str, Any]:
        """Return everything that the page shows but pictures and class names."""
        ...

    def classes(self) -> dict[str, Any]:
        """Return the class names."""
        ...

    def label(self, image: str, name: str | None, *, again: bool) -> None:
        """Give an image its class, or none of them."""
        ...

    def skip(self, image: str) -> None:
        """Put an image off."""
        ...

    def undo(self, last: str | None) -> None:
        """Take the last action back."""
        ...

    def add_class(self, name: str) -> None:
        """Add a class."""
        ...

    def image(self, number: int, *, is_small: bool) -> PageImage:
        """Return a picture by its place in the order."""
        ...

    def finish(self) -> None:
        """End the work."""
        ...


class PageServer:
    """A server of the page on 127.0.0.1, in a thread of this process.

    Args:
        port: of the socket; 0 takes a free one.

    Raises:
        SettingsError: the port is in use, or may not be used.
    """

    def __init__(self, port: int = 0) -> None:
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._socket = _open_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """The page's address without its token."""
        return f"http://{HOST}:{self.port}/"

    @property
    def url(self) -> str:
        """The page's address with its token, for the one person who works on it."""
        return f"{self.address}?token={self._token}"

    def start(self, desk: LabelDesk) -> None:
        """Serve a desk until `stop`."""
        app = RequestGuard(make_app(desk, self._token), token=self._token, port=self.port)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="vlmsel-page", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer what was asked and close."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(STOP_S)
        self._socket.close()


def make_app(desk: LabelDesk, token: str) -> Starlette:
    """Lay out the routes of a desk.

    Args:
        desk: the work behind the page.
        token: of this run, which the page's own links carry.
    """
    acts: dict[str, Callable[[dict[str, Any]], None]] = {
        "label": lambda given: desk.label(
            _text(given, "image"), _text_or_none(given, "label"), again=given.get("again") is True
        ),
        "skip": lambda given: desk.skip(_text(given, "image")),
        "undo": lambda given: desk.undo(_text_or_none(given, "image")),
        "class": lambda given: desk.add_class(_text(given, "name")),
        "finish": lambda _: desk.finish(),
    }
    routes = [
        Route("/", _page_of(desk, token)),
        *(Route(f"/{name}", _asset(name, kind)) for name, kind in ASSETS.items()),
        Route("/images/{number:int}", _image_of(desk)),
        Route("/api/state", _get(desk.state)),
        Route("/api/classes", _get(desk.classes)),
        *(Route(f"/api/{name}", _post(desk, act), methods=["POST"]) for name, act in acts.items()),
    ]

    return Starlette(
        routes=routes,
        exception_handlers={
            VlmselError: _answer_refusal,
            HTTPException: _plain,
            Exception: _answer_fault,
        },
    )


def _open_socket(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()
    except (OSError, OverflowError) as error:
        found.close()
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"port {port} cannot be used ({why}): give another --port, or leave it out for a "
            "free one"
        ) from None
    return found


def _page_of(desk: LabelDesk, token: str) -> Callable[[Request], Response]:
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("label.html.j2")

    def page(_: Request) -> Response:
        text = template.render(title=desk.title, token=token)
        return Response(text, media_type="text/html; charset=utf-8", headers=_uncached_headers())

    return page


def _asset(name: str, kind: str) -> Callable[[Request], Response]:
    def asset(_: Request) -> Response:
        data = (PAGE / name).read_bytes()
        return Response(data, media_type=f"{kind}; charset=utf-8", headers=_uncached_headers())

    return asset


def _image_of(desk: LabelDesk) -> Callable[[Request], Response]:
    def image(request: Request) -> Response:
        is_small = request.query_params.get("size") == "small"
        try:
            found = desk.image(request.path_params["number"], is_small=is_small)
        except ImageError as error:
            return JSONResponse({"error": redact(str(error))}, 422, headers=_uncached_headers())
        # Its address holds the digest of the contents.
        kept = {"cache-control": "private, max-age=3600"}
        return Response(found.data, media_type=found.media_type, headers=kept)

    return image


def _get(read: Callable[[], dict[str, Any]]) -> Callable[[Request], Response]:
    def endpoint(_: Request) -> Response:
        return JSONResponse(read(), headers=_uncached_headers())

    return endpoint


def _post(desk: LabelDesk, act: Callable[[dict[str, Any]], None]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        given = await _body(request)
        await run_in_threadpool(act, given)
        return JSONResponse(await run_in_threadpool(desk.state), headers=_uncached_headers())

    return endpoint


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        HTTPException: it is none, of another type, or too long.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise HTTPException(415, "send JSON")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise HTTPException(413, f"more than {MAX_BODY_BYTES} bytes")
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise HTTPException(400, "that is no JSON") from None
    if not isinstance(given, dict):
        raise HTTPException(400, "send a JSON object")
    return given


def _text(given: dict[str, Any], name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str):
        raise HTTPException(400, f"'{name}' must be a text")
    return found


def _text_or_none(given: dict[str, Any], name: str) -> str | None:
    return None if given.get(name) is None else _text(given, name)


def _answer_refusal(_: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, StaleLabelError) else 400
    return JSONResponse({"error": redact(str(error))}, status, headers=_uncached_headers())


def _plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=_uncached_headers())


def _answer_fault(_: Request, error: Exception) -> Response:
    reason = f"{type(error).__name__}; nothing was saved by this step, what was saved stays"
    return JSONResponse({"error": reason}, 500, headers=_uncached_headers())


def _uncached_headers() -> dict[str, str]:
    return {"cache-control": "no-store"}

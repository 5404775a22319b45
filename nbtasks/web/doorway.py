"""What every request passes first: whether it may come in, how large it may be; what every answer tells browsers."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from .admission import CSRF_HEADER, Admission, Denial
from .jsonanswer import refusal_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of a request's body and of its path with its query.
_MOST_BODY = 1_000_000
_TOO_LARGE = f"a body has {_MOST_BODY:,} bytes at most"
_MOST_PATH = 8_000
_READING = frozenset({"GET", "HEAD"})
_MISSING = (
    "the token is missing or wrong: open the URL that `nbtasks dashboard` has printed, or send "
    "`Authorization: Bearer TOKEN`"
)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # The address may have the token in it.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Doorway:
    """Stands before everything else.

    Args:
        prefix: of all paths, as a browser sees them; a reverse proxy may take it off or leave it.
        secure: it is reached through TLS.
        is_open: everyone may look.
    """

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        prefix: str = "",
        secure: bool = False,
        is_open: bool = False,
    ) -> None:
        self._app = app
        self._admission = admission
        self._prefix = prefix
        self._secure = secure
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Nothing here speaks WebSocket.
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if self._prefix and scope["path"] == self._prefix and scope["method"] in _READING:
            # The page's own links need the slash, and so does the path of the cookie.
            query = scope["query_string"].decode("latin-1")
            there = RedirectResponse(f"{self._prefix}/{'?' if query else ''}{query}")
            await there(scope, receive, _with_headers(send, None))
            return
        scope = {**scope, "path": self._inner(scope["path"])}
        with_cookie = _with_headers(send, None)
        refusal = self._refused(scope, headers)
        if refusal is not None:
            await _said(refusal)(scope, receive, with_cookie)
            return
        if self._brings_token(scope):
            with_cookie = _with_headers(send, self._set_cookie())
        await self._app(scope, _bounded(receive), with_cookie)

    def _inner(self, path: str) -> str:
        """Return a path without the prefix, where it has that."""
        prefix = self._prefix
        return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path

    def _refused(self, scope: Scope, headers: MutableMapping[str, str]) -> Denial | None:
        reads = scope["method"] in _READING
        if len(scope["path"]) + len(scope["query_string"]) > _MOST_PATH:
            return Denial(414, "the address is too long")
        brings = self._brings_token(scope)
        is_page = reads and brings and scope["path"] == "/" and headers.get("sec-fetch-dest") == "document"
        denial = self._admission.place_denied(headers, navigates=is_page)
        if denial is not None:
            return denial
        by_itself = brings or self._bears_token(headers)
        if not by_itself and not self._has_cookie(headers) and not (self._is_open and reads):
            return Denial(401, _MISSING)
        return None if reads else self._writing_denied(headers, by_itself)

    def _writing_denied(self, headers: MutableMapping[str, str], by_itself: bool) -> Denial | None:
        """Return why a request may change nothing; None where it may.

        Args:
            by_itself: it has the token: what browsers add of themselves is no part in that.
        """
        if not by_itself and not self._admission.is_csrf(headers.get(CSRF_HEADER, "")):
            return Denial(403, f"the header {CSRF_HEADER} is missing or wrong: reload the page")
        length = headers.get("content-length", "0")
        is_empty = by_itself and length == "0" and "transfer-encoding" not in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not is_empty:
            return Denial(415, "send JSON: Content-Type: application/json")
        if not length.isdecimal() or int(length[:20]) > _MOST_BODY:
            return Denial(413, _TOO_LARGE)
        return None

    # -- who it is

    def _brings_token(self, scope: Scope) -> bool:
        """Whether the token is in the address."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=None)
        return any(name == "token" and self._admission.is_token(value) for name, value in pairs)

    def _bears_token(self, headers: MutableMapping[str, str]) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._admission.is_token(token.strip())

    def _has_cookie(self, headers: MutableMapping[str, str]) -> bool:
        # By hand: where another server of this machine has set an odd one, http.cookies finds none that follow it.
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(
            name == self._admission.cookie_name and self._admission.is_cookie(value)
            for name, _, value in pairs
        )

    def _set_cookie(self) -> str:
        secure = "; Secure" if self._secure else ""
        return (
            f"{self._admission.cookie_name}={self._admission.cookie}; Path={self._prefix or ''}/; HttpOnly; "
            f"SameSite=Strict{secure}"
        )


def _with_headers(send: Send, cookie: str | None) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            if cookie is not None:
                headers.append("Set-Cookie", cookie)
        await send(message)

    return sending


def _bounded(receive: Receive) -> Receive:
    """Return what reads a body, and gives up where that is too large, whatever its length was said to be."""
    size = 0

    async def receiving() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > _MOST_BODY:
                raise HTTPException(413, _TOO_LARGE)
        return message

    return receiving


def _said(refusal: Denial) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    return refusal_answer(refusal.status, refusal.said, headers)

"""What every request passes first, in one pure ASGI layer: its id and log line, security headers, the hosts we answer
to, no writes from other sites, no bodies without end."""

import json
import logging
import re
import secrets
from functools import cache, lru_cache
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.settings import Settings
from portal.web import Wiring, error_response

log = logging.getLogger("portal.requests")

MEGABYTE = 1024 * 1024
BODY_LIMIT = MEGABYTE
ROOM_FOR_FILES = {
    "/staff/import": 21 * MEGABYTE,
    "/details/portrait": 11 * MEGABYTE,
    "/staff/settings/portrait": 11 * MEGABYTE,
    "/messages": 52 * MEGABYTE,
    "/staff/messages": 52 * MEGABYTE,
    "/admin/lessons": 11 * MEGABYTE,
}
"""Paths (and what is below them) where people upload files: the largest file, and the form around it."""

FROM_ANYWHERE = ("/unsubscribe/",)
"""POSTs that mail programs send by themselves, without cookies (RFC 8058, one-click)."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would also turn the Origin of our own forms into "null".
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"


def secure(response: Response, settings: Settings) -> Response:
    """The same response with the headers; for the one that is sent outside this layer (a crash)."""
    _add_headers(response.headers, settings)
    return response


def _add_headers(headers: MutableHeaders, settings: Settings) -> None:
    there = {name for name, _ in headers.raw}
    headers.raw.extend(each for each in _security_headers(settings.secure_cookies) if each[0] not in there)


@cache
def _security_headers(https: bool) -> tuple[tuple[bytes, bytes], ...]:
    wanted = SECURITY_HEADERS | ({"Strict-Transport-Security": STRICT_TRANSPORT} if https else {})
    return tuple((name.lower().encode(), value.encode()) for name, value in wanted.items())


class FrontDoor:
    """The layer itself."""

    def __init__(self, app: ASGIApp, wiring: Wiring) -> None:
        self.app = app
        self.wiring = wiring
        self.settings = wiring.settings
        self.hosts = frozenset(host.lower() for host in self.settings.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        status = 500
        scope["wiring"] = self.wiring
        scope["request_id"] = request_id = secrets.token_hex(8)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                _add_headers(headers, self.settings)
                headers.raw.append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send_with_headers)
            else:
                await self.app(scope, _limited(receive, _body_limit(scope["path"])), send_with_headers)
        finally:
            _write_line(scope, status=status, milliseconds=(perf_counter() - began) * 1000)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that goes no further, or None."""
        headers = Headers(scope=scope)
        if _hostname(headers.get("host", "")) not in self.hosts:
            return PlainTextResponse("This address is not served here.\n", 400)
        if _is_from_elsewhere(scope, headers):
            return error_response(HTTPConnection(scope), 403)
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > 18:
            return error_response(HTTPConnection(scope), 400)
        if int(length) > _body_limit(scope["path"]):
            return error_response(HTTPConnection(scope), 413, headers={"Connection": "close"})
        return None


@lru_cache(maxsize=100)
def _hostname(host: str) -> str:
    """`Portal.Example:8000` is `portal.example`; `[::1]:8000` is `::1`."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if re.fullmatch(r"[\w.\-\[\]:]+", host, re.ASCII) else ""
    except ValueError:
        return ""


def _is_from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Whether another site made the browser send this. Browsers tell with Sec-Fetch-Site, older ones with Origin; where
    both are missing it is no browser, and has nobody's cookies to abuse (words.filippo.io/csrf)."""
    path: str = scope["path"]
    if scope["method"] in ("GET", "HEAD", "OPTIONS") or path.startswith(FROM_ANYWHERE):
        return False
    if path.startswith("/api/") and headers.get("authorization", "").lower().startswith("bearer "):
        return False  # no cookie counts there
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _body_limit(path: str) -> int:
    for prefix, limit in ROOM_FOR_FILES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return limit
    return BODY_LIMIT


def _limited(receive: Receive, limit: int) -> Receive:
    """The same body, for whoever sends it without saying its length: 413 once it is too long."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413)
        return message

    return receive_limited


_LONG = re.compile(r"[A-Za-z0-9._~-]{20,}|[^/]*@[^/]*")


def masked(path: str) -> str:
    """The path as a log may have it: what could be a token or an address is `…`. Never a query string."""
    if path.startswith("/static/"):
        return path
    return "/".join("…" if _LONG.fullmatch(part) else part for part in path[:300].split("/"))


def _write_line(scope: Scope, *, status: int, milliseconds: float) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    line: dict[str, Any] = {
        "request": scope["request_id"],
        "method": scope["method"],
        "path": masked(scope["path"]),
        "status": status,
        "ms": round(milliseconds, 1),
    }
    log.info(json.dumps(line, ensure_ascii=False))

"""The product's server, or the same one with a page's values held in memory: what the page costs without its data.

python -m bench.serving URL              the portal
python -m bench.serving URL --floor FILE the customer's home from values captured once, for the cookies in FILE
"""

import argparse
import asyncio
import itertools
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from bench.filling import NOW, settings_for
from portal.app import CUSTOMER_SHELL, create_app, spare_what_is_loaded
from portal.clock import FixedClock
from portal.deps import AskOfCustomer, PublicAsk, public_pages
from portal.forms import FormFields
from portal.routes.customer import home
from portal.web import SESSION_COOKIE

AT_MOST_SECONDS = 170
"""A server that nobody stopped stops by itself."""


class Shown(NamedTuple):
    """What a page was about to show, and to whom."""

    me: Any
    template: str
    values: dict[str, Any]


class Capturing(AskOfCustomer):
    """A request that keeps the page instead of rendering it."""

    shown: Shown

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        for shell in CUSTOMER_SHELL:  # what the frame asks for by itself, asked now
            values |= {name: partial(lambda known: known, ask()) for name, ask in shell(self).items() if callable(ask)}
        self.shown = Shown(self.me, template, values)
        return Response()


def capture(app: FastAPI, cookie: str) -> Shown:
    """The values of the home page of whoever holds the cookie."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"cookie", f"{SESSION_COOKIE}={cookie}".encode())],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "wiring": app.state.wiring,
    }
    ask = Capturing(Request(scope), FormFields(), {})
    call = next(route for route in home.pages.routes if getattr(route, "path", "") == "/")
    asyncio.run(call.endpoint(ask=ask))  # type: ignore[attr-defined]
    return ask.shown


def floor(app: FastAPI, cookies: Sequence[str]) -> FastAPI:
    """The same application, whose home comes from memory: same layer in front, route class, thread and template."""
    shown: Iterator[Shown] = itertools.cycle([capture(app, cookie) for cookie in cookies])
    pages = public_pages()

    @pages.get("/")
    def home_from_memory(ask: PublicAsk) -> Response:
        known = next(shown)
        ask.me = known.me
        return ask.page(known.template, **known.values)

    app.router.routes[:] = [*pages.routes, *(route for route in app.router.routes if route.path != "/")]  # type: ignore[attr-defined]
    return app


@contextmanager
def stopping_by_itself() -> Iterator[None]:
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("nobody stopped this server"))
    signal.alarm(AT_MOST_SECONDS)
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--floor", type=Path)
    parser.add_argument("--now", type=datetime.fromisoformat, default=NOW)
    given = parser.parse_args()
    app = create_app(settings_for(given.url), FixedClock(given.now))
    if given.floor:
        app = floor(app, given.floor.read_text().split())
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", access_log=False, log_config=None, server_header=False
    )
    with stopping_by_itself():
        print(listening.getsockname()[1], flush=True)
        spare_what_is_loaded()
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()

"""Answers for people: pages and blocks, redirects with a word on the way, cookies, error pages; problem+json for the API."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, Response

from portal import words
from portal.auth import Allowances
from portal.errors import N_, Refused
from portal.house import House
from portal.settings import Settings
from portal.surveys.openings import Openings
from portal.templating import render
from portal.turns import Turns

API_PREFIX = "/api/"
CUSTOMER_HOME = "/"
STAFF_HOME = "/staff/pipeline"
THEMES = ("light", "dark")
SAID_COOKIE = "said"
SESSION_COOKIE = "session"
ASKING_COOKIE = "asking"
"""Binds a sign-in link to the browser that asked for it."""
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Toast:
    """A short word about what was just done. `undo` is a URL to post to, empty where nothing can be taken back."""

    text: str
    undo: str = ""


@dataclass
class Wiring:
    """What the web layer of a process has at hand; every request carries it as `scope["wiring"]`."""

    house: House
    shells: Mapping[str, tuple[Callable[[Any], dict[str, object]], ...]]
    """By kind of reader (`customer`, `staff`): functions that give more values to every whole page (counts)."""
    is_draining: bool = field(default=False)
    allowances: Allowances = field(default_factory=Allowances)
    """What this process may still call for each API token before it asks the database again."""
    openings: Openings = field(default_factory=Openings)
    """Which links of which survey mails this process saw opened lately."""
    turns: Turns | None = field(default=None)
    """Whose turn it is to write, where the database has one writer."""

    @property
    def settings(self) -> Settings:
        return self.house.settings


def wiring_of(connection: HTTPConnection) -> Wiring:
    found = connection.scope["wiring"]
    assert isinstance(found, Wiring)  # noqa: S101 - for the types
    return found


# Who reads, as far as the browser tells


def cookie_name(settings: Settings, name: str) -> str:
    """`__Host-session` where there is https: a cookie that no other host, path or plain connection can plant."""
    return f"__Host-{name}" if settings.secure_cookies else name


def set_cookie(response: Response, settings: Settings, name: str, value: str, *, seconds: int) -> None:
    response.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=seconds,
        path="/",
        secure=settings.secure_cookies,
        httponly=True,
        samesite="lax",
    )


def delete_cookie(response: Response, settings: Settings, name: str) -> None:
    response.delete_cookie(
        cookie_name(settings, name), path="/", secure=settings.secure_cookies, httponly=True, samesite="lax"
    )


def browser_locale(connection: HTTPConnection) -> str:
    """The language of the cookie, else of the browser; else the deployment's own."""
    chosen = connection.cookies.get("language")
    if chosen in words.LOCALES:
        return chosen
    accepted = words.accepted_locales(connection.headers.get("accept-language", ""))
    return words.best_locale([*accepted, wiring_of(connection).settings.default_language])


def browser_theme(connection: HTTPConnection) -> str:
    """`light` or `dark` if it was chosen here; empty: as the system has it."""
    chosen = connection.cookies.get("theme", "")
    return chosen if chosen in THEMES else ""


def wants_fragment(connection: HTTPConnection) -> bool:
    """htmx asks for a part of a page. Boosted links and forms ask for a whole one, and Back does too."""
    return (
        connection.headers.get("hx-request-type") == "partial"
        and "hx-history-restore-request" not in connection.headers
    )


def safe_path(path: str) -> str:
    """The path if it stays on this site, else empty: `//elsewhere` and `/\\elsewhere` lead away."""
    if not path.startswith("/") or path[1:2] in ("/", "\\") or len(path) > 500:
        return ""
    return path if path.isascii() and path.isprintable() and "\\" not in path and " " not in path else ""


# A word on the way: shown once on the next page


def _signer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key.get_secret_value(), salt="said")


def say(response: Response, settings: Settings, message: str, *, undo: str, places: Mapping[str, object]) -> None:
    """Puts a sentence (a msgid) on the way to the next page. Signed: nobody else can put words into our mouth."""
    filled = {name: value if isinstance(value, int) else str(value) for name, value in places.items()}
    signed = _signer(settings).dumps([message, filled, undo])
    set_cookie(response, settings, SAID_COOKIE, str(signed), seconds=60)


def what_was_said(connection: HTTPConnection, locale: str) -> Toast | None:
    """The sentence that came along, in the reader's language."""
    settings = wiring_of(connection).settings
    cookie = connection.cookies.get(cookie_name(settings, SAID_COOKIE))
    if not cookie:
        return None
    try:
        message, places, undo = _signer(settings).loads(cookie)
    except BadSignature:
        return None
    return Toast(words.translate(locale, message, **places), undo)


# Answers


def html(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """A page. Nobody else may keep it: what is on it belongs to who asked."""
    return HTMLResponse(text, status, {"Cache-Control": "no-store", **(headers or {})})


def packed(response: Response, connection: HTTPConnection) -> Response:
    """The same answer, compressed for a browser that takes it.

    Only for pages that repeat nothing of what the request asked and hold nothing that lets somebody in: where a stranger can
    make a browser ask for a page with words of their choosing beside a secret, its length tells the secret (BREACH).
    """
    response.headers["Vary"] = ", ".join(filter(None, (response.headers.get("Vary"), "Accept-Encoding")))
    if "gzip" in connection.headers.get("accept-encoding", ""):
        response.body = gzip.compress(bytes(response.body), 4, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


FRAGMENT_HEADERS = {"Vary": "HX-Request, HX-Request-Type"}


class Trouble(NamedTuple):
    """What an error page says."""

    title: str
    message: str


TROUBLES = {
    400: Trouble(
        N_("That didn’t arrive in one piece"),
        N_("We couldn’t read what your browser sent. Please go back and try again."),
    ),
    401: Trouble(N_("Please sign in"), N_("This needs a valid access token.")),
    403: Trouble(
        N_("That’s not possible from here"),
        N_("For your safety we only accept this from our own pages. Please open the page again and repeat it there."),
    ),
    404: Trouble(N_("We couldn’t find that"), N_("It may have moved, or the link is incomplete.")),
    405: Trouble(N_("That’s not how this page works"), N_("Please go back and use the buttons on the page.")),
    409: Trouble(
        N_("That doesn’t go together"), N_("Somebody may have changed it in the meantime. Please look at it again.")
    ),
    413: Trouble(N_("That’s too large"), N_("Please send a smaller file, or a shorter text.")),
    415: Trouble(N_("We can’t read that kind of file"), N_("Please send it in another format.")),
    422: Trouble(N_("Something is missing or wrong"), N_("Please go back and check what you entered.")),
    429: Trouble(N_("A little slower, please"), N_("That was tried too often. Please wait a little and try again.")),
    500: Trouble(
        N_("Something broke on our side"),
        N_("It’s not your fault, and nothing you saved before is lost. Please try again."),
    ),
    503: Trouble(
        N_("We’ll be right back"),
        N_("We can’t reach our records for a moment. Nothing is lost; please try again in a minute."),
    ),
}


def trouble(status: int) -> Trouble:
    return TROUBLES.get(status) or TROUBLES[400 if status < 500 else 500]


def surroundings(connection: HTTPConnection, settings: Settings) -> dict[str, object]:
    """What stands around any page, as far as the browser alone tells; a page that knows its reader adds to it."""
    url = connection.url
    return {
        "path": url.path + (f"?{url.query}" if url.query else ""),
        "theme": browser_theme(connection),
        "vendor": settings.vendor_name,
        "settings": settings,
        "demo": settings.demo,
        "me": None,
        "said": None,
        "zone": settings.default_timezone,
        "may": nobody_may,
        "request_id": connection.scope.get("request_id", ""),
    }


def nobody_may(permission: str) -> bool:
    """What a page asks where nobody is signed in."""
    return False


def error_response(
    connection: HTTPConnection,
    status: int,
    *,
    refused: Refused | None = None,
    headers: Mapping[str, str] | None = None,
    locale: str = "",
) -> Response:
    """The error as its reader can use it: a page, a notice for htmx, problem+json under /api.

    `refused` gives the sentence; without it the status has its own. `locale`: of a known reader.
    """
    if connection.url.path.startswith(API_PREFIX):
        detail = str(refused) if refused else trouble(status).message
        errors = _errors(refused.problems if refused else {}, detail) if status == 422 else None
        return problem(status, detail, errors=errors, headers=headers)
    locale = locale or browser_locale(connection)
    title, message = trouble(status)
    values: dict[str, Any] = {
        **surroundings(connection, wiring_of(connection).settings),
        "status": status,
        "title": words.translate(locale, title),
        "message": words.translate(locale, message),
    }
    if refused:
        values["message"] = words.translate(locale, refused.message, **refused.values)
    if wants_fragment(connection):
        # To be read as a notice; the page that it happened on stays as it is.
        fragment = {**FRAGMENT_HEADERS, "HX-Retarget": "#notices", "HX-Reswap": "innerHTML", "HX-Push-Url": "false"}
        return html(render("_shared/notice.html", locale, values), status, {**fragment, **(headers or {})})
    return html(render("problem.html", locale, values), status, {"HX-Push-Url": "false", **(headers or {})})


def _errors(problems: Mapping[str, str], detail: str) -> list[dict[str, str]]:
    return [{"field": field, "message": message} for field, message in (problems or {"": detail}).items()]


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error of the API (RFC 9457), in English."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": trouble(status).title,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    return JSONResponse(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/problem+json")

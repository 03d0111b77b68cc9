"""Closed by default: every route of the application has a guard, and the table of who may do what is checked in.

`pytest tests/routes/test_guards.py --write-table` writes the table anew; read its diff before you commit it.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Router

from portal.accounts.rules import Role
from portal.app import create_app
from portal.auth import ApiClient, Customer, Scope, StaffMember
from portal.deps import Guard, GuardedRoute, PublicAsk, SignInFirst, Who, admit, customer_pages
from portal.errors import Refused
from portal.policy import Permission
from portal.settings import read_settings

TABLE = Path(__file__).with_name("table.txt")

UNGUARDED = {
    "/healthz",
    "/readyz",
    "/static",
    "/api/v1/openapi.json",
    "/company-sign-in/start",
    "/company-sign-in/back",
    "/demo/clock",
    "/demo/restart",
}
"""What has no guard at all: health, files, the API's description, the way to the sign-in provider and back, and the
demo's clock, which is there in the demo only."""

PUBLIC = {
    "/a/{token}",
    "/a/{token}/thanks",
    "/p/{token}",
    "/sign-in",
    "/sign-in/sent",
    "/sign-in/code",
    "/sign-in/fresh",
    "/sign-in/{token}",
    "/sign-out",
    "/sign-out/everywhere",
    "/language",
    "/theme",
    "/privacy",
    "/manifest.webmanifest",
    "/company-sign-in/confirmation",
    "/api/docs",
    "/s/{token}/meeting",
    "/times/{token}",
    "/m/{token}",
    "/meet/{token}",
    "/m/{token}/move",
    "/m/{token}/again",
    "/m/{token}/cancel",
    "/calendar/{token}.ics",
    "/media/{address}/{name}",
    "/s/{token}",
    "/s/{token}/thanks",
    "/s/{token}/fresh",
    "/s/{token}/change",
    "/s/{token}/draft",
    "/s/{token}/confirm",
    "/resolutions/{token}",
    "/quotes/{token}",
    "/demo/person",
    "/demo/mailbox",
    "/demo/mailbox/{letter}",
    "/demo/mailbox/{letter}/html",
    "/r/sent",
    "/r/thanks",
    "/r/no-contact",
    "/r/{token}",
    "/r/i/{token}",
    "/r/i/{token}/no-contact",
    "/r/confirm/{token}",
    "/join/{token}",
    "/join/{token}/no",
    "/address/{token}",
    "/unsubscribe/{token}",
}
"""Pages for anyone. A new one is a new line here: think first about who could come."""

ACTORS: dict[str, Any] = {
    "stranger": None,
    "customer": Customer(1, 1, 1, "Maria", "maria@lumen.example", "en", "UTC", True, "Lumen"),
    **{role.value: StaffMember(1, 1, role.value, "s@onward.example", role, "en", "UTC") for role in Role},
}
CLIENTS: dict[str, Any] = {
    "no token": None,
    "token to read": ApiClient(1, "crm", Scope.READ, None),
    "token to write": ApiClient(1, "crm", Scope.WRITE, None),
}


@pytest.fixture
def whole_app(tmp_path: Path) -> Iterator[FastAPI]:
    """The application with every optional part switched on. No request is made, so no database is needed."""
    app = create_app(
        read_settings(
            {
                "PORTAL_DATA_DIR": str(tmp_path),
                "PORTAL_DEMO": "1",
                "PORTAL_METRICS": "1",
                "PORTAL_OIDC_ISSUER": "https://id.example",
                "PORTAL_OIDC_CLIENT_ID": "onward",
            }
        )
    )
    yield app
    app.state.wiring.house.database.close()


def all_routes(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, BaseRoute]]:
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount) and _router(route.app) is not None:
            yield from all_routes(_router(route.app).routes, path)
        else:
            yield path, route


def _router(app: Any) -> Any:
    """The router at the bottom of a mounted application, under its middleware."""
    while not isinstance(app, (Router, FastAPI)) and hasattr(app, "app"):
        app = app.app
    return app if isinstance(app, (Router, FastAPI)) else None


def test_every_route_has_a_guard_or_is_named(whole_app: FastAPI) -> None:
    unguarded = {path for path, route in all_routes(whole_app.routes) if not isinstance(route, GuardedRoute)}
    assert unguarded == UNGUARDED


def test_the_public_pages_are_those_named(whole_app: FastAPI) -> None:
    public = {
        path
        for path, route in all_routes(whole_app.routes)
        if isinstance(route, GuardedRoute) and route.guard.who in (Who.ANYONE, Who.NOBODY)
    }
    assert public == PUBLIC


def test_no_two_routes_answer_the_same(whole_app: FastAPI) -> None:
    seen = [
        (path, method)
        for path, route in all_routes(whole_app.routes)
        for method in sorted(getattr(route, "methods", None) or ())
    ]
    assert sorted(seen) == sorted(set(seen))


def test_who_may_do_what_is_as_the_table_says(whole_app: FastAPI, pytestconfig: pytest.Config) -> None:
    table = "\n".join(lines(whole_app)) + "\n"
    if pytestconfig.getoption("--write-table"):
        TABLE.write_text(table, encoding="utf-8")
    assert table == TABLE.read_text(encoding="utf-8")


def lines(app: FastAPI) -> Iterator[str]:
    """One line a route and method: what each actor meets there."""
    rows = []
    for path, route in all_routes(app.routes):
        if not isinstance(route, GuardedRoute):
            continue
        actors = CLIENTS if route.guard.who is Who.API else ACTORS
        met = ", ".join(f"{name}: {outcome(route.guard, me)}" for name, me in actors.items())
        rows += [f"{path} {method} | {met}" for method in sorted(route.methods - {"HEAD"})]
    yield from sorted(rows)


def outcome(guard: Guard, me: Any) -> str:
    """What really happens when they knock: the guard itself decides."""
    ask: Any = SimpleNamespace(me=me, _may=lambda permission: isinstance(me, StaffMember) and me.may(permission))
    try:
        admit(guard, ask)
    except SignInFirst:
        return "sign in"
    except Refused as refused:
        return str(refused.status)
    return "in"


def test_the_outcomes_are_what_the_architecture_says() -> None:
    """A stranger signs in, the wrong kind of person finds nothing, staff without the permission are told so."""
    staff = Guard(Who.STAFF, permission=None)
    assert {name: outcome(staff, me) for name, me in ACTORS.items()} == {
        "stranger": "sign in",
        "customer": "404",
        "consultant": "in",
        "manager": "in",
        "administrator": "in",
    }
    figures = Guard(Who.STAFF, permission=Permission.SEE_FIGURES)
    assert {name: outcome(figures, me) for name, me in ACTORS.items()} == {
        "stranger": "sign in",
        "customer": "404",
        "consultant": "403",
        "manager": "in",
        "administrator": "in",
    }
    customer = Guard(Who.CUSTOMER)
    assert {name: outcome(customer, me) for name, me in ACTORS.items()} == {
        "stranger": "sign in",
        "customer": "in",
        "consultant": "404",
        "manager": "404",
        "administrator": "404",
    }
    writing = Guard(Who.API, scope=Scope.WRITE)
    assert {name: outcome(writing, me) for name, me in CLIENTS.items()} == {
        "no token": "401",
        "token to read": "403",
        "token to write": "in",
    }


def test_a_route_that_asks_for_the_wrong_person_does_not_start() -> None:
    pages = customer_pages()
    with pytest.raises(TypeError, match="a route is a plain function of `ask: AskOfCustomer`"):

        @pages.get("/wrong")
        def wrong(ask: PublicAsk) -> None:
            """Asks as anyone on a customer's page."""

"""Signing in by a mailed link."""

import re
from collections.abc import Callable

from sqlalchemy import select
from starlette.testclient import TestClient

from portal import auth
from portal.auth import BrowserSession, SignInLink
from portal.db import Database
from portal.mail import LetterRow

SECRET = "a secret for tests that nobody needs to keep"


def test_smoke(cast, browser, database) -> None:
    b = browser()
    r = b.get("/sign-in")
    assert r.status_code == 200, r.text
    r = b.post("/sign-in", data={"email": "maria@lumen.example"})
    assert r.status_code == 303, r.text
    r = b.get("/sign-in/sent")
    assert r.status_code == 200, r.text
    with database.read() as db:
        link = db.scalar(select(SignInLink))
        path = auth.link_path(SECRET, link)
    r = b.get(path)
    assert r.status_code == 200
    r = b.post(path)
    assert r.status_code == 303, r.text
    print(r.headers)
    r = b.get("/nowhere")
    print(r.text[:3000], r.headers)

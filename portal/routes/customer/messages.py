"""The thread with one's consultant: read, write, send files along. And every other way to reach them, around every page."""

import functools
from typing import Any

from starlette.responses import Response

from portal.deps import AskOfCustomer, CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound
from portal.forms import Filled
from portal.messages import actions, queries
from portal.messages.actions import Draft
from portal.routes import thread

pages = customer_pages()

BASE = "/messages"


def shell(ask: Any) -> dict[str, object]:
    """How to reach us, and how much is unread. Asked by the frame alone, so that fragments don't pay for it."""
    account_id = getattr(ask.me, "account_id", None)
    if account_id is None:
        return {}
    contact_id = ask.me.contact_id
    return {
        "reachable": functools.cache(lambda: queries.reachable(ask.db, account_id=account_id, contact_id=contact_id))
    }


@pages.get("/messages")
def messages(ask: CustomerAsk) -> Response:
    """The thread's newest messages, or (`before`) an earlier stretch of it."""
    _may_see(ask)
    before = thread.number(ask.query.get("before", ""))
    if before and ask.htmx:
        return ask.block("customer/messages.html", "stretch", **_shown(ask, before=before))
    return _page(ask, thread.empty_message(), before=before)


@pages.get("/messages/newer")
def newer(ask: CustomerAsk) -> Response:
    """What was written after a message; nothing (204) where that was the last."""
    _may_see(ask)
    after = thread.number(ask.query.get("after", ""))
    shown = _shown(ask, after=after)
    if not shown["thread"].lines:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    shown["previous_at"] = queries.moment_of(ask.db, ask.me.account_id, after)
    return ask.block("customer/messages.html", "stretch", **shown)


@pages.post("/messages")
def write(ask: CustomerAsk) -> Response:
    """Posts a message. What was typed stays where it is refused."""
    _may_see(ask)
    filled, files = thread.read_message(ask)
    if filled.value is None:
        return _page(ask, filled)
    draft = Draft(
        account_id=ask.me.account_id,
        contact_id=ask.me.contact_id,
        text=filled.value.text,
        key=thread.form_key(filled.value, ask.me.by),
        files=files,
    )
    message_id = actions.post(ask.db, ask.house, draft, now=ask.now)
    if ask.htmx:
        return ask.block(
            "customer/messages.html", "conversation", form=thread.empty_message(), is_sent=True, **_shown(ask)
        )
    return ask.see_other(f"{BASE}#m{message_id}", said=N_("Sent."))


@pages.post("/messages/read")
def read(ask: CustomerAsk) -> Response:
    """Notes that everything up to a message was seen."""
    _may_see(ask)
    up_to = thread.number(ask.form.get("to", ""))
    actions.mark_read(ask.db, account_id=ask.me.account_id, up_to=up_to, contact_id=ask.me.contact_id, now=ask.now)
    if ask.htmx:
        return ask.block("_shared/thread_read.html", "read", unread_now=0)
    return ask.see_other(BASE)


@pages.get("/messages/{message}/files/{file}")
def attachment(ask: CustomerAsk, message: Id, file: Id) -> Response:
    """A picture or file of one's own thread."""
    _may_see(ask)
    found = queries.file_of(ask.db, account_id=ask.me.account_id, message_id=message, medium_id=file)
    if found is None:
        raise NotFound
    return ask.kept(found)


def _may_see(ask: AskOfCustomer) -> None:
    if not queries.may_see_thread(ask.db, account_id=ask.me.account_id, contact_id=ask.me.contact_id):
        raise NotFound


def _page(ask: AskOfCustomer, form: Filled[Any], *, before: int = 0) -> Response:
    shown = _shown(ask, before=before)
    if form.errors:
        return ask.invalid("customer/messages.html", "conversation", form=form, is_sent=False, **shown)
    return ask.page("customer/messages.html", form=form, is_sent=False, **shown)


def _shown(ask: AskOfCustomer, *, before: int = 0, after: int = 0) -> dict[str, Any]:
    found = queries.thread(ask.db, ask.me.account_id, contact_id=ask.me.contact_id, before=before, after=after)
    return {"is_earlier": bool(before), **thread.shown(found, base=BASE, is_staff=False, reader_id=ask.me.contact_id)}

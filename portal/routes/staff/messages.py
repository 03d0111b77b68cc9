"""What customers write: the threads, and each of them with a place to answer."""

import functools
from typing import Any

from starlette.responses import Response

from portal.accounts import queries as accounts
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import Filled
from portal.messages import actions, queries
from portal.messages.actions import Draft
from portal.messages.rules import WHY
from portal.policy import Permission
from portal.routes import thread
from portal.routes.staff.whose import whose

pages = staff_pages(Permission.TALK_TO_CUSTOMERS)


def shell(ask: Any) -> dict[str, object]:
    """How many threads of mine hold something that I haven't seen; asked by the frame alone."""
    staff_id = getattr(ask.me, "staff_id", None)
    if staff_id is None:
        return {}
    return {"unread_threads": functools.cache(lambda: queries.count_unread_threads(ask.db, staff_id))}


@pages.get("/messages")
def threads(ask: StaffAsk) -> Response:
    """Every thread, unread ones first; and what came by mail that is nobody's message."""
    shown = whose(ask, asked=ask.query.get("owner", ""))
    return ask.page(
        "staff/threads.html",
        whose=shown,
        threads=queries.threads(ask.db, ask.me.staff_id, owner_id=shown.owner_id),
        aside=queries.set_aside(ask.db),
        trouble=queries.imap_trouble(ask.db),
        why=WHY,
    )


@pages.get("/messages/{account}")
def messages(ask: StaffAsk, account: Id) -> Response:
    """One customer's thread, or (`before`) an earlier stretch of it."""
    before = thread.number(ask.query.get("before", ""))
    if before and ask.htmx:
        return ask.block("staff/messages.html", "stretch", **_shown(ask, account, before=before))
    return _page(ask, account, thread.empty_message(), before=before)


@pages.get("/messages/{account}/newer")
def newer(ask: StaffAsk, account: Id) -> Response:
    """What was written after a message; nothing (204) where that was the last."""
    after = thread.number(ask.query.get("after", ""))
    shown = _shown(ask, account, after=after)
    if not shown["thread"].lines:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    shown["previous_at"] = queries.moment_of(ask.db, account, after)
    return ask.block("staff/messages.html", "stretch", **shown)


@pages.post("/messages/{account}")
def write(ask: StaffAsk, account: Id) -> Response:
    """Answers the customer; they get it by mail as well."""
    filled, files = thread.read_message(ask)
    if filled.value is None:
        return _page(ask, account, filled)
    draft = Draft(
        account_id=account,
        staff_id=ask.me.staff_id,
        text=filled.value.text,
        key=thread.form_key(filled.value, ask.me.by),
        files=files,
    )
    message_id = actions.post(ask.db, ask.house, draft, now=ask.now)
    if ask.htmx:
        shown = _shown(ask, account)
        return ask.block("staff/messages.html", "conversation", form=thread.empty_message(), is_sent=True, **shown)
    return ask.see_other(f"/staff/messages/{account}#m{message_id}", said=N_("Sent. They get it by mail as well."))


@pages.post("/messages/{account}/read")
def read(ask: StaffAsk, account: Id) -> Response:
    """Notes that everything up to a message was seen."""
    if accounts.account(ask.db, account) is None:
        raise NotFound
    up_to = thread.number(ask.form.get("to", ""))
    actions.mark_read(ask.db, account_id=account, up_to=up_to, staff_id=ask.me.staff_id, now=ask.now)
    if ask.htmx:
        return ask.block(
            "_shared/thread_read.html", "read", unread_now=queries.count_unread_threads(ask.db, ask.me.staff_id)
        )
    return ask.see_other(f"/staff/messages/{account}")


@pages.post("/messages/{account}/mails/{mail}/read")
def put_away(ask: StaffAsk, account: Id, mail: Id) -> Response:
    """A mail that was set aside has been read."""
    actions.put_away(ask.db, mail_id=mail, account_id=account, by=ask.me.by, now=ask.now)
    return ask.see_other(ask.came_from if ask.came_from.startswith("/staff/") else f"/staff/messages/{account}")


@pages.get("/messages/{account}/{message}/files/{file}")
def attachment(ask: StaffAsk, account: Id, message: Id, file: Id) -> Response:
    """A picture or file of that thread."""
    found = queries.file_of(ask.db, account_id=account, message_id=message, medium_id=file)
    if found is None:
        raise NotFound
    return ask.kept(found)


def _page(ask: AskOfStaff, account_id: int, form: Filled[Any], *, before: int = 0) -> Response:
    shown = _shown(ask, account_id, before=before)
    if form.errors:
        return ask.invalid("staff/messages.html", "conversation", form=form, is_sent=False, **shown)
    return ask.page("staff/messages.html", form=form, is_sent=False, **shown)


def _shown(ask: AskOfStaff, account_id: int, *, before: int = 0, after: int = 0) -> dict[str, Any]:
    account = accounts.account(ask.db, account_id)
    if account is None:
        raise NotFound
    found = queries.thread(ask.db, account_id, staff_id=ask.me.staff_id, before=before, after=after)
    return {
        "account": account,
        "people": accounts.contacts_of(ask.db, account_id),
        "aside": queries.set_aside(ask.db, account_id=account_id),
        "why": WHY,
        "is_earlier": bool(before),
        **thread.shown(found, base=f"/staff/messages/{account_id}", is_staff=True, reader_id=ask.me.staff_id),
    }

"""One meeting by the link in its mails, without signing in: see it, move it, cancel it.

Mail scanners open links, follow them and press the only button there is. So nothing here happens by a lone button: moving
needs a time that was chosen, cancelling a box that was ticked.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.meetings import actions, queries
from portal.meetings.actions import Booking, SlotTaken
from portal.meetings.events import where
from portal.meetings.queries import MeetingLine
from portal.meetings.rules import WORDS, MeetingState
from portal.routes.picking import CHOOSE, Times, mailed_picker, span, tile, week_of
from portal.text import Paragraphs

pages = public_pages()

CAME_TO_NOTHING = (MeetingState.CANCELLED, MeetingState.MISSED)


class Goodbye(BaseModel):
    sure: bool = False
    why: Paragraphs = ""


@pages.get("/m/{token}")
def meeting(ask: PublicAsk, token: Token) -> Response:
    """When, where, with whom; and the ways to change it."""
    line = _sealed(ask, token)
    return ask.page("public/meeting.html", **_shown(ask, line, token)) if line else _broken(ask)


def _sealed(ask: Ask, token: str) -> MeetingLine | None:
    line = queries.sealed_meeting(ask.db, ask.house, token, now=ask.now)
    if line is not None:
        ask.speak_to(language=line.contact_language, timezone=line.contact_zone)
    return line


def _broken(ask: Ask) -> Response:
    """A link that was cut, or has ended: it says nothing of what it was for."""
    return ask.page("public/meeting_unknown.html", 404)


def _shown(ask: Ask, line: MeetingLine, token: str) -> dict[str, Any]:
    # In the customer's own zone, whoever is signed in in this browser: it is their meeting.
    return {
        "line": line,
        "at": f"/m/{token}",
        "zone": line.contact_zone,
        "tile": tile(line.starts_at, line.contact_zone, ask.locale),
        "hours": span(line, line.contact_zone, ask.locale),
        "where": where(line, ask.locale),
        "may_change": line.may_customer_change(ask.now),
        "is_ahead": line.is_ahead(ask.now),
        "again": line.state in CAME_TO_NOTHING,
    }


@pages.get("/m/{token}/move")
def pick_new_time(ask: PublicAsk, token: Token) -> Response:
    """Other slots of the same consultant."""
    line = _sealed(ask, token)
    return _picker(ask, line, token, form=empty_form()) if line else _broken(ask)


def _picker(
    ask: Ask,
    line: MeetingLine,
    token: str,
    *,
    form: Filled[Any],
    status: int = 200,
    gone: datetime | None = None,
) -> Response:
    shown = _shown(ask, line, token)
    if not shown["may_change"]:
        return ask.page("public/meeting.html", 409, **shown)
    slots = queries.slots(
        ask.db,
        line.staff_id,
        line.kind,
        now=ask.now,
        zone=line.contact_zone,
        holidays=ask.house.holidays,
        without_meeting=line.id,
    )
    week = week_of(
        slots,
        zone_name=line.contact_zone,
        locale=ask.locale,
        now=ask.now,
        wanted=ask.query.get("from", ""),
        chosen=form.typed.get("slot", ""),
        own=line.starts_at,
        gone=gone,
    )
    return ask.page(
        "public/slot_picker.html",
        status,
        form=form,
        week=week,
        host=queries.host_of_journey(ask.db, line.journey_id),
        words=WORDS[line.kind],
        minutes=line.minutes,
        about="",
        ways=[],
        moving=shown,
        gone=gone,
        **{**shown, "at": f"/m/{token}/move"},
    )


@pages.post("/m/{token}/move")
def move(ask: PublicAsk, token: Token) -> Response:
    """Moves it to the time that was chosen."""
    line = _sealed(ask, token)
    if line is None:
        return _broken(ask)
    filled = read_form(Times, ask.form)
    if filled.value is None:
        return _picker(ask, line, token, form=filled.with_error("slot", CHOOSE), status=422)
    starts_at, by = filled.value.slot, f"contact:{line.contact_id}"
    try:
        actions.reschedule(ask.db, ask.house, meeting_id=line.id, starts_at=starts_at, by=by, now=ask.now)
    except SlotTaken:
        return _picker(ask, line, token, form=filled, status=409, gone=starts_at)
    return ask.see_other(f"/m/{token}", said=N_("Moved. The new invitation is on its way to you."))


@pages.get("/m/{token}/cancel")
def ask_to_cancel(ask: PublicAsk, token: Token) -> Response:
    """A box to tick, a button, and room for why."""
    line = _sealed(ask, token)
    if line is None:
        return _broken(ask)
    shown = _shown(ask, line, token)
    if not shown["may_change"]:
        return ask.page("public/meeting.html", 409, **shown)
    return ask.page("public/cancel_meeting.html", form=empty_form(), **shown)


@pages.post("/m/{token}/cancel")
def cancel(ask: PublicAsk, token: Token) -> Response:
    """Cancels it, if the box is ticked; both sides are told."""
    line = _sealed(ask, token)
    if line is None:
        return _broken(ask)
    filled = read_form(Goodbye, ask.form)
    if filled.value is not None and not filled.value.sure:
        filled = filled.with_error(
            "sure", N_("Please tick the box: then we know that a person cancels, not a program.")
        )
    if filled.value is None:
        return ask.invalid("public/cancel_meeting.html", form=filled, **_shown(ask, line, token))
    why, by = filled.value.why, f"contact:{line.contact_id}"
    actions.cancel(ask.db, ask.house, meeting_id=line.id, why=why, by=by, now=ask.now)
    return ask.see_other(f"/m/{token}", said=N_("Cancelled. You can pick another time whenever it suits you."))


# Another one, after a meeting that came to nothing


@pages.get("/m/{token}/again")
def pick_again(ask: PublicAsk, token: Token) -> Response:
    """The times of the same consultant for the same kind of meeting; the one that is planned by now, if there is one."""
    line = _sealed(ask, token)
    if line is None:
        return _broken(ask)
    return _planned(ask, line) or _again_picker(ask, line, token, form=empty_form())


def _planned(ask: Ask, line: MeetingLine) -> Response | None:
    """Where a meeting that can't be booked again leads: to itself, or to the one that took its place."""
    if line.state not in CAME_TO_NOTHING:
        return ask.see_other(queries.sealed_path(ask.house, line.id, line.nonce))
    planned = queries.planned_again(ask.db, line, now=ask.now)
    return ask.see_other(queries.sealed_path(ask.house, planned.id, planned.nonce)) if planned else None


def _again_picker(
    ask: Ask,
    line: MeetingLine,
    token: str,
    *,
    form: Filled[Any],
    status: int = 200,
    gone: datetime | None = None,
) -> Response:
    return mailed_picker(
        ask,
        line.kind,
        queries.host_of_journey(ask.db, line.journey_id),
        staff_id=line.staff_id,
        zone_name=line.contact_zone,
        at=f"/m/{token}/again",
        form=form,
        status=status,
        gone=gone,
    )


@pages.post("/m/{token}/again")
def book_again(ask: PublicAsk, token: Token) -> Response:
    """Books the time that was chosen, in the way and about what the first one was. No time is chosen beforehand: whatever
    presses the button alone books nothing."""
    line = _sealed(ask, token)
    if line is None:
        return _broken(ask)
    elsewhere = _planned(ask, line)
    if elsewhere is not None:
        return elsewhere
    filled = read_form(Times, ask.form)
    if filled.value is None:
        return _again_picker(ask, line, token, form=filled.with_error("slot", CHOOSE), status=422)
    case = queries.doubt_case(ask.db, line.flag_id) if line.flag_id is not None else None
    booking = Booking(
        kind=line.kind,
        starts_at=filled.value.slot,
        journey_id=line.journey_id,
        contact_id=line.contact_id,
        staff_id=line.staff_id,
        way=line.way,
        place=line.place,
        agenda=line.agenda,
        flag_id=case.flag_id if case is not None and case.is_open else None,
    )
    try:
        made_id = actions.book(ask.db, ask.house, booking, by=f"contact:{line.contact_id}", now=ask.now)
    except SlotTaken:
        return _again_picker(ask, line, token, form=filled, status=409, gone=filled.value.slot)
    made = queries.meeting(ask.db, made_id)
    to = queries.sealed_path(ask.house, made.id, made.nonce) if made else f"/m/{token}"
    return ask.see_other(to, said=N_("Booked. The invitation is on its way to you."))

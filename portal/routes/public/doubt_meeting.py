"""After a bad answer: times to talk with one's own consultant, right there, without signing in.

Rooms don't know each other, so the route joins them: the survey's link says who answered, the answer names its case, and
the meetings room has the times.
"""

from datetime import datetime
from typing import Any, NamedTuple

from starlette.responses import Response

from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.journeys.rules import Outcome
from portal.links import seal
from portal.meetings import queries
from portal.meetings.actions import Booking, SlotTaken, book
from portal.meetings.queries import DoubtCase, Host, MeetingLine
from portal.meetings.rules import WORDS, MeetingKind, Slot, next_few
from portal.routes.picking import CHOOSE, Time, Times, few_days, week_of
from portal.surveys import actions as surveys
from portal.surveys import queries as survey_queries
from portal.surveys.paths import SURVEY
from portal.surveys.queries import SurveyPage

pages = public_pages()

AT_A_GLANCE = 3


class DoubtOffer(NamedTuple):
    """What the thank-you page of a bad answer shows: times to post to `url`, or the meeting that is planned already."""

    url: str
    host: Host
    days: tuple[tuple[str, tuple[Time, ...]], ...]
    planned: MeetingLine | None
    planned_url: str
    minutes: int


class _Open(NamedTuple):
    """An answer that still waits for somebody to put things right."""

    page: SurveyPage
    case: DoubtCase
    host: Host


def doubt_offer(ask: Ask, page: SurveyPage) -> DoubtOffer | None:
    """The next few times of the consultant of whoever gave this answer; None where it opened no case, or that is closed."""
    found = _open_case(ask, page)
    if found is None:
        return None
    planned = queries.planned_for_flag(ask.db, found.case.flag_id, now=ask.now)
    slots = [] if planned else next_few(_slots(ask, found), page.timezone, most=AT_A_GLANCE)
    token = seal(ask.house.secret, SURVEY, page.invitation_id, page.nonce)
    return DoubtOffer(
        url=f"/s/{token}/meeting",
        host=found.host,
        days=few_days(slots, zone_name=page.timezone, locale=ask.locale),
        planned=planned,
        planned_url=queries.sealed_path(ask.house, planned.id, planned.nonce) if planned else "",
        minutes=queries.terms_of(ask.db, MeetingKind.DOUBT).length_minutes,
    )


def _open_case(ask: Ask, page: SurveyPage) -> _Open | None:
    if page.outcome is not Outcome.DISSATISFIED:
        return None
    answer = surveys.counted_answer(ask.db, page.invitation_id)
    case = queries.case_of_answer(ask.db, answer.answer_id) if answer else None
    if case is None or not case.is_open:
        return None
    host = queries.host_of_journey(ask.db, case.journey_id)
    return _Open(page, case, host) if host else None


def _slots(ask: Ask, found: _Open) -> list[Slot]:
    return queries.slots(
        ask.db,
        found.host.staff_id,
        MeetingKind.DOUBT,
        now=ask.now,
        zone=found.page.timezone,
        holidays=ask.house.holidays,
    )


@pages.get("/s/{token}/meeting")
def pick(ask: PublicAsk, token: Token) -> Response:
    """All the times; where one is booked already, that one; without a case, back to the thank-you page."""
    page = survey_queries.sealed_page(ask.db, ask.house, token, ask.now)
    found = _open_case(ask, page) if page else None
    if found is None:
        return ask.see_other(f"/s/{token}/thanks")
    ask.speak_to(language=found.page.language, timezone=found.page.timezone)
    planned = queries.planned_for_flag(ask.db, found.case.flag_id, now=ask.now)
    if planned is not None:
        return ask.see_other(queries.sealed_path(ask.house, planned.id, planned.nonce))
    return _picker(ask, found, token, form=empty_form({"slot": ask.query.get("slot", "")}))


def _picker(
    ask: Ask, found: _Open, token: str, *, form: Filled[Any], status: int = 200, gone: datetime | None = None
) -> Response:
    zone_name = found.page.timezone
    week = week_of(
        _slots(ask, found),
        zone_name=zone_name,
        locale=ask.locale,
        now=ask.now,
        wanted=ask.query.get("from", ""),
        chosen=form.typed.get("slot", ""),
        gone=gone,
    )
    return ask.page(
        "public/slot_picker.html",
        status,
        form=form,
        week=week,
        host=found.host,
        words=WORDS[MeetingKind.DOUBT],
        minutes=queries.terms_of(ask.db, MeetingKind.DOUBT).length_minutes,
        about="",
        ways=[],
        at=f"/s/{token}/meeting",
        moving=None,
        gone=gone,
        zone=zone_name,
    )


@pages.post("/s/{token}/meeting")
def book_doubt(ask: PublicAsk, token: Token) -> Response:
    """Books the chosen time for this case, with what they told us as its agenda. A time must be chosen: a lone button does nothing."""
    page = survey_queries.sealed_page(ask.db, ask.house, token, ask.now)
    found = _open_case(ask, page) if page else None
    if found is None:
        return ask.see_other(f"/s/{token}/thanks")
    ask.speak_to(language=found.page.language, timezone=found.page.timezone)
    planned = queries.planned_for_flag(ask.db, found.case.flag_id, now=ask.now)
    if planned is not None:
        # Sent twice: the first one stands.
        return ask.see_other(queries.sealed_path(ask.house, planned.id, planned.nonce))
    filled = read_form(Times, ask.form)
    if filled.value is None:
        return _picker(ask, found, token, form=filled.with_error("slot", CHOOSE), status=422)
    starts_at = filled.value.slot
    booking = Booking(
        kind=MeetingKind.DOUBT,
        starts_at=starts_at,
        journey_id=found.case.journey_id,
        contact_id=found.page.contact_id,
        staff_id=found.host.staff_id,
        agenda=found.case.words,
        flag_id=found.case.flag_id,
        once=True,
    )
    try:
        meeting_id = book(ask.db, ask.house, booking, by=f"contact:{found.page.contact_id}", now=ask.now)
    except SlotTaken:
        return _picker(ask, found, token, form=filled, status=409, gone=starts_at)
    made = queries.meeting(ask.db, meeting_id)
    to = queries.sealed_path(ask.house, meeting_id, made.nonce) if made else f"/s/{token}/thanks"
    return ask.see_other(to, said=N_("Booked. The invitation is on its way to you."))

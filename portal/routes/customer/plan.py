"""The written plan: touchpoints, milestones, goals, pending issues, and what became of what the customer told us."""

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response

from portal.deps import CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound
from portal.forms import read_form
from portal.journeys import cases, queries
from portal.journeys.rules import Status
from portal.meetings.queries import Offer, offers_of_plan
from portal.meetings.rules import MeetingKind
from portal.text import Paragraphs

pages = customer_pages()


class NotSolved(BaseModel):
    words: Paragraphs = ""


@pages.get("/plan")
def plan(ask: CustomerAsk) -> Response:
    journey = queries.customer_journey(ask.db, ask.me.account_id, locale=ask.locale, now=ask.now)
    written = None
    if journey is not None:
        written = queries.plan_of(ask.db, journey.id, locale=ask.locale, zone=ask.zone, now=ask.now)
    meetings: Mapping[MeetingKind, Offer] = {}
    if journey is not None and journey.status is Status.OPEN:
        meetings = offers_of_plan(ask.db, journey.id, day_of_use=journey.day_of_use, now=ask.now)
    return ask.page(
        "customer/plan.html",
        journey=journey,
        plan=written,
        meetings=meetings,
        told_us=queries.told_us(ask.db, ask.me.contact_id),
    )


@pages.post("/told-us/{resolution}/solved")
def solved(ask: CustomerAsk, resolution: Id) -> Response:
    _mine(ask, resolution)
    cases.confirm_resolution(ask.db, resolution_id=resolution, by=ask.me.by, now=ask.now)
    return ask.see_other("/plan", said=N_("Thank you. Good to hear it’s solved."))


@pages.post("/told-us/{resolution}/not-solved")
def not_solved(ask: CustomerAsk, resolution: Id) -> Response:
    _mine(ask, resolution)
    filled = read_form(NotSolved, ask.form)
    words = filled.value.words if filled.value is not None else ""
    cases.reopen_flag(ask.db, ask.house, resolution_id=resolution, words=words, by=ask.me.by, now=ask.now)
    return ask.see_other("/plan", said=N_("Thank you for saying so. We’re on it again."))


def _mine(ask: CustomerAsk, resolution: int) -> None:
    told = queries.told_us(ask.db, ask.me.contact_id)
    if not any(line.resolution_id == resolution for line in told):
        raise NotFound

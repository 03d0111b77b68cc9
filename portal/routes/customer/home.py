"""Home: where am I, what happens next and when, the one next step."""

from datetime import datetime
from typing import NamedTuple

from starlette.responses import Response

from portal.clock import zone
from portal.deps import CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound
from portal.journeys import actions, queries
from portal.journeys.plans import MilestoneLine
from portal.journeys.queries import CustomerJourney, Plan
from portal.journeys.rules import Status
from portal.learning.queries import lessons_for
from portal.meetings.queries import Offer, next_meeting, offers_of_plan
from portal.meetings.rules import MeetingKind
from portal.surveys.queries import due_survey

pages = customer_pages()

HEADLINES = {
    "demand_analysis": N_("We’re getting to know you."),
    "first_contact": N_("Time to say hello."),
    "deployment": N_("Let’s get you up and running."),
    "follow_up_30": N_("You’re past the steep part."),
    "follow_up_60": N_("Past the first month, and climbing."),
    "follow_up_90": N_("The top is in sight."),
    "approved": N_("You’re up and running."),
}
OFFERED = {MeetingKind.KICKOFF, MeetingKind.DAY14}
PUTTING_RIGHT = N_("We’re putting it right.")
GREETINGS = (
    (5, N_("Hello, %(name)s.")),
    (12, N_("Good morning, %(name)s.")),
    (18, N_("Good afternoon, %(name)s.")),
    (24, N_("Good evening, %(name)s.")),
)


class Hello(NamedTuple):
    """The greeting and the headline, as msgids, with the first name."""

    greeting: str
    headline: str
    name: str


def hello(name: str, stage: str, now: datetime, zone_name: str, *, is_unhappy: bool = False) -> Hello:
    """What the page opens with, by the reader's time of day and their stage; no cheer for who told us of trouble."""
    hour = now.astimezone(zone(zone_name)).hour
    greeting = next(words for until, words in GREETINGS if hour < until)
    headline = PUTTING_RIGHT if is_unhappy else HEADLINES.get(stage, "")
    return Hello(greeting, headline, name.split()[0] if name.split() else name)


@pages.get("/")
def home(ask: CustomerAsk) -> Response:
    journey = queries.customer_journey(ask.db, ask.me.account_id, locale=ask.locale, now=ask.now)
    plan = None
    if journey is not None:
        plan = queries.plan_of(ask.db, journey.id, locale=ask.locale, zone=ask.zone, now=ask.now)
    told_us = queries.told_us(ask.db, ask.me.contact_id)
    on_it = next((told for told in told_us if told.closed_at is None), None)
    stage = journey.stage.key if journey else ""
    meeting = next_meeting(ask.db, contact_id=ask.me.contact_id, account_id=ask.me.account_id, now=ask.now)
    offer = None
    if meeting is None and journey is not None and plan is not None and journey.status is Status.OPEN:
        offer = _offer(ask, journey, plan)
    return ask.page(
        "customer/home.html",
        journey=journey,
        plan=plan,
        on_it=on_it,
        is_it_solved=next((told for told in told_us if told.resolution_id and not told.confirmed_at), None),
        hello=hello(ask.me.name, stage, ask.now, ask.zone, is_unhappy=on_it is not None),
        meeting=meeting,
        offer=offer,
        survey=due_survey(ask.db, ask.me.contact_id, ask.now),
        lessons=lessons_for(ask.db, ask.me.contact_id, stage, ask.locale) if journey else (),
        today=ask.now.astimezone(zone(ask.zone)).date(),
    )


def _offer(ask: CustomerAsk, journey: CustomerJourney, plan: Plan) -> Offer | None:
    """The meeting of the plan that it is time for: from the start of use on (domain.md, stage 3)."""
    of_plan = {point.key for point in plan.touchpoints if point.done_on is None}
    if journey.day_of_use is None or not of_plan & OFFERED:
        return None
    offers = offers_of_plan(ask.db, journey.id, day_of_use=journey.day_of_use, now=ask.now)
    return next((each for each in offers.values() if each.can_book and each.kind in of_plan), None)


@pages.post("/milestones/{milestone}/done")
def tick_milestone(ask: CustomerAsk, milestone: Id) -> Response:
    """Ticks, or unticks (`done=0`), one of the customer's own milestones."""
    journey = queries.customer_journey(ask.db, ask.me.account_id, locale=ask.locale, now=ask.now)
    if journey is None:
        raise NotFound
    line = _line(ask, journey.id, milestone)
    if not line.can_tick:
        raise NotFound
    done = ask.form.get("done", "1") != "0"
    actions.tick_milestone(
        ask.db, ask.house, milestone_id=milestone, journey_id=journey.id, done=done, by=ask.me.by, now=ask.now
    )
    if ask.htmx:
        line = _line(ask, journey.id, milestone)
        return ask.block("customer/milestone.html", "line", milestone=line, consultant=journey.consultant)
    back = ask.form.get("return", "/")
    return ask.see_other(
        back if back in ("/", "/plan") else "/", said=N_("Done. Nice work.") if done else N_("Open again.")
    )


def _line(ask: CustomerAsk, journey_id: int, milestone: int) -> MilestoneLine:
    plan = queries.plan_of(ask.db, journey_id, locale=ask.locale, zone=ask.zone, now=ask.now)
    found = next((m for m in plan.milestones if m.id == milestone), None)
    if found is None:
        raise NotFound
    return found

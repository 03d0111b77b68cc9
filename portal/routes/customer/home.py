"""Home: where am I, what happens next and when, the one next step."""

from datetime import datetime
from typing import NamedTuple

from starlette.responses import Response

from portal.accounts.people_queries import progress_of
from portal.accounts.rules import StartStep
from portal.clock import zone
from portal.deps import CustomerAsk, customer_pages
from portal.errors import N_
from portal.journeys import queries
from portal.journeys.queries import CustomerJourney, Plan
from portal.journeys.rules import Status
from portal.learning.queries import for_home
from portal.learning.rules import Kind, State, newest_first, recommended
from portal.meetings.queries import Offer, next_meeting, offers_of_plan
from portal.meetings.rules import MeetingKind
from portal.routes.customer.learn import reader_of
from portal.surveys.queries import due_survey
from portal.web import packed

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
START_WORDS: dict[StartStep, tuple[str, str, str]] = {
    StartStep.PLAN: (
        N_("See where things stand"),
        N_("What has been done, what comes next, and when."),
        N_("See the plan"),
    ),
    StartStep.LESSON: (
        N_("Take your first lesson"),
        N_("A few minutes, chosen for where your company is."),
        N_("Open the lesson"),
    ),
    StartStep.PREFERENCES: (
        N_("Say how you like to be reached"),
        N_("Which way, at what hours and how often: we keep to it."),
        N_("Choose"),
    ),
    StartStep.CALL: (
        N_("Meet your consultant"),
        N_("Half an hour to get to know each other, if you like."),
        N_("Pick a time"),
    ),
}
"""Each step of a colleague's start: what, why, and its button."""
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
        plan = queries.plan_of(
            ask.db, journey.id, locale=ask.locale, zone=ask.zone, now=ask.now, use_started_on=journey.use_started_on
        )
    told_us = queries.told_us(ask.db, ask.me.contact_id)
    on_it = next((told for told in told_us if told.closed_at is None), None)
    stage = journey.stage.key if journey else ""
    lessons, unread_news = for_home(ask.db, reader_of(ask), stage)
    read = [each for each in lessons if each.kind is Kind.TUTORIAL and each.state is State.DONE]
    steps = [(step.key, step.name) for step in journey.path] if journey else []
    meeting = next_meeting(ask.db, contact_id=ask.me.contact_id, account_id=ask.me.account_id, now=ask.now)
    offer = None
    if meeting is None and journey is not None and plan is not None and journey.status is Status.OPEN:
        offer = _offer(ask, journey, plan)
    page = ask.page(
        "customer/home.html",
        journey=journey,
        plan=plan,
        on_it=on_it,
        is_it_solved=next((told for told in told_us if told.resolution_id and not told.confirmed_at), None),
        hello=hello(ask.me.name, stage, ask.now, ask.zone, is_unhappy=on_it is not None),
        meeting=meeting,
        offer=offer,
        survey=due_survey(ask.db, ask.me.contact_id, ask.now),
        recommended=recommended(steps, lessons, here=stage),
        lessons=read if journey else (),
        news=sorted((each for each in lessons if each.is_unread), key=newest_first),
        unread_news=unread_news,
        today=ask.now.astimezone(zone(ask.zone)).date(),
        start=progress_of(ask.db, ask.me.contact_id),
        start_words=START_WORDS,
    )
    return packed(page, ask.request)


def _offer(ask: CustomerAsk, journey: CustomerJourney, plan: Plan) -> Offer | None:
    """The meeting of the plan that it is time for: from the start of use on."""
    of_plan = {point.key for point in plan.touchpoints if point.done_on is None}
    if journey.day_of_use is None or not of_plan & OFFERED:
        return None
    offers = offers_of_plan(ask.db, journey.id, day_of_use=journey.day_of_use, now=ask.now)
    return next((each for each in offers.values() if each.can_book and each.kind in of_plan), None)

"""Whether somebody may be asked for something now: the contact budget.

Pure functions. `judge` gets one request and what is known of its person, and says: send it, wait until then, or do that
instead. It never says "drop": what can't be sent becomes a call, a WhatsApp message, or a card in the portal. Service
mail (sign-in, bookings, what became of a flag) is nobody's budget and isn't asked about here.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from portal.accounts.rules import Channel, Frequency, Wishes, days_between, is_in_hours
from portal.clock import NO_HOLIDAYS, at_local, local_date, zone
from portal.errors import N_

DAYS_BETWEEN_SURVEYS = 14
LONGEST_WAIT = timedelta(days=14)
"""A request that would wait longer has lost its moment: something is done instead."""
DAYS_AHEAD = 30
"""How far one looks for an hour that suits: further than any row of holidays."""


class Asked(StrEnum):
    """What draws on the budget. A survey here is one of the 30/60/90 contacts, which outrank the rest, and its reminder
    belongs to it; all other surveys are further ones, or about a meeting that has just been."""

    SURVEY = "survey"
    REMINDER = "reminder"
    FURTHER = "further"
    MEETING = "meeting"
    FURTHER_REMINDER = "further_reminder"
    NEWS = "news"
    OFFER = "offer"
    REFERRAL = "referral"
    QUOTE = "quote"
    """May we show these words of yours to others?"""


OF_THE_PLAN = frozenset({Asked.SURVEY, Asked.REMINDER})
BEYOND_THE_PLAN = frozenset({Asked.FURTHER, Asked.MEETING, Asked.FURTHER_REMINDER})
"""Surveys that rank below the plan's: never more than a card where they can't be a mail."""
IN_THE_PORTAL = frozenset({Asked.NEWS, Asked.OFFER}) | BEYOND_THE_PLAN
"""What is a card where it can't be a mail; the others become a call."""
REMINDERS = frozenset({Asked.REMINDER, Asked.FURTHER_REMINDER})
WAITS_AT_MOST: dict[Asked, timedelta] = {Asked.MEETING: timedelta(days=4), Asked.QUOTE: timedelta(days=60)}
"""What loses its moment sooner than the rest: who is asked about a meeting should still have it in their ears. And what
loses none: words are as good in two months, and whoever wants to ask for them is told from when on they can."""


class Became(StrEnum):
    """What became of a request."""

    WAITING = "waiting"
    MAIL = "mail"
    CALL = "call"
    WHATSAPP = "whatsapp"
    CARD = "card"
    NOTHING = "nothing"
    """Only what has no name to wait under: an anonymous survey for somebody who can't get a mail."""


class Why(StrEnum):
    """Why a request waits, or became something else."""

    OPEN_FLAG = "open_flag"
    TOO_SOON = "too_soon"
    NO_ADDRESS = "no_address"
    REFUSED = "refused"
    PREFERS_PHONE = "prefers_phone"
    PREFERS_WHATSAPP = "prefers_whatsapp"
    PREFERS_PORTAL = "prefers_portal"
    FEWER_REQUESTS = "fewer_requests"
    BUDGET = "budget"
    MISSED_MEETING = "missed_meeting"
    OUT_OF_HOURS = "out_of_hours"
    NO_HOUR = "no_hour"
    LATE = "late"
    NO_SURVEY = "no_survey"
    PLAN_FIRST = "plan_first"
    UNDELIVERED = "undelivered"
    """Its mail failed for good, or came back."""


WHY_IT_WAITS: dict[str, str] = {
    Why.BUDGET: N_("They were asked for something less than their chosen time ago."),
    Why.MISSED_MEETING: N_("They missed a meeting that day: not the day to ask."),
    Why.OUT_OF_HOURS: N_("It was outside their hours, or no working day."),
}
"""Why something is sent later, as a sentence."""


@dataclass(frozen=True)
class Person:
    """What is known of somebody as one wants to ask them."""

    wishes: Wishes
    has_address: bool = True
    has_phone: bool = False
    refused: bool = False
    """Whether they asked not to get mails of that kind."""
    has_open_flag: bool = False
    missed_meeting_at: datetime | None = None
    """The last time it was noted that they didn't come."""
    last_asked_at: datetime | None = None
    last_survey_at: datetime | None = None
    """Of the plan's."""
    last_further_at: datetime | None = None
    """Of the other ones."""
    plan_comes_at: datetime | None = None
    """When the next contact of the plan asks them."""


@dataclass(frozen=True)
class Send:
    """Now, by mail."""


@dataclass(frozen=True)
class Wait:
    """Not before then; judged anew by that time."""

    until: datetime
    why: Why


@dataclass(frozen=True)
class Instead:
    """Not by mail: this is done instead."""

    became: Became
    why: Why


Verdict = Send | Wait | Instead


def judge(asked: Asked, person: Person, now: datetime, holidays: Container[date] = NO_HOLIDAYS) -> Verdict:
    """What is to happen with a request that would go out now."""
    if (why := _no_mail(asked, person, now)) is not None:
        return Instead(_instead(asked, why), why)
    since, why = _earliest(asked, person, now)
    opens = next_opening(asked, person.wishes, since, holidays)
    if opens is None:
        return Instead(_instead(asked, Why.NO_HOUR), Why.NO_HOUR)
    if opens <= now:
        return Send()
    why = why or Why.OUT_OF_HOURS
    is_soon = opens - now <= WAITS_AT_MOST.get(asked, LONGEST_WAIT)
    return Wait(opens, why) if is_soon else Instead(_instead(asked, why), why)


def _no_mail(asked: Asked, person: Person, now: datetime) -> Why | None:
    """Why it can't be a mail, however long one waits."""
    wishes = person.wishes
    reasons = {
        Why.OPEN_FLAG: person.has_open_flag,
        Why.TOO_SOON: _is_too_soon(asked, person, now),
        Why.PLAN_FIRST: asked in (Asked.FURTHER, Asked.MEETING) and _plan_comes(person, now),
        Why.NO_ADDRESS: not person.has_address,
        Why.REFUSED: person.refused,
        # Who likes the phone best and gave us no number can only be written to.
        Why.PREFERS_PHONE: wishes.channel is Channel.PHONE and person.has_phone,
        Why.PREFERS_WHATSAPP: wishes.channel is Channel.WHATSAPP and person.has_phone,
        Why.PREFERS_PORTAL: wishes.channel is Channel.PORTAL,
        Why.FEWER_REQUESTS: _too_often(asked, wishes.frequency),
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _is_too_soon(asked: Asked, person: Person, now: datetime) -> bool:
    """Whether they had a survey within two weeks. One of the plan's minds only its own kind: it outranks the others."""
    before: dict[Asked, tuple[datetime | None, ...]] = {Asked.SURVEY: (person.last_survey_at,)}
    before |= dict.fromkeys((Asked.FURTHER, Asked.MEETING), (person.last_survey_at, person.last_further_at))
    return any(at is not None and now - at < timedelta(days=DAYS_BETWEEN_SURVEYS) for at in before.get(asked, ()))


def _plan_comes(person: Person, now: datetime) -> bool:
    at = person.plan_comes_at
    return at is not None and at - now < timedelta(days=DAYS_BETWEEN_SURVEYS)


def _too_often(asked: Asked, frequency: Frequency) -> bool:
    """Surveys of the plan come at every frequency; a second mail about one only to who is asked as usual: for the others
    the call that follows silence is enough."""
    if asked is Asked.SURVEY:
        return False
    return frequency is not Frequency.USUAL if asked in REMINDERS else frequency is Frequency.NECESSARY


def _instead(asked: Asked, why: Why) -> Became:
    if asked in BEYOND_THE_PLAN:
        return Became.CARD
    match why:
        case Why.PREFERS_WHATSAPP:
            return Became.WHATSAPP
        case Why.PREFERS_PORTAL:
            return Became.CARD
        case Why.OPEN_FLAG:
            return Became.CALL
        case _:
            return Became.CARD if asked in IN_THE_PORTAL else Became.CALL


def _earliest(asked: Asked, person: Person, now: datetime) -> tuple[datetime, Why | None]:
    """From when on it may go out, their hours left aside, and what holds it until then."""
    since, why, wishes = now, None, person.wishes
    days = days_between(wishes)
    if asked not in OF_THE_PLAN and person.last_asked_at is not None and days is not None:
        free = person.last_asked_at + timedelta(days=days)
        if free > since:
            since, why = free, Why.BUDGET
    missed = person.missed_meeting_at
    if missed is not None and local_date(missed, wishes.timezone) == local_date(since, wishes.timezone):
        tomorrow = local_date(since, wishes.timezone) + timedelta(days=1)
        since, why = at_local(tomorrow, time(0), wishes.timezone), Why.MISSED_MEETING
    return since, why


def next_opening(
    asked: Asked, wishes: Wishes, since: datetime, holidays: Container[date] = NO_HOLIDAYS
) -> datetime | None:
    """The first instant from then on within their hours, on one of their days that is no holiday; None if there is none.

    Reminders keep to business days even for who chose the weekend.
    """
    first = since.astimezone(zone(wishes.timezone)).date()
    for offset in range(DAYS_AHEAD):
        day = first + timedelta(days=offset)
        if day.weekday() not in wishes.weekdays or day in holidays or (asked in REMINDERS and day.weekday() > 4):
            continue
        opens = max(since, at_local(day, wishes.hours_from, wishes.timezone))
        if is_in_hours(wishes, opens) and local_date(opens, wishes.timezone) == day:
            return opens
    return None


# Whom of an account


@dataclass(frozen=True)
class Colleague:
    """One of an account's people as far as it matters whom to ask."""

    id: int
    is_primary: bool
    has_address: bool
    choice: bool | None = None
    """Whether we decided that they are asked, or not; None: nobody said so."""

    @property
    def is_asked(self) -> bool:
        return self.is_primary if self.choice is None else self.choice


def whom_to_ask(people: Sequence[Colleague]) -> list[int]:
    """The main contact and whoever else was ticked, the main contact first.

    Where none of them has an address, the first colleague who has one and wasn't ruled out is asked in their place.
    """
    ranked = sorted(people, key=lambda one: (not one.is_primary, one.id))
    chosen = [one for one in ranked if one.is_asked]
    if any(one.has_address for one in chosen):
        return [one.id for one in chosen]
    others = [one for one in ranked if one.choice is not False]
    instead = next((one for one in others if one.has_address), None)
    if instead is not None:
        return [instead.id]
    return [one.id for one in chosen or others[:1]]

"""Deadlines in words, with the tone and the share that is left: "3 h left", "2 d late", "today, 17:00"."""

from collections.abc import Container
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from portal import words
from portal.clock import NO_HOLIDAYS, local_date
from portal.errors import N_
from portal.journeys.desk import ActivityLine, FlagLine
from portal.journeys.rules import business_time

_SOON = 0.3
"""Under this share of its time a clock turns amber."""


class Clock(NamedTuple):
    """A deadline: in words, how much is left (0 to 100), and its tone."""

    text: str
    percent_left: int
    tone: str
    note: str = ""


def flag_clock(
    flag: FlagLine, *, now: datetime, zone: str, locale: str, holidays: Container[date] = NO_HOLIDAYS
) -> Clock:
    """How a case stands against the time we promised, in the customer's business hours: late, due soon, half over, or
    acted on already."""

    def say(message: str, **values: object) -> str:
        return words.translate(locale, message, **values)

    until = words.day_hour_in(flag.act_by, zone, locale)
    if flag.acted_at is not None:
        on_time = flag.acted_at <= flag.act_by
        at = words.day_hour_in(flag.acted_at, zone, locale)
        note = N_("first step %(at)s, in time") if on_time else N_("first step %(at)s, too late")
        return Clock(say(N_("Under way")), 100, "ok" if on_time else "slow", say(note, at=at))
    note = say(N_("to act, by %(until)s"), until=until)
    if now >= flag.act_by:
        late = business_time(flag.act_by, now, flag.zone, holidays)
        return Clock(say(N_("%(time)s late"), time=_worked(late)), 0, "bad", note)
    left = business_time(now, flag.act_by, flag.zone, holidays)
    whole = business_time(flag.opened_at, flag.act_by, flag.zone, holidays)
    share = left / whole if whole else 0.0
    tone = "ok" if share > _SOON and not flag.is_past_half(now) else "slow"
    if flag.is_past_half(now):
        note = say(N_("to act, by %(until)s; managers see it now"), until=until)
    return Clock(say(N_("%(time)s left"), time=_worked(left)), max(1, min(100, round(share * 100))), tone, note)


def _worked(length: timedelta) -> str:
    """Business time in words; a business day has eight hours."""
    days, rest = divmod(length, timedelta(hours=8))
    if days < 1 or (days == 1 and not rest):
        return span(length)
    hours = int(rest.total_seconds() // 3600)
    return f"{days} d {hours} h" if hours and days < 3 else f"{days} d"


def span(length: timedelta) -> str:
    """`2 d 3 h`, `1 h 10 min`, `5 min`: the same signs in every language we have."""
    minutes = int(length.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours and days < 3 else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes and hours < 3 else f"{hours} h"
    return f"{max(1, minutes)} min"


class When(StrEnum):
    """The groups of the to-do list, in order."""

    OVERDUE = "overdue"
    TODAY = "today"
    TOMORROW = "tomorrow"
    LATER = "later"


WHEN: dict[When, str] = {
    When.OVERDUE: N_("Overdue"),
    When.TODAY: N_("Today"),
    When.TOMORROW: N_("Tomorrow"),
    When.LATER: N_("Later"),
}


class Todo(NamedTuple):
    """An activity as the list shows it."""

    line: ActivityLine
    due: str
    tone: str


def when(activity: ActivityLine, *, now: datetime, zone: str) -> When:
    """The group an activity belongs to today."""
    days = (local_date(activity.due_at, zone) - local_date(now, zone)).days
    if activity.due_at <= now:
        return When.OVERDUE
    return When.TODAY if days <= 0 else When.TOMORROW if days == 1 else When.LATER


def todo(activity: ActivityLine, *, now: datetime, zone: str, locale: str) -> Todo:
    """The activity with its deadline in words."""
    match when(activity, now=now, zone=zone):
        case When.OVERDUE:
            late = words.translate(locale, N_("%(time)s late"), time=span(now - activity.due_at))
            return Todo(activity, late, "bad")
        case When.TODAY:
            return Todo(activity, words.hour_in(activity.due_at, zone, locale), "slow")
        case When.TOMORROW:
            return Todo(activity, words.hour_in(activity.due_at, zone, locale), "")
        case When.LATER:
            return Todo(activity, words.day_in(activity.due_at, zone, locale), "")

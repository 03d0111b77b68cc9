"""A week of slots as every page with a picker shows it, for whoever picks: customer, reader of a mail, consultant."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from babel.dates import format_date, get_timezone_location
from pydantic import AfterValidator, AwareDatetime, BaseModel
from starlette.responses import Response

from portal import words
from portal.clock import local_date, zone
from portal.deps import Ask
from portal.errors import N_
from portal.forms import Filled
from portal.meetings import queries
from portal.meetings.queries import Host, MeetingLine
from portal.meetings.rules import WORDS, MeetingKind, Slot, Way, by_local_day, shown
from portal.text import Paragraphs

WEEK = timedelta(days=7)
CHOOSE = N_("Please choose a time.")
WAY_WORDS = {
    Way.VIDEO: (N_("Video"), "video"),
    Way.PHONE: (N_("Phone"), "phone"),
    Way.WHATSAPP: (N_("WhatsApp"), "whats"),
    Way.IN_PERSON: (N_("In person"), "pin"),
}


def _of_this_age(moment: datetime) -> datetime:
    """Years that no calendar reaches overflow on the way to UTC."""
    if not 2000 <= moment.year <= 2200:
        raise ValueError(CHOOSE)
    return moment


Instant = Annotated[AwareDatetime, AfterValidator(_of_this_age)]
"""A slot as a radio posts it."""
WallClock = Annotated[datetime, AfterValidator(_of_this_age)]
"""A time as a date-and-time input posts it, without a zone."""


class Times(BaseModel):
    """Moving: only the new time."""

    slot: Instant


class Wishes(BaseModel):
    """Booking: the time, how, and what about."""

    slot: Instant
    way: Way = Way.VIDEO
    agenda: Paragraphs = ""


class Time(NamedTuple):
    """One radio: the instant that is posted, the wall clock that is read, and how it stands."""

    value: str
    text: str
    state: str


class Day(NamedTuple):
    """A day of a week; `full` is what one without times says."""

    weekday: str
    date: str
    times: tuple[Time, ...]
    full: str


class Week(NamedTuple):
    """One week of slots. `earlier` and `later`: the dates (ISO) that the neighbouring weeks begin on, or empty."""

    title: str
    days: tuple[Day, ...]
    earlier: str
    later: str
    city: str
    is_empty: bool


class Tile(NamedTuple):
    """A date as the little calendar leaf shows it."""

    month: str
    day: str
    weekday: str


def tile(moment: datetime, zone_name: str, locale: str) -> Tile:
    """The leaf of an instant where the reader is."""
    there = local_date(moment, zone_name)
    return Tile(_formatted(there, "MMM", locale), str(there.day), _formatted(there, "EEE", locale))


def span(line: MeetingLine, zone_name: str, locale: str) -> str:
    """`10:00–10:45` where the reader is."""
    return f"{words.hour_in(line.starts_at, zone_name, locale)}–{words.hour_in(line.ends_at, zone_name, locale)}"


def week_of(
    slots: Sequence[Slot],
    *,
    zone_name: str,
    locale: str,
    now: datetime,
    wanted: str = "",
    chosen: str = "",
    own: datetime | None = None,
    gone: datetime | None = None,
) -> Week:
    """Seven days from the first one with a slot, or as many weeks later as the date `wanted` (ISO, from a query) lies.

    Not calendar weeks: on a Thursday those would show two days and hide the rest. `chosen`: what was picked before; `own`:
    the time of the meeting that is being moved; `gone`: one that somebody else has just taken, which stays visible and
    says so.
    """
    days = by_local_day(slots, zone_name)
    today = local_date(now, zone_name)
    first, last = (min(days), max(days)) if days else (today, today)
    asked = _date(wanted) or (local_date(gone, zone_name) if gone else first)
    start = first + WEEK * ((min(max(asked, first), last) - first) // WEEK)
    dates = [day for n in range(7) if (day := start + timedelta(days=n)) in days or (day.weekday() < 5 and day <= last)]
    return Week(
        title=_title(dates or [start], locale),
        days=tuple(_day(day, days.get(day, []), zone_name, locale, chosen=chosen, own=own, gone=gone) for day in dates),
        earlier=(start - WEEK).isoformat() if start > first else "",
        later=(start + WEEK).isoformat() if start + WEEK <= last else "",
        city=city(zone_name, locale),
        is_empty=not days,
    )


def city(zone_name: str, locale: str) -> str:
    """The place that a zone is named after, as the reader calls it: `São Paulo`, `Londres`."""
    return str(get_timezone_location(zone_name, locale=locale.replace("-", "_"), return_city=True))


def few_days(
    slots: Iterable[Slot], *, zone_name: str, locale: str, chosen: str = ""
) -> tuple[tuple[str, tuple[Time, ...]], ...]:
    """The given slots, each day under its date: for a handful of times right on another page."""
    return tuple(
        (words.day(day, locale), _times(every, zone_name, locale, chosen=chosen, own=None, gone=None))
        for day, every in by_local_day(slots, zone_name).items()
    )


def instant(starts_at: datetime) -> str:
    """What a radio posts: the instant, never the wall clock, which comes twice where the clock goes back."""
    return starts_at.strftime("%Y-%m-%dT%H:%MZ")


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2200 else None


def _day(
    day: date,
    slots: Sequence[Slot],
    zone_name: str,
    locale: str,
    *,
    chosen: str,
    own: datetime | None,
    gone: datetime | None,
) -> Day:
    offered = [slot for slot in shown(slots, zone_name)]
    # What was chosen or is their own is shown even between the full and half hours.
    offered += [
        slot for slot in slots if slot not in offered and (instant(slot.starts_at) == chosen or slot.starts_at == own)
    ]
    if gone is not None and local_date(gone, zone_name) == day and gone not in {slot.starts_at for slot in offered}:
        offered.append(Slot(gone, gone, gone))
    times = _times(
        sorted(offered, key=lambda slot: slot.starts_at), zone_name, locale, chosen=chosen, own=own, gone=gone
    )
    full = "" if times else words.translate(locale, N_("No times left on this day."))
    return Day(_formatted(day, "EEE", locale), words.short_day(day, locale), times, full)


def _times(
    slots: Sequence[Slot],
    zone_name: str,
    locale: str,
    *,
    chosen: str,
    own: datetime | None,
    gone: datetime | None,
) -> tuple[Time, ...]:
    texts = [words.hour_in(slot.starts_at, zone_name, locale) for slot in slots]
    twice = {text for text, count in Counter(texts).items() if count > 1}

    def state(slot: Slot) -> str:
        if slot.starts_at == gone:
            return "taken"
        if instant(slot.starts_at) == chosen:
            return "chosen"
        return "booked" if slot.starts_at == own else "free"

    return tuple(
        Time(
            instant(slot.starts_at),
            f"{text} ({slot.starts_at.astimezone(zone(zone_name)):%Z})" if text in twice else text,
            state(slot),
        )
        for slot, text in zip(slots, texts, strict=True)
    )


def _title(days: Sequence[date], locale: str) -> str:
    first, last = days[0], days[-1]
    if first == last:
        return words.short_day(first, locale)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{words.short_day(last, locale)}"
    return f"{words.short_day(first, locale)} – {words.short_day(last, locale)}"


def _formatted(day: date, pattern: str, locale: str) -> str:
    return format_date(day, pattern, locale=locale.replace("-", "_")).rstrip(".")


def mailed_picker(
    ask: Ask,
    kind: MeetingKind,
    host: Host | None,
    *,
    staff_id: int,
    zone_name: str,
    at: str,
    form: Filled[Any],
    status: int = 200,
    gone: datetime | None = None,
) -> Response:
    """The page behind a mail's link that books without signing in: a week of times of one kind of meeting, posted to `at`."""
    terms = queries.terms_of(ask.db, kind)
    slots = queries.slots(ask.db, staff_id, kind, now=ask.now, zone=zone_name, holidays=ask.house.holidays, terms=terms)
    week = week_of(
        slots,
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
        host=host,
        words=WORDS[kind],
        minutes=terms.length_minutes,
        about=terms.agenda(ask.locale),
        ways=[],
        at=at,
        moving=None,
        gone=gone,
        zone=zone_name,
    )

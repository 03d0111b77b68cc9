"""When two people can meet: the kinds of meeting, the times a consultant can offer, what one booking holds.

Everything inside is counted in ticks, quarters of an hour since 1970-01-01T00:00Z, the same unit that the database
keeps unique per consultant, so that what is offered and what can be sold never disagree.
"""

import struct
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from portal.clock import NO_HOLIDAYS, at_local, local_date, zone
from portal.errors import N_

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(minutes=15)
MIDNIGHT = time(0, 0)
ONE_DAY = timedelta(days=1)


class MeetingKind(StrEnum):
    """The four meetings of a plan."""

    KICKOFF = "kickoff"
    DAY14 = "day14"
    CHECKUP = "checkup"
    DOUBT = "doubt"


class MeetingState(StrEnum):
    """How a meeting stands. Planned says nothing of the clock: one that is over waits for somebody to say what became of it."""

    PLANNED = "planned"
    CANCELLED = "cancelled"
    HELD = "held"
    MISSED = "missed"


class Way(StrEnum):
    """How two people talk."""

    VIDEO = "video"
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    IN_PERSON = "in_person"


class Lead(StrEnum):
    """How long before a meeting somebody is reminded of it."""

    DAY = "day"
    HOUR = "hour"


class KindWords(NamedTuple):
    """What a kind is called (msgids), and what the customer gets from it."""

    customer: str
    staff: str
    purpose: str


WORDS: Mapping[MeetingKind, KindWords] = {
    MeetingKind.KICKOFF: KindWords(
        N_("Kick-off call"),
        N_("Kick-off call"),
        N_("Meet your consultant, walk through the plan and agree what good looks like."),
    ),
    MeetingKind.DAY14: KindWords(
        N_("Two-week check-in"),
        N_("Two-week check-in"),
        N_("The first doubts and the first impressions, while they are fresh."),
    ),
    MeetingKind.CHECKUP: KindWords(
        N_("Check-up"), N_("Check-up"), N_("Anything that you would like to look at together.")
    ),
    MeetingKind.DOUBT: KindWords(
        N_("Call about what you told us"),
        N_("Doubt meeting"),
        N_("We listen first. Then we agree what gets fixed, by whom and by when."),
    ),
}
SLOTS_ENOUGH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTerms:
    """What one kind of meeting takes.

    `buffer_minutes` is the consultant's pause after it, `before_minutes` the one before. `notice_hours` are hours of
    working days (`earliest_start`). `horizon_days` counts from the customer's today: the last bookable date is today plus
    that many days. Up to `changes_until_hours` before it its customer can move or cancel it; staff can at any time.
    `ways` are those that customers can choose from, in the order that they are offered.
    """

    length_minutes: int
    buffer_minutes: int
    notice_hours: int
    horizon_days: int
    before_minutes: int = 0
    changes_until_hours: int = 2
    ways: tuple[Way, ...] = (Way.VIDEO, Way.PHONE, Way.WHATSAPP)
    agenda_en: str = ""
    agenda_pt: str = ""

    def agenda(self, locale: str) -> str:
        """What such a meeting is about, in the reader's language; empty: nothing of its own."""
        return (self.agenda_pt or self.agenda_en) if locale == "pt-BR" else (self.agenda_en or self.agenda_pt)


TERMS: Mapping[MeetingKind, KindTerms] = {
    # As shipped; a deployment changes them (`models.KindSetting`).
    MeetingKind.KICKOFF: KindTerms(length_minutes=45, buffer_minutes=15, notice_hours=24, horizon_days=30),
    MeetingKind.DAY14: KindTerms(length_minutes=30, buffer_minutes=15, notice_hours=24, horizon_days=30),
    MeetingKind.CHECKUP: KindTerms(length_minutes=30, buffer_minutes=15, notice_hours=24, horizon_days=30),
    MeetingKind.DOUBT: KindTerms(length_minutes=30, buffer_minutes=15, notice_hours=4, horizon_days=10),
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time between two instants, the end not included; one without length holds nothing.

    ValueError if it ends before it starts or an instant has no zone: whoever reads a foreign calendar decides there.
    """

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise ValueError("an interval needs instants with a zone")
        if self.ends_at < self.starts_at:
            raise ValueError("an interval cannot end before it starts")


@dataclass(frozen=True, slots=True)
class Hours:
    """Wall-clock hours within one day, where the consultant is; closing at 00:00 means the midnight that ends the day.

    A shift across midnight is two of them, one on each day. ValueError if they close before they open.
    """

    opens: time
    closes: time

    def __post_init__(self) -> None:
        if self.opens.tzinfo is not None or self.closes.tzinfo is not None:
            raise ValueError("hours are wall-clock times, without a zone")
        if self.closes <= self.opens and self.closes != MIDNIGHT:
            raise ValueError("hours must close after they open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """When a consultant takes meetings, in their own zone.

    `weekly` goes by weekday, Monday 0 to Sunday 6, a weekday left out being free. `exceptions` replace the weekly hours
    of single dates: no hours is a day off, and hours given for a holiday are worked.
    """

    zone_name: str
    weekly: Mapping[int, tuple[Hours, ...]]
    exceptions: Mapping[date, tuple[Hours, ...]]
    holiday_place: str | None = None
    """Where their public holidays are those of (`BR-SP`), empty for none at all; None: those of the house."""


USUAL_WEEK: Mapping[int, tuple[Hours, ...]] = dict.fromkeys(
    range(5), (Hours(time(9, 0), time(12, 0)), Hours(time(13, 0), time(17, 0)))
)
"""The hours of a consultant who has not set any."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A meeting that can be had, in UTC: it ends at `ends_at`; the consultant is held from `held_from` until `held_until`."""

    starts_at: datetime
    ends_at: datetime
    held_until: datetime
    before_minutes: int = 0

    @property
    def held_from(self) -> datetime:
        return self.starts_at - timedelta(minutes=self.before_minutes)


def ticks(starts_at: datetime, ends_at: datetime) -> range:
    """The quarters of an hour that a stretch of time touches, as indexes since 1970-01-01T00:00Z.

    A booking keeps one row per (consultant, tick) of `ticks(slot.held_from, slot.held_until)` under a unique key: with
    the buffers, as in `free_slots`. Kept without it, two customers who book 9:00 and 9:30 at the same moment would both
    win, and the consultant would go from one call straight into the next.
    TypeError for an instant without a zone.
    """
    if ends_at <= starts_at:
        return range(0)
    return range((starts_at - EPOCH) // TICK, -((EPOCH - ends_at) // TICK))


def packed_spans(spans: Iterable[range]) -> bytes:
    """Stretches of ticks as they are stored: each once, the earliest first, first and end as four bytes each."""
    bounds = [bound for first, end in sorted({(span.start, span.stop) for span in spans}) for bound in (first, end)]
    return struct.pack(f"<{len(bounds)}I", *bounds)


def unpacked_spans(packed: bytes, window: range) -> list[range]:
    """Those of the stored stretches that touch the window."""
    bounds = struct.unpack(f"<{len(packed) // 4}I", packed)
    since, until = window.start, window.stop
    both = zip(bounds[::2], bounds[1::2], strict=True)
    return [range(first, end) for first, end in both if end > since and first < until]


def slot_at(starts_at: datetime, terms: KindTerms) -> Slot:
    """The slot of such a meeting at that instant, free or not; ValueError if it is not on a quarter of an hour."""
    if (starts_at - EPOCH) % TICK:
        raise ValueError("a meeting starts on a quarter of an hour")
    return _slot((starts_at - EPOCH) // TICK, terms)


def free_slots(
    availability: Availability,
    terms: KindTerms,
    *,
    now: datetime,
    taken: Iterable[range],
    customer_zone: str,
    holidays: Container[date] = NO_HOLIDAYS,
) -> list[Slot]:
    """Every start at which such a meeting can be booked, earliest first, one per quarter of an hour; empty if none.

    A meeting lies within the consultant's hours (its buffers may run past them), and neither it nor its buffers touch
    anything in `taken`: the ticks of other meetings with *their* buffers (held_from to held_until) and of the consultant's
    own calendar, in any order, overlapping or not. A meeting that is being moved must be left out by the caller, in the
    foreign calendar too, or it stands in its own way.
    `holidays` are dates where the consultant is. The customer's zone only decides where the last bookable day ends.
    """
    horizon = _horizon(terms, now, customer_zone)
    earliest = earliest_start(availability, terms, now=now, until=horizon, holidays=holidays)
    if earliest is None:
        return []
    starts = range(-((EPOCH - earliest) // TICK), -((EPOCH - horizon) // TICK))
    opened = _merged(
        _whole_ticks(hours)
        for day in _days(local_date(now, availability.zone_name), local_date(horizon, availability.zone_name))
        for hours in open_hours(availability, day, holidays=holidays)
    )
    held = _merged(taken)
    return [_slot(start, terms) for start in _free_starts(starts, opened, held, terms)]


def by_local_day(slots: Iterable[Slot], zone_name: str) -> dict[date, list[Slot]]:
    """The slots, given earliest first, by their date in that zone; days without any are left out.

    Where the clock goes back, two slots of a day may read the same on the wall: a page posts the instant, never the
    wall-clock time, and names the offset of both.
    """
    days: dict[date, list[Slot]] = {}
    for slot in slots:
        days.setdefault(local_date(slot.starts_at, zone_name), []).append(slot)
    return days


def earliest_start(
    availability: Availability,
    terms: KindTerms,
    *,
    now: datetime,
    until: datetime,
    holidays: Container[date] = NO_HOLIDAYS,
) -> datetime | None:
    """The instant from which the consultant has had notice enough, in UTC; None if that is not before `until`.

    Notice begins when the consultant is next at work (now, if it is within their hours) and counts the hours of their
    working days: booked on Friday at 16:00, 24 hours are over on Monday at 16:00; a doubt told on Sunday night can be
    met four hours after Monday's opening. Hours of work alone would not do: for someone who takes meetings four hours a
    week, 24 of them are six weeks, past every horizon.
    """
    left = timedelta(hours=terms.notice_hours)
    noticed = False
    for day in _days(local_date(now, availability.zone_name), local_date(until, availability.zone_name)):
        ahead = [hours for hours in open_hours(availability, day, holidays=holidays) if hours.ends_at > now]
        if not ahead:
            continue
        since = _wall_instant(day, MIDNIGHT, availability.zone_name) if noticed else max(now, ahead[0].starts_at)
        noticed = True
        over = _wall_instant(day + ONE_DAY, MIDNIGHT, availability.zone_name)
        if since + left <= over:
            return (since + left).astimezone(UTC) if since + left < until else None
        left -= over - since
    return None


def open_hours(availability: Availability, day: date, *, holidays: Container[date] = NO_HOLIDAYS) -> list[Interval]:
    """The consultant's hours on one of their dates as UTC intervals, earliest first; empty on a day off.

    An hour that the clock skips is not worked: hours that open in it open when the clock has jumped, hours that close
    in it close there. Of an hour that comes twice, the first is meant (as RFC 5545, 3.3.5 has it for calendars).
    """
    hours = availability.exceptions.get(day)
    if hours is None:
        hours = () if day in holidays else availability.weekly.get(day.weekday(), ())
    opened = (
        Interval(
            _wall_instant(day, span.opens, availability.zone_name),
            _wall_instant(day + ONE_DAY if span.closes == MIDNIGHT else day, span.closes, availability.zone_name),
        )
        for span in sorted(hours, key=lambda span: span.opens)
    )
    return [interval for interval in opened if interval.starts_at < interval.ends_at]


def shown(slots: Iterable[Slot], zone_name: str) -> list[Slot]:
    """The slots of one day that a page offers: the full and half hours of that zone, or all where those are few.

    Every quarter of an hour can be had; two dozen radios a day help nobody choose.
    """
    every = list(slots)
    round_ones = [slot for slot in every if slot.starts_at.astimezone(zone(zone_name)).minute in (0, 30)]
    return round_ones if len(round_ones) >= SLOTS_ENOUGH else every


def next_few(slots: Iterable[Slot], zone_name: str, *, most: int) -> list[Slot]:
    """The first slots to offer at a glance: from one day as many as fit without filling it, two at most, then the next day."""
    few: list[Slot] = []
    for each in by_local_day(slots, zone_name).values():
        day = shown(each, zone_name)
        # Not 9:00 and 9:30: one early in what is left of the day, one in its middle.
        few += [day[0], day[len(day) // 2]] if len(day) > 1 else day
        if len(few) >= most:
            break
    return few[:most]


OFFERED_ON_DAYS: Mapping[MeetingKind, tuple[int, int]] = {MeetingKind.KICKOFF: (0, 14), MeetingKind.DAY14: (7, 24)}
"""The first and the last day of use on which a meeting of the plan is offered by itself."""


def kinds_to_offer(known: Container[MeetingKind], day_of_use: int | None) -> tuple[MeetingKind, ...]:
    """Which meetings a customer can book by themselves, the one that fits best first.

    `known`: the kinds that are planned or were held. The kick-off comes first and only once; the two-week check-in around
    day 14 (days 7 to 24), once; a check-up whenever they like, once they have begun. Doubt meetings belong to a flag.
    """
    if MeetingKind.KICKOFF not in known and (day_of_use is None or day_of_use <= 14):
        return (MeetingKind.KICKOFF,)
    if MeetingKind.DAY14 not in known and day_of_use is not None and 7 <= day_of_use <= 24:
        return MeetingKind.DAY14, MeetingKind.CHECKUP
    return (MeetingKind.CHECKUP,)


def may_customer_change(starts_at: datetime, now: datetime, *, until_hours: int) -> bool:
    """Whether the customer can still move or cancel it by themselves."""
    return now <= starts_at - timedelta(hours=until_hours)


def reminder_at(starts_at: datetime, lead: Lead, zone_name: str) -> datetime:
    """When somebody in that zone is reminded: an hour before, or the day before at the same time on their wall."""
    if lead is Lead.HOUR:
        return starts_at - timedelta(hours=1)
    # Not 24 hours: on the day that the clock goes back, those can lie on the same date, and the mail says "tomorrow".
    local = starts_at.astimezone(zone(zone_name))
    return at_local(local.date() - ONE_DAY, local.time(), zone_name)


def is_reminder_true(starts_at: datetime, lead: Lead, zone_name: str, now: datetime) -> bool:
    """Whether a reminder still says the truth ("tomorrow", "in an hour") at the moment that it leaves."""
    if lead is Lead.HOUR:
        return now < starts_at
    return local_date(now, zone_name) == local_date(starts_at, zone_name) - ONE_DAY


def clock_change(before: datetime, after: datetime, *, zone_name: str) -> datetime:
    """The instant (UTC, to the second) of the one change of offset that lies between two instants in that zone."""
    there = zone(zone_name)
    early, late = before.astimezone(UTC), after.astimezone(UTC)
    offset = late.astimezone(there).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(there).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late


def _wall_instant(day: date, hour: time, zone_name: str) -> datetime:
    """The first instant (UTC) at which the clock there shows that time, or a later one if it skips it."""
    late = at_local(day, hour, zone_name)
    skipped = late.astimezone(zone(zone_name)).replace(tzinfo=None) - datetime.combine(day, hour)
    # `at_local` reads a skipped time with the offset from before the jump, so it lands up to an hour after it: a
    # consultant who leaves at 02:30 would be booked until 03:30. The jump itself lies within that hour.
    return clock_change(late - skipped, late, zone_name=zone_name) if skipped else late


def _horizon(terms: KindTerms, now: datetime, customer_zone: str) -> datetime:
    """The midnight that ends the customer's last bookable day, in UTC."""
    last = local_date(now, customer_zone) + timedelta(days=terms.horizon_days)
    return _wall_instant(last + ONE_DAY, MIDNIGHT, customer_zone)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _whole_ticks(hours: Interval) -> range:
    """The ticks that lie wholly within some hours: the opposite rounding of `ticks`."""
    return range(-((EPOCH - hours.starts_at) // TICK), (hours.ends_at - EPOCH) // TICK)


def _merged(ranges: Iterable[range]) -> list[range]:
    """The same ticks as separate ranges in order; ranges that touch become one (hours until and from midnight)."""
    merged: list[range] = []
    since = until = 0
    for start, stop in sorted((each.start, each.stop) for each in ranges if each):
        if start > until:
            if until > since:
                merged.append(range(since, until))
            since, until = start, stop
        elif stop > until:
            until = stop
    if until > since:
        merged.append(range(since, until))
    return merged


def _free_starts(starts: range, opened: list[range], held: list[range], terms: KindTerms) -> Iterator[int]:
    """The ticks of `starts` that fit: one walk along both lists, which are in order and free of overlaps."""
    length = timedelta(minutes=terms.length_minutes) // TICK
    before = timedelta(minutes=terms.before_minutes) // TICK
    hold = length + timedelta(minutes=terms.buffer_minutes) // TICK
    ahead = 0
    for hours in opened:
        start = max(hours.start, starts.start)
        while start + length <= hours.stop and start < starts.stop:
            while ahead < len(held) and held[ahead].stop <= start - before:
                ahead += 1
            if ahead < len(held) and held[ahead].start < start + hold:
                start = held[ahead].stop + before
            else:
                yield start
                start += 1


def _slot(tick: int, terms: KindTerms) -> Slot:
    starts_at = EPOCH + tick * TICK
    ends_at = starts_at + timedelta(minutes=terms.length_minutes)
    return Slot(starts_at, ends_at, ends_at + timedelta(minutes=terms.buffer_minutes), terms.before_minutes)

"""Free slots: what is offered, what one booking holds, and how both behave where the clock changes."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.meetings.rules import (
    EPOCH,
    TERMS,
    TICK,
    Availability,
    Hours,
    Interval,
    MeetingKind,
    Slot,
    by_local_day,
    earliest_start,
    free_slots,
    open_hours,
    packed_spans,
    slot_at,
    ticks,
    unpacked_spans,
)

NINE_TO_FIVE = (Hours(time(9), time(12)), Hours(time(13), time(17)))
ALL_DAY = (Hours(time(0), time(0)),)
EVERY_DAY = range(7)
SAO_PAULO = "America/Sao_Paulo"
MONDAY = datetime(2026, 6, 15, 12, tzinfo=UTC)
"""Monday, 9:00 in São Paulo."""


def office(zone_name: str = SAO_PAULO, exceptions: dict[date, tuple[Hours, ...]] | None = None) -> Availability:
    return Availability(zone_name=zone_name, weekly=dict.fromkeys(range(5), NINE_TO_FIVE), exceptions=exceptions or {})


def always_open(zone_name: str) -> Availability:
    return Availability(zone_name=zone_name, weekly=dict.fromkeys(EVERY_DAY, ALL_DAY), exceptions={})


def only(day: date, opens: time, closes: time, zone_name: str) -> Availability:
    return Availability(zone_name=zone_name, weekly={}, exceptions={day: (Hours(opens, closes),)})


def offered(
    availability: Availability,
    kind: MeetingKind = MeetingKind.CHECKUP,
    now: datetime = MONDAY,
    busy: Iterable[Interval] = (),
    customer_zone: str = SAO_PAULO,
    holidays: frozenset[date] = frozenset(),
) -> list[Slot]:
    taken = [ticks(each.starts_at, each.ends_at) for each in busy]
    return free_slots(availability, TERMS[kind], now=now, taken=taken, customer_zone=customer_zone, holidays=holidays)


def clocks(slots: Iterable[Slot], zone_name: str) -> list[str]:
    return [slot.starts_at.astimezone(ZoneInfo(zone_name)).strftime("%H:%M%z") for slot in slots]


def of_day(slots: list[Slot], day: date, zone_name: str = SAO_PAULO) -> list[str]:
    return [clock[:5] for clock in clocks(by_local_day(slots, zone_name).get(day, []), zone_name)]


def length(intervals: list[Interval]) -> timedelta:
    return sum((each.ends_at - each.starts_at for each in intervals), timedelta(0))


def test_the_kinds_take_what_was_agreed() -> None:
    assert {kind.value: TERMS[kind].length_minutes for kind in MeetingKind} == {
        "kickoff": 45,
        "day14": 30,
        "checkup": 30,
        "doubt": 30,
    }
    assert {(t.buffer_minutes, t.notice_hours, t.horizon_days) for k, t in TERMS.items() if k != "doubt"} == {
        (15, 24, 30)
    }
    assert TERMS[MeetingKind.DOUBT].notice_hours == 4
    assert TERMS[MeetingKind.DOUBT].horizon_days == 10


def test_every_kind_is_a_whole_number_of_ticks() -> None:
    assert [timedelta(minutes=t.length_minutes) % TICK for t in TERMS.values()] == [timedelta(0)] * len(MeetingKind)
    assert [timedelta(minutes=t.buffer_minutes) % TICK for t in TERMS.values()] == [timedelta(0)] * len(MeetingKind)


def test_a_free_day_offers_every_quarter_of_an_hour_that_fits() -> None:
    slots = offered(office(), MeetingKind.KICKOFF)
    wednesday = of_day(slots, date(2026, 6, 17))
    assert wednesday == [
        *("09:00", "09:15", "09:30", "09:45", "10:00", "10:15", "10:30", "10:45", "11:00", "11:15"),
        *("13:00", "13:15", "13:30", "13:45", "14:00", "14:15", "14:30", "14:45", "15:00", "15:15"),
        *("15:30", "15:45", "16:00", "16:15"),
    ]
    first = by_local_day(slots, SAO_PAULO)[date(2026, 6, 17)][0]
    assert first == Slot(
        datetime(2026, 6, 17, 12, tzinfo=UTC),
        datetime(2026, 6, 17, 12, 45, tzinfo=UTC),
        datetime(2026, 6, 17, 13, tzinfo=UTC),
    )
    assert {slot.starts_at.tzinfo for slot in slots} == {UTC}


def test_a_meeting_may_end_at_closing_time_and_its_buffer_after() -> None:
    last = offered(only(date(2026, 6, 17), time(9), time(9, 30), SAO_PAULO))
    assert last == []
    two_days = Availability(
        zone_name=SAO_PAULO,
        weekly={},
        exceptions={date(2026, 6, d): (Hours(time(9), time(9, 30)),) for d in (15, 17)},
    )
    assert clocks(offered(two_days), SAO_PAULO) == ["09:00-0300"]


def test_a_meeting_and_its_buffer_keep_clear_of_the_one_before_and_the_one_after() -> None:
    taken = slot_at(
        datetime(2026, 6, 17, 13, tzinfo=UTC), TERMS[MeetingKind.CHECKUP]
    )  # 10:00 to 10:30, held until 10:45
    slots = offered(office(), busy=[Interval(taken.starts_at, taken.held_until)])
    assert of_day(slots, date(2026, 6, 17))[:5] == ["09:00", "09:15", "10:45", "11:00", "11:15"]


def test_a_foreign_appointment_at_odd_minutes_blocks_only_what_it_touches() -> None:
    dentist = Interval(datetime(2026, 6, 17, 13, 5, tzinfo=UTC), datetime(2026, 6, 17, 13, 31, tzinfo=UTC))
    slots = offered(office(), busy=[dentist])
    assert of_day(slots, date(2026, 6, 17))[:4] == ["09:00", "09:15", "10:45", "11:00"]


def test_an_appointment_without_length_blocks_nothing() -> None:
    noon = datetime(2026, 6, 17, 13, 5, tzinfo=UTC)
    assert offered(office(), busy=[Interval(noon, noon)]) == offered(office())


def test_days_off_other_hours_and_holidays() -> None:
    exceptions = {
        date(2026, 6, 17): (),
        date(2026, 6, 18): (Hours(time(20), time(0)),),
        date(2026, 6, 20): (Hours(time(9), time(10)),),
        date(2026, 6, 22): (Hours(time(9), time(10)),),
    }
    slots = offered(office(exceptions=exceptions), holidays=frozenset({date(2026, 6, 19), date(2026, 6, 22)}))
    assert of_day(slots, date(2026, 6, 17)) == []
    assert of_day(slots, date(2026, 6, 18))[0] == "20:00"
    assert of_day(slots, date(2026, 6, 18))[-1] == "23:30"
    assert of_day(slots, date(2026, 6, 19)) == []
    assert of_day(slots, date(2026, 6, 20)) == ["09:00", "09:15", "09:30"]
    assert of_day(slots, date(2026, 6, 22)) == ["09:00", "09:15", "09:30"]


def test_hours_until_midnight_and_from_midnight_are_one_stretch() -> None:
    night = Availability(
        zone_name=SAO_PAULO,
        weekly={},
        exceptions={
            date(2026, 6, 15): NINE_TO_FIVE,
            date(2026, 6, 17): (Hours(time(23, 30), time(0)),),
            date(2026, 6, 18): (Hours(time(0), time(0, 30)),),
        },
    )
    assert clocks(offered(night), SAO_PAULO) == ["23:30-0300", "23:45-0300", "00:00-0300"]


def test_hours_entered_twice_or_overlapping_are_offered_once() -> None:
    twice = Availability(
        zone_name=SAO_PAULO,
        weekly=dict.fromkeys(range(5), (Hours(time(9), time(12)), Hours(time(13), time(17)), Hours(time(9), time(11)))),
        exceptions={},
    )
    assert offered(twice) == offered(office())


def test_nobody_is_offered_without_hours() -> None:
    assert offered(Availability(zone_name=SAO_PAULO, weekly={}, exceptions={})) == []


def test_the_horizon_ends_with_the_customers_day() -> None:
    slots = offered(always_open("UTC"), MeetingKind.DOUBT, now=MONDAY, customer_zone="America/New_York")
    last = slots[-1].starts_at.astimezone(ZoneInfo("America/New_York"))
    assert last.strftime("%Y-%m-%d %H:%M") == "2026-06-25 23:45"
    later = offered(always_open("UTC"), MeetingKind.KICKOFF, now=MONDAY, customer_zone="America/New_York")
    assert later[-1].starts_at.astimezone(ZoneInfo("America/New_York")).date() == date(2026, 7, 15)


@pytest.mark.parametrize(
    ("booked", "kind", "first"),
    [
        ("2026-06-15 10:07", MeetingKind.KICKOFF, "2026-06-16 10:15"),  # Monday at work: the same hour on Tuesday
        ("2026-06-19 16:00", MeetingKind.CHECKUP, "2026-06-22 16:00"),  # Friday afternoon: Monday afternoon
        ("2026-06-19 18:00", MeetingKind.CHECKUP, "2026-06-23 09:00"),  # after work on Friday: noticed on Monday
        ("2026-06-15 10:00", MeetingKind.DOUBT, "2026-06-15 14:00"),
        ("2026-06-15 15:00", MeetingKind.DOUBT, "2026-06-16 09:00"),
        ("2026-06-21 22:00", MeetingKind.DOUBT, "2026-06-22 13:00"),  # Sunday night: four hours after Monday's opening
        ("2026-06-15 12:30", MeetingKind.DOUBT, "2026-06-16 09:00"),  # at lunch: from 13:00 on
    ],
)
def test_notice_begins_when_the_consultant_is_at_work(booked: str, kind: MeetingKind, first: str) -> None:
    there = ZoneInfo(SAO_PAULO)
    now = datetime.fromisoformat(booked).replace(tzinfo=there).astimezone(UTC)
    assert offered(office(), kind, now=now)[0].starts_at == datetime.fromisoformat(first).replace(tzinfo=there)


def test_holidays_and_days_off_are_no_notice() -> None:
    friday = datetime(2026, 6, 19, 19, tzinfo=UTC)  # 16:00
    off = office(exceptions={date(2026, 6, 22): ()})
    slots = offered(off, now=friday, holidays=frozenset({date(2026, 6, 23)}))
    assert slots[0].starts_at == datetime(2026, 6, 24, 19, tzinfo=UTC)


def test_someone_who_takes_meetings_on_one_day_a_week_can_still_be_booked() -> None:
    wednesdays = Availability(zone_name=SAO_PAULO, weekly={2: (Hours(time(14), time(16)),)}, exceptions={})
    assert [day.isoformat() for day in by_local_day(offered(wednesdays), SAO_PAULO)] == [
        "2026-06-24",
        "2026-07-01",
        "2026-07-08",
        "2026-07-15",
    ]


def test_notice_that_is_not_over_before_the_horizon_leaves_nothing() -> None:
    until = MONDAY + timedelta(hours=23)
    assert earliest_start(office(), TERMS[MeetingKind.KICKOFF], now=MONDAY, until=until) is None
    assert earliest_start(office(), TERMS[MeetingKind.KICKOFF], now=MONDAY, until=until + timedelta(hours=2)) == (
        MONDAY + timedelta(hours=24)
    )


@pytest.mark.parametrize(
    ("zone_name", "before", "after"),
    [
        ("America/New_York", "2026-03-06 14:00", "2026-03-09 13:00"),
        ("America/New_York", "2026-10-30 13:00", "2026-11-02 14:00"),
        ("Europe/London", "2026-03-27 09:00", "2026-03-30 08:00"),
        ("Europe/London", "2026-10-23 08:00", "2026-10-26 09:00"),
        ("Europe/Lisbon", "2026-03-27 09:00", "2026-03-30 08:00"),
        ("Europe/Lisbon", "2026-10-23 08:00", "2026-10-26 09:00"),
        ("America/Sao_Paulo", "2018-11-02 12:00", "2018-11-05 11:00"),
        ("America/Sao_Paulo", "2019-02-15 11:00", "2019-02-18 12:00"),
    ],
)
def test_nine_oclock_stays_nine_oclock_across_a_clock_change(zone_name: str, before: str, after: str) -> None:
    friday, monday = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (before, after))
    slots = offered(office(zone_name), now=friday - timedelta(days=3), customer_zone=zone_name)
    days = by_local_day(slots, zone_name)
    assert [days[friday.date()][0].starts_at, days[monday.date()][0].starts_at] == [friday, monday]
    assert of_day(slots, friday.date(), zone_name) == of_day(slots, monday.date(), zone_name)


@pytest.mark.parametrize(
    ("zone_name", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("Europe/Lisbon", date(2026, 3, 29), 23),
        ("Europe/Lisbon", date(2026, 10, 25), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # midnight itself is skipped
        ("America/Sao_Paulo", date(2019, 2, 16), 25),  # the last hour of the day comes twice
        ("America/Sao_Paulo", date(2026, 11, 1), 24),  # no daylight saving any more
        ("Pacific/Apia", date(2011, 12, 30), 0),  # a date that Samoa never had
    ],
)
def test_a_whole_day_is_as_long_as_the_day_is(zone_name: str, day: date, hours: int) -> None:
    assert length(open_hours(always_open(zone_name), day)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone_name", "day", "opens", "closes", "starts_at", "ends_at"),
    [
        # 02:00 to 03:00 is skipped in New York, 01:00 to 02:00 in London and Lisbon, 00:00 to 01:00 in São Paulo.
        ("America/New_York", "2026-03-08", "01:00", "02:30", "2026-03-08 06:00", "2026-03-08 07:00"),
        ("America/New_York", "2026-03-08", "02:30", "04:00", "2026-03-08 07:00", "2026-03-08 08:00"),
        ("Europe/London", "2026-03-29", "00:30", "01:45", "2026-03-29 00:30", "2026-03-29 01:00"),
        ("Europe/Lisbon", "2026-03-29", "01:15", "03:00", "2026-03-29 01:00", "2026-03-29 02:00"),
        ("America/Sao_Paulo", "2018-11-04", "00:00", "02:00", "2018-11-04 03:00", "2018-11-04 04:00"),
        ("America/Sao_Paulo", "2018-11-03", "22:00", "00:00", "2018-11-04 01:00", "2018-11-04 03:00"),
        # The hour that comes twice: its first pass is meant.
        ("America/New_York", "2026-11-01", "01:30", "03:00", "2026-11-01 05:30", "2026-11-01 08:00"),
        ("America/New_York", "2026-11-01", "00:00", "01:30", "2026-11-01 04:00", "2026-11-01 05:30"),
        ("Europe/London", "2026-10-25", "01:00", "02:00", "2026-10-25 00:00", "2026-10-25 02:00"),
        ("Europe/Lisbon", "2026-10-25", "00:30", "01:30", "2026-10-24 23:30", "2026-10-25 00:30"),
        ("America/Sao_Paulo", "2019-02-16", "22:00", "23:30", "2019-02-17 00:00", "2019-02-17 01:30"),
    ],
)
def test_hours_that_meet_a_clock_change(
    zone_name: str, day: str, opens: str, closes: str, starts_at: str, ends_at: str
) -> None:
    date_there = date.fromisoformat(day)
    there = only(date_there, time.fromisoformat(opens), time.fromisoformat(closes), zone_name)
    assert open_hours(there, date_there) == [
        Interval(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (starts_at, ends_at)))
    ]


def test_hours_inside_a_skipped_hour_are_not_worked() -> None:
    day = date(2026, 3, 8)
    assert open_hours(only(day, time(2, 15), time(2, 45), "America/New_York"), day) == []


def test_slots_of_a_repeated_hour_are_two_and_of_a_skipped_hour_none() -> None:
    new_york = "America/New_York"
    autumn = offered(always_open(new_york), now=datetime(2026, 10, 28, 12, tzinfo=UTC), customer_zone=new_york)
    fold = clocks(by_local_day(autumn, new_york)[date(2026, 11, 1)], new_york)
    assert fold[2:14] == [
        *("00:30-0400", "00:45-0400", "01:00-0400", "01:15-0400", "01:30-0400", "01:45-0400"),
        *("01:00-0500", "01:15-0500", "01:30-0500", "01:45-0500", "02:00-0500", "02:15-0500"),
    ]
    spring = offered(always_open(new_york), now=datetime(2026, 3, 4, 12, tzinfo=UTC), customer_zone=new_york)
    gap = clocks(by_local_day(spring, new_york)[date(2026, 3, 8)], new_york)
    assert gap[6:10] == ["01:30-0500", "01:45-0500", "03:00-0400", "03:15-0400"]


def test_slots_are_grouped_by_the_customers_day_not_the_consultants() -> None:
    auckland = offered(office("Pacific/Auckland"), customer_zone=SAO_PAULO)
    days = by_local_day(auckland, SAO_PAULO)
    assert list(days) == sorted(days)
    assert [slot for slots in days.values() for slot in slots] == auckland
    assert of_day(auckland, date(2026, 6, 16))[0] == "18:00"  # Wednesday, 9:00 in Auckland
    assert of_day(auckland, date(2026, 6, 17))[0] == "00:00"  # Wednesday, 15:00 in Auckland


def test_a_day_that_the_clock_goes_back_into_is_still_one_day() -> None:
    # Newfoundland put its clocks back at one minute past midnight until 2011: into the day before.
    st_johns = "America/St_Johns"
    slots = offered(always_open(st_johns), now=datetime(2010, 11, 3, 12, tzinfo=UTC), customer_zone=st_johns)
    days = by_local_day(slots, st_johns)
    assert sum(len(day) for day in days.values()) == len(slots)
    assert len(days[date(2010, 11, 6)]) + len(days[date(2010, 11, 7)]) == 49 * 4


def test_ticks_are_the_quarters_of_an_hour_that_are_touched() -> None:
    noon = datetime(2026, 6, 15, 12, tzinfo=UTC)
    first = (noon - EPOCH) // TICK
    assert ticks(noon, noon + timedelta(minutes=45)) == range(first, first + 3)
    assert ticks(noon + timedelta(minutes=14), noon + timedelta(minutes=16)) == range(first, first + 2)
    assert ticks(noon, noon) == range(0)
    assert ticks(noon.astimezone(ZoneInfo(SAO_PAULO)), noon + TICK) == range(first, first + 1)
    assert ticks(EPOCH - TICK, EPOCH) == range(-1, 0)


def test_nine_and_half_past_nine_share_a_tick_because_of_the_buffer() -> None:
    nine = slot_at(datetime(2026, 6, 15, 9, tzinfo=UTC), TERMS[MeetingKind.CHECKUP])
    half_past = slot_at(datetime(2026, 6, 15, 9, 30, tzinfo=UTC), TERMS[MeetingKind.CHECKUP])
    quarter_to = slot_at(datetime(2026, 6, 15, 9, 45, tzinfo=UTC), TERMS[MeetingKind.KICKOFF])
    assert set(ticks(nine.starts_at, nine.held_until)) & set(ticks(half_past.starts_at, half_past.held_until))
    assert not set(ticks(nine.starts_at, nine.held_until)) & set(ticks(quarter_to.starts_at, quarter_to.held_until))


def test_a_slot_starts_on_a_quarter_of_an_hour() -> None:
    with pytest.raises(ValueError, match="quarter"):
        slot_at(datetime(2026, 6, 15, 9, 5, tzinfo=UTC), TERMS[MeetingKind.CHECKUP])


def test_what_makes_no_sense_is_refused() -> None:
    noon = datetime(2026, 6, 15, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="zone"):
        Interval(noon.replace(tzinfo=None), noon)
    with pytest.raises(ValueError, match="before it starts"):
        Interval(noon, noon - TICK)
    with pytest.raises(ValueError, match="after they open"):
        Hours(time(12), time(9))
    with pytest.raises(ValueError, match="without a zone"):
        Hours(time(9, tzinfo=UTC), time(12))
    with pytest.raises(TypeError):
        ticks(noon.replace(tzinfo=None), noon.replace(tzinfo=None) + TICK)


clock_times = st.integers(0, 95).map(lambda tick: time(tick // 4, tick % 4 * 15))
some_hours = st.tuples(clock_times, clock_times).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Hours(*pair))
busy_times = st.lists(
    st.tuples(st.integers(0, 12 * 24 * 60), st.integers(0, 600)).map(
        lambda pair: Interval(
            datetime(2026, 6, 15, tzinfo=UTC) + timedelta(minutes=pair[0]),
            datetime(2026, 6, 15, tzinfo=UTC) + timedelta(minutes=sum(pair)),
        )
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(some_hours, min_size=1, max_size=3),
    busy=busy_times,
    kind=st.sampled_from(MeetingKind),
    zone_name=st.sampled_from(["America/New_York", "Europe/London", "America/Sao_Paulo", "Europe/Lisbon"]),
)
def test_exactly_the_ticks_that_fit_are_offered(
    hours: list[Hours], busy: list[Interval], kind: MeetingKind, zone_name: str
) -> None:
    """Against the slowest way to say it: try every tick, look at the clock there and at every busy time (in summer)."""
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    consultant = Availability(zone_name=zone_name, weekly=dict.fromkeys(EVERY_DAY, tuple(hours)), exceptions={})
    slots = free_slots(
        consultant,
        TERMS[kind],
        now=now,
        taken=[ticks(each.starts_at, each.ends_at) for each in busy],
        customer_zone="UTC",
    )
    until = datetime(2026, 6, 16, tzinfo=UTC) + timedelta(days=TERMS[kind].horizon_days)
    first = earliest_start(consultant, TERMS[kind], now=now, until=until)
    held = {tick for taken in busy for tick in ticks(taken.starts_at, taken.ends_at)}
    expected = []
    for tick in ticks(now, until):
        slot = slot_at(EPOCH + tick * TICK, TERMS[kind])
        quarters = [
            (EPOCH + each * TICK).astimezone(ZoneInfo(zone_name)) for each in ticks(slot.starts_at, slot.ends_at)
        ]
        at_work = all(any(span.opens <= quarter.time() < span.closes for span in hours) for quarter in quarters)
        free = held.isdisjoint(ticks(slot.starts_at, slot.held_until))
        if first is not None and slot.starts_at >= first and at_work and free:
            expected.append(slot)
    assert slots == expected


def test_a_crowded_month_is_quick() -> None:
    meetings = [
        slot_at(datetime(2026, 6, 16, tzinfo=UTC) + n * timedelta(minutes=195), TERMS[MeetingKind.CHECKUP])
        for n in range(200)
    ]
    busy = [Interval(slot.starts_at, slot.held_until) for slot in meetings]
    busy += [
        Interval(start, start + timedelta(minutes=7 + n % 50))
        for n in range(2000)
        for start in [datetime(2026, 6, 15, tzinfo=UTC) + timedelta(minutes=n * 7919 % (31 * 24 * 60))]
    ]
    spent = []
    for _ in range(7):
        started = process_time()
        free_slots(
            office(),
            TERMS[MeetingKind.CHECKUP],
            now=MONDAY,
            taken=[ticks(each.starts_at, each.ends_at) for each in busy],
            customer_zone="Europe/Lisbon",
        )
        spent.append(process_time() - started)
    assert min(spent) < 0.020


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 40)), max_size=40), st.integers(0, 400))
def test_stretches_come_back_as_they_were_packed(bounds: list[tuple[int, int]], since: int) -> None:
    spans = {range(first, first + length) for first, length in bounds}
    window = range(since, since + 50)
    touching = [each for each in spans if each.stop > window.start and each.start < window.stop]
    expected = sorted(touching, key=lambda each: (each.start, each.stop))
    assert unpacked_spans(packed_spans(spans), window) == expected

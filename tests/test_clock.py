"""Time: days where the person is, business days, daylight saving; and the hours in which somebody must act on a flag."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.clock import (
    FixedClock,
    MovableClock,
    SystemClock,
    add_business_days,
    at_local,
    business_days_after,
    business_days_between,
    day_instant,
    is_business_day,
    local_date,
    next_business_day,
    zone,
)
from portal.house import public_holidays
from portal.journeys.rules import act_by

SAO_PAULO, NEW_YORK, LISBON, KIRITIMATI = "America/Sao_Paulo", "America/New_York", "Europe/Lisbon", "Pacific/Kiritimati"
ZONES = st.sampled_from((SAO_PAULO, NEW_YORK, LISBON, KIRITIMATI, "Asia/Kolkata", "Australia/Lord_Howe", "UTC"))
DATES = st.dates(date(2024, 1, 1), date(2030, 12, 31))
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))
FRIDAY, SATURDAY, MONDAY = date(2026, 3, 6), date(2026, 3, 7), date(2026, 3, 9)


def at(zone_name: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=zone(zone_name)).astimezone(UTC)  # type: ignore[misc, arg-type]


# Clocks


def test_a_fixed_clock_stands_where_it_was_put() -> None:
    clock = FixedClock(at(NEW_YORK, 2026, 3, 8, 12))
    assert clock.now() == datetime(2026, 3, 8, 16, tzinfo=UTC)
    clock.set(clock.now() + timedelta(days=90))
    assert clock.now() == datetime(2026, 6, 6, 16, tzinfo=UTC)
    with pytest.raises(ValueError, match="a moment with a zone"):
        clock.set(datetime(2026, 3, 8))


def test_a_movable_clock_is_the_machines_plus_what_it_was_moved() -> None:
    before = SystemClock().now()
    moved = MovableClock(lambda: timedelta(days=30)).now()
    assert before + timedelta(days=30) <= moved <= SystemClock().now() + timedelta(days=30)


@pytest.mark.parametrize("name", ["Nowhere/Town", "", "../../etc/passwd", "America/São_Paulo", "\0"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        zone(name)


# Days and business days


def test_day_30_is_the_start_plus_thirty_days_at_nine_where_the_customer_is() -> None:
    assert day_instant(date(2026, 3, 2), 30, SAO_PAULO) == at(SAO_PAULO, 2026, 4, 1, 9)
    assert day_instant(date(2026, 3, 2), 30, KIRITIMATI) == at(KIRITIMATI, 2026, 4, 1, 9)


def test_a_day_of_use_on_a_weekend_or_a_holiday_moves_to_the_next_business_day() -> None:
    assert day_instant(date(2026, 3, 2), 90, SAO_PAULO) == at(SAO_PAULO, 2026, 6, 1, 9)  # the 31st of May is a Sunday
    assert day_instant(date(2026, 3, 22), 30, SAO_PAULO, public_holidays("BR")) == at(SAO_PAULO, 2026, 4, 22, 9)


def test_nine_in_the_morning_stays_nine_when_the_clocks_change() -> None:
    # New York: 8 March 2026; Lisbon: 29 March and 25 October 2026
    assert day_instant(date(2026, 2, 6), 30, NEW_YORK) == datetime(2026, 3, 9, 13, tzinfo=UTC)
    assert day_instant(date(2026, 2, 5), 30, NEW_YORK) == datetime(2026, 3, 9, 13, tzinfo=UTC)  # from Saturday
    assert day_instant(date(2026, 2, 4), 30, NEW_YORK) == datetime(2026, 3, 6, 14, tzinfo=UTC)
    assert day_instant(date(2026, 9, 28), 30, LISBON) == datetime(2026, 10, 28, 9, tzinfo=UTC)


def test_the_same_moment_is_another_date_elsewhere() -> None:
    moment = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert [local_date(moment, name).day for name in (SAO_PAULO, LISBON, KIRITIMATI)] == [1, 2, 2]


def test_an_hour_that_the_clock_skips_or_repeats_is_still_one_moment() -> None:
    assert at_local(date(2026, 3, 8), time(2, 30), NEW_YORK) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert at_local(date(2026, 11, 1), time(1, 30), NEW_YORK) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # the first


@pytest.mark.parametrize(("start", "count", "end"), [(FRIDAY, 0, FRIDAY), (FRIDAY, 1, MONDAY), (SATURDAY, 0, MONDAY)])
def test_business_days_are_added(start: date, count: int, end: date) -> None:
    assert add_business_days(start, count) == end


def test_business_days_after_a_moment_keep_its_hour_where_the_person_is() -> None:
    friday = at(NEW_YORK, 2026, 3, 6, 16, 20)
    assert business_days_after(friday, 1, NEW_YORK) == at(NEW_YORK, 2026, 3, 9, 16, 20)  # the clocks went forward
    assert business_days_after(friday, 0, NEW_YORK) == friday


@given(day=DATES, count=st.integers(0, 60))
def test_as_many_business_days_lie_between_as_were_added(day: date, count: int) -> None:
    start = next_business_day(day)
    end = add_business_days(start, count)
    assert is_business_day(end)
    assert business_days_between(start, end) == count


@given(moment=MOMENTS, count=st.integers(1, 60), zone_name=ZONES)
def test_a_limit_in_business_days_ends_on_one_and_grows_with_its_days(
    moment: datetime, count: int, zone_name: str
) -> None:
    end, later = (business_days_after(moment, n, zone_name) for n in (count, count + 1))
    assert is_business_day(local_date(end, zone_name))
    assert moment < end < later
    assert business_days_between(local_date(moment, zone_name), local_date(end, zone_name)) == count


@given(start=DATES, day=st.integers(0, 120), zone_name=ZONES)
def test_a_day_of_use_begins_on_a_business_day_at_nine_never_early(start: date, day: int, zone_name: str) -> None:
    local = day_instant(start, day, zone_name).astimezone(zone(zone_name))
    assert (local.hour, local.minute, is_business_day(local.date())) == (9, 0, True)
    assert timedelta() <= local.date() - (start + timedelta(days=day)) <= timedelta(days=2)


# Acting on a flag


@pytest.mark.parametrize(
    ("opened", "by"),
    [
        ((2026, 3, 4, 10, 0), (2026, 3, 5, 10, 0)),  # Wednesday to Thursday
        ((2026, 3, 4, 7, 30), (2026, 3, 4, 17, 0)),  # before hours: the whole day
        ((2026, 3, 4, 20, 0), (2026, 3, 5, 17, 0)),  # after hours: the next one
        ((2026, 3, 6, 16, 0), (2026, 3, 9, 16, 0)),  # over the weekend
        ((2026, 3, 7, 12, 0), (2026, 3, 9, 17, 0)),  # from a Saturday
        ((2026, 3, 4, 16, 59, 30), (2026, 3, 5, 16, 59, 30)),  # to the second
    ],
)
def test_there_is_one_business_day_to_act_on_a_flag(opened: tuple[int, ...], by: tuple[int, ...]) -> None:
    assert act_by(at(SAO_PAULO, *opened), 8, SAO_PAULO) == at(SAO_PAULO, *by)


def test_the_hours_to_act_on_a_flag_can_be_fewer_or_more() -> None:
    opened = at(SAO_PAULO, 2026, 3, 6, 16, 0)
    assert act_by(opened, 1, SAO_PAULO) == at(SAO_PAULO, 2026, 3, 6, 17, 0)
    assert act_by(opened, 20, SAO_PAULO) == at(SAO_PAULO, 2026, 3, 11, 12, 0)


def test_a_holiday_is_no_day_to_act() -> None:
    eve = at(SAO_PAULO, 2026, 4, 20, 16, 0)
    assert act_by(eve, 8, SAO_PAULO, public_holidays("BR")) == at(SAO_PAULO, 2026, 4, 22, 16, 0)


@given(opened=MOMENTS, hours=st.integers(1, 40), zone_name=ZONES)
def test_the_time_to_act_ends_within_business_hours(opened: datetime, hours: int, zone_name: str) -> None:
    end = act_by(opened, hours, zone_name).astimezone(zone(zone_name))
    assert opened + timedelta(hours=hours) <= end
    assert is_business_day(end.date())
    assert time(9) < end.time() <= time(17)

"""The contact budget: whom to ask, when, and what happens instead."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.asking import (
    BEYOND_THE_PLAN,
    IN_THE_PORTAL,
    LONGEST_WAIT,
    OF_THE_PLAN,
    REMINDERS,
    WAITS_AT_MOST,
    Asked,
    Became,
    Colleague,
    Instead,
    Person,
    Send,
    Wait,
    Why,
    judge,
    next_opening,
    whom_to_ask,
)
from portal.accounts.rules import WORKING_DAYS, Channel, Frequency, Wishes, days_between, is_in_hours
from portal.clock import local_date

WEDNESDAY_9 = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""09:00 in São Paulo."""
USUAL = Wishes("America/Sao_Paulo")
MARIA = Person(USUAL, has_phone=True)


def test_in_their_hours_a_survey_goes_out() -> None:
    assert judge(Asked.SURVEY, MARIA, WEDNESDAY_9) == Send()


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (WEDNESDAY_9 - timedelta(minutes=1), WEDNESDAY_9),
        (WEDNESDAY_9 + timedelta(hours=9), WEDNESDAY_9 + timedelta(days=1)),
        (WEDNESDAY_9 + timedelta(days=3), WEDNESDAY_9 + timedelta(days=5)),
    ],
    ids=["before nine", "after six", "on a Saturday"],
)
def test_outside_their_hours_it_waits_for_them(now: datetime, until: datetime) -> None:
    for asked in Asked:
        assert judge(asked, MARIA, now) == Wait(until, Why.OUT_OF_HOURS)


def test_on_a_holiday_it_waits_for_the_next_day() -> None:
    verdict = judge(Asked.SURVEY, MARIA, WEDNESDAY_9, frozenset({date(2026, 7, 1)}))
    assert verdict == Wait(WEDNESDAY_9 + timedelta(days=1), Why.OUT_OF_HOURS)


def test_one_request_a_week_but_for_what_the_plan_needs() -> None:
    asked_monday = replace(MARIA, last_asked_at=WEDNESDAY_9 - timedelta(days=2))
    for asked in set(Asked) - {Asked.MEETING}:
        expected = Send() if asked in OF_THE_PLAN else Wait(WEDNESDAY_9 + timedelta(days=5), Why.BUDGET)
        assert judge(asked, asked_monday, WEDNESDAY_9) == expected


def test_about_a_meeting_one_is_asked_within_days_or_finds_a_card() -> None:
    asked_monday = replace(MARIA, last_asked_at=WEDNESDAY_9 - timedelta(days=2))
    assert judge(Asked.MEETING, asked_monday, WEDNESDAY_9) == Instead(Became.CARD, Why.BUDGET)
    asked_on_friday = replace(MARIA, last_asked_at=WEDNESDAY_9 - timedelta(days=5))
    expected = Wait(WEDNESDAY_9 + timedelta(days=2), Why.BUDGET)
    assert judge(Asked.MEETING, asked_on_friday, WEDNESDAY_9) == expected


def test_the_plans_next_survey_goes_before_any_other() -> None:
    soon = replace(MARIA, plan_comes_at=WEDNESDAY_9 + timedelta(days=13))
    for asked in (Asked.FURTHER, Asked.MEETING):
        assert judge(asked, soon, WEDNESDAY_9) == Instead(Became.CARD, Why.PLAN_FIRST)
        assert judge(asked, replace(MARIA, plan_comes_at=WEDNESDAY_9 + timedelta(days=14)), WEDNESDAY_9) == Send()


def test_no_survey_twice_within_two_weeks() -> None:
    thirteen = replace(MARIA, last_survey_at=WEDNESDAY_9 - timedelta(days=13))
    assert judge(Asked.SURVEY, thirteen, WEDNESDAY_9) == Instead(Became.CALL, Why.TOO_SOON)
    fourteen = replace(MARIA, last_survey_at=WEDNESDAY_9 - timedelta(days=14))
    assert judge(Asked.SURVEY, fourteen, WEDNESDAY_9) == Send()


def test_who_is_unhappy_is_called_and_asked_nothing() -> None:
    for asked in Asked:
        became = Became.CARD if asked in BEYOND_THE_PLAN else Became.CALL
        assert judge(asked, replace(MARIA, has_open_flag=True), WEDNESDAY_9) == Instead(became, Why.OPEN_FLAG)


def test_not_on_the_day_of_a_failed_meeting() -> None:
    missed = replace(MARIA, missed_meeting_at=WEDNESDAY_9)
    expected = Wait(WEDNESDAY_9 + timedelta(days=1), Why.MISSED_MEETING)
    assert judge(Asked.SURVEY, missed, WEDNESDAY_9 + timedelta(hours=2)) == expected
    assert judge(Asked.SURVEY, missed, WEDNESDAY_9 + timedelta(days=1)) == Send()


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (Channel.EMAIL, Send()),
        (Channel.PHONE, Instead(Became.CALL, Why.PREFERS_PHONE)),
        (Channel.WHATSAPP, Instead(Became.WHATSAPP, Why.PREFERS_WHATSAPP)),
        (Channel.PORTAL, Instead(Became.CARD, Why.PREFERS_PORTAL)),
    ],
)
def test_the_chosen_channel_decides_the_way(channel: Channel, expected: object) -> None:
    assert judge(Asked.SURVEY, replace(MARIA, wishes=replace(USUAL, channel=channel)), WEDNESDAY_9) == expected


def test_who_likes_the_phone_best_and_gave_no_number_gets_a_mail() -> None:
    for channel in (Channel.PHONE, Channel.WHATSAPP):
        person = Person(replace(USUAL, channel=channel), has_phone=False)
        assert judge(Asked.SURVEY, person, WEDNESDAY_9) == Send()


def test_who_refused_such_mails_is_called_and_news_become_a_card() -> None:
    for asked in Asked:
        became = Became.CARD if asked in IN_THE_PORTAL else Became.CALL
        assert judge(asked, replace(MARIA, refused=True), WEDNESDAY_9) == Instead(became, Why.REFUSED)


def test_only_the_plan_reaches_who_wants_nothing_else_and_only_once() -> None:
    strict = replace(MARIA, wishes=replace(USUAL, frequency=Frequency.NECESSARY))
    assert judge(Asked.SURVEY, strict, WEDNESDAY_9) == Send()
    assert judge(Asked.REMINDER, strict, WEDNESDAY_9) == Instead(Became.CALL, Why.FEWER_REQUESTS)
    assert judge(Asked.OFFER, strict, WEDNESDAY_9) == Instead(Became.CARD, Why.FEWER_REQUESTS)


def test_a_reminder_never_comes_on_a_weekend() -> None:
    saturdays = replace(MARIA, wishes=replace(USUAL, weekdays=frozenset({5})))
    assert judge(Asked.SURVEY, saturdays, WEDNESDAY_9) == Wait(WEDNESDAY_9 + timedelta(days=3), Why.OUT_OF_HOURS)
    assert judge(Asked.REMINDER, saturdays, WEDNESDAY_9) == Instead(Became.CALL, Why.NO_HOUR)


# For every person and every moment

ZONES = st.sampled_from(
    ["America/Sao_Paulo", "Europe/Lisbon", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata"]
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))
WISHES = st.builds(
    lambda zone, channel, frequency, hours, days: Wishes(
        zone, channel, frequency, time(hours[0]), time(hours[1]), days
    ),
    ZONES,
    st.sampled_from(Channel),
    st.sampled_from(Frequency),
    st.sampled_from([(9, 18), (8, 12), (13, 20), (0, 1), (22, 23)]),
    st.frozensets(st.integers(0, 6), min_size=1) | st.just(WORKING_DAYS),
)


@st.composite
def people(draw: st.DrawFn, now: datetime) -> Person:
    def before() -> st.SearchStrategy[datetime | None]:
        return st.none() | st.integers(0, 60 * 24).map(lambda hours: now - timedelta(hours=hours))

    return Person(
        draw(WISHES),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(before()),
        draw(before()),
        draw(before()),
    )


@given(st.data(), st.sampled_from(Asked), MOMENTS)
def test_every_request_is_sent_in_their_hours_waits_for_them_or_becomes_something_else(
    data: st.DataObject, asked: Asked, now: datetime
) -> None:
    person = data.draw(people(now))
    zone = person.wishes.timezone
    match judge(asked, person, now):
        case Send():
            assert is_in_hours(person.wishes, now)
            assert not (person.has_open_flag or person.refused)
            assert person.has_address
            assert person.missed_meeting_at is None or local_date(person.missed_meeting_at, zone) < local_date(
                now, zone
            )
            if asked is Asked.SURVEY and person.last_survey_at is not None:
                assert now - person.last_survey_at >= timedelta(days=14)
            if asked not in OF_THE_PLAN and person.last_asked_at is not None:
                gap = days_between(person.wishes)
                assert gap is not None
                assert now - person.last_asked_at >= timedelta(days=gap)
        case Wait(until):
            assert now < until <= now + WAITS_AT_MOST.get(asked, LONGEST_WAIT)
            assert is_in_hours(person.wishes, until)
            assert judge(asked, person, until) == Send()  # what waited goes out, if nothing else happens
        case Instead(became, why):
            assert became not in (Became.WAITING, Became.MAIL)
            assert why in Why


@given(st.sampled_from(Asked), WISHES, MOMENTS)
def test_the_first_hour_that_suits_is_the_first(asked: Asked, wishes: Wishes, since: datetime) -> None:
    opens = next_opening(asked, wishes, since)
    if opens is not None:
        assert opens >= since
        steps = [since + timedelta(minutes=30 * n) for n in range(int((opens - since) / timedelta(minutes=30)))]
        suitable = [at for at in steps if is_in_hours(wishes, at)]
        assert all(asked in REMINDERS and local_date(at, wishes.timezone).weekday() > 4 for at in suitable)


# Whom


def test_the_main_contact_is_asked_and_colleagues_who_were_ticked() -> None:
    maria, joao, ana = Colleague(1, True, True), Colleague(2, False, True), Colleague(3, False, True)
    assert whom_to_ask([joao, maria, ana]) == [1]
    assert whom_to_ask([replace(joao, choice=True), maria, ana]) == [1, 2]
    assert whom_to_ask([replace(joao, choice=True), replace(maria, choice=False), ana]) == [2]


def test_where_nobody_chosen_has_an_address_a_colleague_is_asked_who_was_not_ruled_out() -> None:
    maria, joao, ana = Colleague(1, True, False), Colleague(2, False, True), Colleague(3, False, True)
    assert whom_to_ask([maria, joao, ana]) == [2]
    assert whom_to_ask([maria, replace(joao, choice=False), ana]) == [3]
    assert whom_to_ask([maria]) == [1]
    assert whom_to_ask([replace(maria, choice=False)]) == []

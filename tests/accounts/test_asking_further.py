"""The contact budget for surveys beyond the plan: they rank below it, and are never more than a card."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.accounts.asking import Asked, Became, Instead, Person, Send, Wait, Why, judge
from portal.accounts.rules import Channel, Frequency, Wishes

TUESDAY_10 = datetime(2026, 6, 23, 10, tzinfo=UTC)
USUAL = Wishes("UTC", Channel.EMAIL)


def days(number: int) -> datetime:
    return TUESDAY_10 + timedelta(days=number)


@pytest.mark.parametrize("asked", [Asked.FURTHER, Asked.MEETING])
@pytest.mark.parametrize(
    ("person", "why"),
    [
        (Person(USUAL, has_open_flag=True), Why.OPEN_FLAG),
        (Person(USUAL, last_survey_at=days(-13)), Why.TOO_SOON),
        (Person(USUAL, last_further_at=days(-13)), Why.TOO_SOON),
        (Person(USUAL, plan_comes_at=days(13)), Why.PLAN_FIRST),
        (Person(USUAL, has_address=False), Why.NO_ADDRESS),
        (Person(USUAL, refused=True), Why.REFUSED),
        (Person(Wishes("UTC", Channel.PHONE), has_phone=True), Why.PREFERS_PHONE),
        (Person(Wishes("UTC", Channel.WHATSAPP), has_phone=True), Why.PREFERS_WHATSAPP),
        (Person(Wishes("UTC", Channel.EMAIL, Frequency.NECESSARY)), Why.FEWER_REQUESTS),
    ],
)
def test_what_is_no_mail_is_a_card(asked: Asked, person: Person, why: Why) -> None:
    assert judge(asked, person, TUESDAY_10) == Instead(Became.CARD, why)


def test_they_go_out_where_nothing_holds_them() -> None:
    person = Person(USUAL, last_survey_at=days(-14), last_further_at=days(-14), plan_comes_at=days(14))
    assert judge(Asked.FURTHER, person, TUESDAY_10) == Send()
    assert judge(Asked.MEETING, person, TUESDAY_10) == Send()


def test_one_request_a_week_and_a_meetings_survey_does_not_wait_that_long() -> None:
    person = Person(USUAL, last_asked_at=days(-1))
    assert judge(Asked.FURTHER, person, TUESDAY_10) == Wait(days(6), Why.BUDGET)
    assert judge(Asked.MEETING, person, TUESDAY_10) == Instead(Became.CARD, Why.BUDGET)


def test_a_survey_of_the_plan_minds_none_of_the_others() -> None:
    assert judge(Asked.SURVEY, Person(USUAL, last_further_at=days(-1), last_asked_at=days(-1)), TUESDAY_10) == Send()


def test_a_reminder_is_a_request_of_its_own() -> None:
    assert judge(Asked.FURTHER_REMINDER, Person(USUAL, last_asked_at=days(-7)), TUESDAY_10) == Send()
    assert judge(Asked.FURTHER_REMINDER, Person(USUAL, last_asked_at=days(-6)), TUESDAY_10) == Wait(days(1), Why.BUDGET)
    less = Person(Wishes("UTC", Channel.EMAIL, Frequency.LESS))
    assert judge(Asked.FURTHER_REMINDER, less, TUESDAY_10) == Instead(Became.CARD, Why.FEWER_REQUESTS)

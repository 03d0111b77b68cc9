"""Whom one may invite, who may do what, and when somebody may be asked: without a database."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules import (
    FREE_MAIL,
    RIGHTS,
    Channel,
    Frequency,
    InviteDomains,
    Invitee,
    NotInvited,
    Progress,
    Right,
    Standing,
    StartStep,
    Wishes,
    as_bits,
    as_weekdays,
    may,
    may_ask_at,
    next_time_to_ask,
    own_domains,
    standing,
    why_not_invited,
)

SAO_PAULO = "America/Sao_Paulo"
MONDAY_9 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""09:00 in São Paulo."""


def invitee(email: str, **known: object) -> Invitee:
    usual: dict[str, object] = {
        "emails_here": {"maria@padaria.example"},
        "invited_here": set(),
        "is_elsewhere": False,
        "wants_no_contact": False,
        "people": 1,
    }
    return Invitee(email=email, **{**usual, **known})  # type: ignore[arg-type]


def why(one: Invitee, domains: InviteDomains = InviteDomains.OWN) -> NotInvited | None:
    return why_not_invited(one, domains=domains, most=3)


def test_a_colleague_at_the_companys_own_domain_is_invited() -> None:
    assert why(invitee("lia@padaria.example")) is None


def test_another_domain_is_refused_unless_any_may_be_invited() -> None:
    assert why(invitee("lia@elsewhere.example")) is NotInvited.OTHER_DOMAIN
    assert why(invitee("lia@elsewhere.example"), InviteDomains.ANY) is None


@pytest.mark.parametrize("domain", ["gmail.com", "hotmail.com", "uol.com.br"])
def test_a_free_mail_domain_never_opens_as_a_whole(domain: str) -> None:
    here = {f"maria@{domain}"}
    assert why(invitee(f"stranger@{domain}", emails_here=here)) is NotInvited.OTHER_DOMAIN


def test_who_is_here_invited_elsewhere_or_unwilling_is_refused_with_the_reason() -> None:
    assert why(invitee("maria@padaria.example")) is NotInvited.ALREADY_HERE
    assert why(invitee("lia@padaria.example", invited_here={"lia@padaria.example"})) is NotInvited.ALREADY_INVITED
    assert why(invitee("lia@padaria.example", is_elsewhere=True)) is NotInvited.ELSEWHERE
    assert why(invitee("lia@padaria.example", wants_no_contact=True)) is NotInvited.NO_CONTACT
    assert why(invitee("lia@padaria.example", people=3)) is NotInvited.FULL


def test_what_is_known_elsewhere_is_never_asked_before_the_domain() -> None:
    """Otherwise the answer would tell whether any address at all is a customer of ours."""
    assert why(invitee("sofia@other.example", is_elsewhere=True)) is NotInvited.OTHER_DOMAIN


def test_own_domains_leave_out_free_mail() -> None:
    assert own_domains(["a@padaria.example", "b@gmail.com", ""]) == {"padaria.example"}
    assert "gmail.com" in FREE_MAIL


def test_nobody_sees_what_a_colleague_answered_or_told_us() -> None:
    for who in Standing:
        assert not may(who, Right.SEE_ANSWERS_OF_OTHERS)
        assert not may(who, Right.SEE_CASES_OF_OTHERS)


def test_the_rights_are_a_closed_table() -> None:
    assert set(RIGHTS) == set(Standing)
    assert [who for who in Standing if may(who, Right.INVITE_COLLEAGUES)] == [Standing.PRIMARY, Standing.INVITER]
    assert [who for who in Standing if may(who, Right.REMOVE_COLLEAGUES)] == [Standing.PRIMARY]
    assert standing(is_primary=True, may_invite=False) is Standing.PRIMARY
    assert standing(is_primary=False, may_invite=True) is Standing.INVITER


# When somebody may be asked


def test_without_wishes_it_is_once_a_week_in_business_hours() -> None:
    usual = Wishes(SAO_PAULO)
    assert may_ask_at(usual, MONDAY_9)
    assert not may_ask_at(usual, MONDAY_9 - timedelta(minutes=1))
    assert not may_ask_at(usual, MONDAY_9 + timedelta(hours=9))
    assert not may_ask_at(usual, MONDAY_9 - timedelta(days=1))
    assert not may_ask_at(usual, MONDAY_9, last_asked_at=MONDAY_9 - timedelta(days=6))
    assert may_ask_at(usual, MONDAY_9, last_asked_at=MONDAY_9 - timedelta(days=7))


def test_only_what_is_necessary_lets_the_plans_contacts_through_in_their_hours() -> None:
    strict = Wishes(SAO_PAULO, frequency=Frequency.NECESSARY)
    assert not may_ask_at(strict, MONDAY_9)
    assert may_ask_at(strict, MONDAY_9, is_necessary=True)
    assert not may_ask_at(strict, MONDAY_9 - timedelta(hours=1), is_necessary=True)
    assert next_time_to_ask(strict, MONDAY_9) is None
    assert next_time_to_ask(strict, MONDAY_9 - timedelta(hours=3), is_necessary=True) == MONDAY_9


def test_the_next_time_is_their_next_hour_on_their_next_day() -> None:
    wednesdays = Wishes(SAO_PAULO, Channel.WHATSAPP, Frequency.LESS, time(8), time(10), frozenset({2}))
    assert next_time_to_ask(wednesdays, MONDAY_9) == datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
    later = next_time_to_ask(wednesdays, MONDAY_9, last_asked_at=MONDAY_9 - timedelta(days=1))
    assert later == datetime(2026, 3, 18, 11, 0, tzinfo=UTC)


@given(
    zone=st.sampled_from([SAO_PAULO, "Europe/London", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
    hours=st.lists(st.integers(0, 23), min_size=2, max_size=2, unique=True).map(sorted),
    days=st.sets(st.integers(0, 6), min_size=1),
    frequency=st.sampled_from([Frequency.USUAL, Frequency.LESS, Frequency.MONTHLY]),
    minutes=st.integers(0, 60 * 24 * 400),
    asked_minutes_ago=st.none() | st.integers(0, 60 * 24 * 40),
)
def test_what_comes_next_may_be_asked_and_nothing_before(
    zone: str,
    hours: list[int],
    days: set[int],
    frequency: Frequency,
    minutes: int,
    asked_minutes_ago: int | None,
) -> None:
    wishes = Wishes(zone, Channel.EMAIL, frequency, time(hours[0]), time(hours[1]), frozenset(days))
    now = MONDAY_9 + timedelta(minutes=minutes)
    last = now - timedelta(minutes=asked_minutes_ago) if asked_minutes_ago is not None else None
    following = next_time_to_ask(wishes, now, last_asked_at=last)
    if following is None:  # the one day of the year whose whole hour the clock leaves out
        return
    assert following >= now
    assert may_ask_at(wishes, following, last_asked_at=last)
    if following > now:
        assert not may_ask_at(wishes, now, last_asked_at=last)


@given(st.sets(st.integers(0, 6)))
def test_weekdays_survive_the_table(days: set[int]) -> None:
    assert as_weekdays(as_bits(days)) == days


def test_a_start_is_finished_without_the_call() -> None:
    some = Progress(MONDAY_9, frozenset({StartStep.PLAN}))
    assert (some.next_step, some.count, some.is_shown) == (StartStep.LESSON, (1, 3), True)
    done = Progress(MONDAY_9, frozenset({StartStep.PLAN, StartStep.LESSON, StartStep.PREFERENCES}))
    assert (done.is_finished, done.is_shown, done.next_step) == (True, False, None)
    assert not Progress(MONDAY_9, frozenset(), dismissed_at=MONDAY_9).is_shown

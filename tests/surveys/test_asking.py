"""The contact budget at work, on both databases: who is asked when, what happens instead, and what the pages say of it."""

from datetime import datetime, time, timedelta

import pytest
from sqlalchemy import select, update

from portal.accounts import asking_ledger
from portal.accounts.asking import Asked, Became, Why
from portal.accounts.models import Contact
from portal.accounts.people_models import ContactWishes
from portal.accounts.rules import Channel, Frequency, Language
from portal.audit import Event, Happened, note
from portal.journeys import actions as journeys
from portal.journeys.models import Activity, DueAction
from portal.journeys.rules import ActivityKind
from portal.mail import Kind
from portal.surveys import queries
from portal.surveys.actions import Sending
from portal.surveys.coverage import coverage_of, silent_people
from portal.surveys.rules import Answers, InvitationState, Provenance
from tests.surveys.conftest import DAY_30, START, Customer, Town
from tests.surveys.test_actions import answer, calls, letters, stage

AT_THREE = DAY_30 + timedelta(hours=6)


def wish(town: Town, customer: Customer, *, channel: Channel | None = None, **wishes: object) -> None:
    with town.house.database.write() as db:
        if channel is not None:
            phone = {"channel": channel, "phone": "+5511987654321"}
            db.execute(update(Contact).where(Contact.id == customer.contact_id).values(**phone))
        if wishes:
            usual = {"frequency": Frequency.USUAL, "hours_from": time(9), "hours_until": time(18), "weekdays": 31}
            db.add(
                ContactWishes(
                    contact_id=customer.contact_id, chosen_at=START, chosen_by="contact:1", **{**usual, **wishes}
                )
            )


def colleague(town: Town, customer: Customer, *, zone: str = "America/Sao_Paulo") -> int:
    with town.house.database.write() as db:
        joao = Contact(
            account_id=customer.account_id,
            name="João Lima",
            email="joao@lumen.example",
            language=Language.PT_BR,
            timezone=zone,
            created_at=START,
        )
        db.add(joao)
        db.flush()
        asking_ledger.choose(
            db, contact_id=joao.id, account_id=customer.account_id, is_asked=True, by="staff:1", now=START
        )
        return joao.id


def ledger(town: Town) -> list[tuple[Asked, int, Became, Why | None, datetime]]:
    """Whoever was asked, by day of the plan."""
    return town.ledger("asked", "day", "became", "why", "at")


def test_a_survey_that_went_out_is_in_the_ledger(town: Town, maria: Customer) -> None:
    assert ledger(town) == [(Asked.SURVEY, 30, Became.MAIL, None, DAY_30)]


def test_outside_their_hours_it_waits_and_the_page_says_until_when(town: Town) -> None:
    maria = town.customer()
    wish(town, maria, hours_from=time(15))
    town.live_until(DAY_30)
    assert letters(town.house, maria, Kind.SURVEY_30) == []
    assert ledger(town) == [(Asked.SURVEY, 30, Became.WAITING, Why.OUT_OF_HOURS, AT_THREE)]
    with town.house.database.read() as db:
        planned = queries.invitations(db, town.house, now=DAY_30, journey_id=maria.journey_id)[0]
        lines = asking_ledger.requests_of(db, maria.account_id)
    assert (planned.day, planned.state, planned.why) == (
        30,
        InvitationState.PLANNED,
        "It was outside their hours, or no working day.",
    )
    assert [(line.name, line.became, line.at) for line in lines] == [("Maria Souza", Became.WAITING, AT_THREE)]
    town.live_until(AT_THREE)
    assert [m.due_at for m in letters(town.house, maria, Kind.SURVEY_30)] == [AT_THREE]
    assert ledger(town) == [(Asked.SURVEY, 30, Became.MAIL, None, AT_THREE)]


def test_on_the_day_of_a_failed_meeting_nobody_is_asked(town: Town) -> None:
    maria = town.customer()
    with town.house.database.write() as db:
        missed = Event(Happened.MEETING_MISSED, "staff:1", DAY_30 - timedelta(hours=1), maria.account_id)
        note(db, missed._replace(journey_id=maria.journey_id, contact_id=maria.contact_id))
    town.live_until(DAY_30)
    assert (letters(town.house, maria, Kind.SURVEY_30), ledger(town)[0][3]) == ([], Why.MISSED_MEETING)
    town.live_until(DAY_30 + timedelta(days=1))
    assert [m.due_at for m in letters(town.house, maria, Kind.SURVEY_30)] == [DAY_30 + timedelta(days=1)]


@pytest.mark.parametrize(
    ("channel", "kind", "why"),
    [
        (Channel.PHONE, ActivityKind.CONTACT_BY_CALL, "prefers_phone"),
        (Channel.WHATSAPP, ActivityKind.ASK_BY_WHATSAPP, "prefers_whatsapp"),
    ],
)
def test_who_likes_the_phone_best_is_called_or_written_to_there(
    town: Town, channel: Channel, kind: ActivityKind, why: str
) -> None:
    maria = town.customer()
    wish(town, maria, channel=channel)
    town.live_until(DAY_30)
    assert (letters(town.house, maria, Kind.SURVEY_30), town.invitation(maria).why) == ([], why)
    with town.house.database.read() as db:
        todo = select(Activity.kind).where(Activity.journey_id == maria.journey_id, Activity.day == 30)
        assert db.scalars(todo).all() == [kind]
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9), Sending(Provenance.PHONE, "staff:1"))
    with town.house.database.read() as db:
        assert db.scalars(todo.where(Activity.done_at.is_(None))).all() == []
    assert stage(town, maria) == 4


def test_who_likes_the_portal_best_finds_a_card_there_and_is_called_after_five_days_of_silence(town: Town) -> None:
    maria = town.customer()
    wish(town, maria, channel=Channel.PORTAL)
    town.live_until(DAY_30)
    with town.house.database.read() as db:
        waiting = queries.due_survey(db, maria.contact_id, DAY_30)
    assert waiting is not None
    assert waiting.day == 30
    assert (ledger(town)[0][2:4], calls(town.house, maria)) == ((Became.CARD, Why.PREFERS_PORTAL), [])
    town.live_until(DAY_30 + timedelta(days=14))
    assert letters(town.house, maria, Kind.SURVEY_30, Kind.SURVEY_REMINDER) == []
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]


def test_who_wants_fewer_requests_gets_the_survey_and_no_reminder(town: Town) -> None:
    maria = town.customer()
    wish(town, maria, frequency=Frequency.NECESSARY)
    town.live_until(DAY_30 + timedelta(days=14))
    assert len(letters(town.house, maria, Kind.SURVEY_30)) == 1
    assert letters(town.house, maria, Kind.SURVEY_REMINDER) == []
    assert (Became.CALL, Why.FEWER_REQUESTS) in [row[2:4] for row in ledger(town)]
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]


def test_a_reminder_waits_for_their_hours(town: Town, maria: Customer) -> None:
    town.leave()
    wish(town, maria, hours_from=time(15))
    town.live_until(DAY_30 + timedelta(days=14))
    reminded = datetime.fromisoformat("2026-07-06T18:00+00:00")
    assert [m.due_at for m in letters(town.house, maria, Kind.SURVEY_REMINDER)] == [reminded]


@pytest.mark.parametrize("how", ["message", "reply", "booking"])
def test_any_sign_of_life_stops_a_reminder_that_waits_for_their_hours(town: Town, maria: Customer, how: str) -> None:
    town.leave()
    wish(town, maria, hours_from=time(15))
    town.live_until(DAY_30 + timedelta(days=5, hours=1))
    assert ledger(town)[-1][2] is Became.WAITING
    with town.house.database.write() as db:
        journeys.hear_sign_of_life(
            db,
            town.house,
            journey_id=maria.journey_id,
            contact_id=maria.contact_id,
            how=how,
            now=town.house.clock.now(),
        )
    town.live_until(DAY_30 + timedelta(days=14))
    assert letters(town.house, maria, Kind.SURVEY_REMINDER) == []
    assert calls(town.house, maria) == []


def test_a_ticked_colleague_is_asked_too_each_in_their_own_hours(town: Town) -> None:
    maria = town.customer()
    joao = colleague(town, maria, zone="America/Los_Angeles")
    town.live_until(DAY_30)
    nine_there = DAY_30 + timedelta(hours=4)
    assert [(m.to_email, m.due_at) for m in letters(town.house, maria, Kind.SURVEY_30)] == [
        ("maria@lumen.example", DAY_30),
        ("joao@lumen.example", nine_there),
    ]
    with town.house.database.read() as db:
        of_joao = queries.due_survey(db, joao, DAY_30)
    assert of_joao is not None
    answer(town.house, of_joao.invitation_id, Answers(csat=1), Sending(Provenance.SIGNED_IN, f"contact:{joao}"))
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9))
    assert (stage(town, maria), town.journey(maria).open_flags) == (3, 1)  # one who is unhappy is enough


def test_coverage_names_the_unhappy_and_the_silent(town: Town) -> None:
    maria = town.customer()
    joao = colleague(town, maria)
    town.live_until(DAY_30)
    answer(town.house, town.invitation(maria).id, Answers(csat=1))
    later = DAY_30 + timedelta(days=8)
    with town.house.database.read() as db:
        people = {one.name: one for one in coverage_of(db, maria.account_id)}
        silent = silent_people(db, now=later)
        assert silent_people(db, now=DAY_30 + timedelta(days=6)) == ()
        assert silent_people(db, now=later, owner_id=999) == ()
    assert (people["Maria Souza"].is_unhappy, people["Maria Souza"].is_silent(later)) == (True, False)
    assert (people["João Lima"].is_unhappy, people["João Lima"].is_silent(later)) == (False, True)
    assert [(one.company, one.contact_id, one.day) for one in silent] == [("Lumen", joao, 30)]
    with town.house.database.write() as db:
        note(db, Event(Happened.SIGNED_IN, f"contact:{joao}", later, maria.account_id, None, joao))
    with town.house.database.read() as db:
        assert silent_people(db, now=later) == ()


def test_a_postponed_survey_is_one_due_action_still(town: Town) -> None:
    maria = town.customer()
    wish(town, maria, hours_from=time(15))
    town.live_until(DAY_30)
    with town.house.database.read() as db:
        rows = db.execute(
            select(DueAction.due_at, DueAction.done_at).where(
                DueAction.journey_id == maria.journey_id, DueAction.key == "survey:30"
            )
        ).all()
    assert [tuple(row) for row in rows] == [(AT_THREE, None)]

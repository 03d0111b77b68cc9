"""Survey mails that wait in the outbox while things change: each is judged anew as it leaves, and becomes something else once."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from portal import delivery, mail
from portal.accounts.asking import Asked, Became, Why
from portal.accounts.asking_models import RequestRow
from portal.accounts.models import Contact
from portal.accounts.rules import Channel
from portal.audit import Event, Happened, note
from portal.house import House
from portal.journeys import actions, cases
from portal.journeys.conduct import Change
from portal.journeys.models import Activity, DueAction, FollowUpRow
from portal.journeys.rules import ActivityKind, FlagOrigin, Outcome
from portal.mail import Kind, LetterRow, LetterState, Purpose
from portal.surveys import actions as surveys
from portal.surveys import figures, leaving, queries, returned
from portal.surveys.actions import Sending
from portal.surveys.models import Invitation, Survey
from portal.surveys.rules import Answers, Provenance
from portal.surveys.shipped import load_shipped_triggers
from portal.surveys.stored import stored_form
from portal.worker import COMPOSERS, TIMETABLE, TURNS, Worker
from tests import servers
from tests.surveys.conftest import DAY_30, START, Customer, Town
from tests.surveys.test_actions import answer, calls, letters
from tests.surveys.test_anonymous import NAMELESS
from tests.surveys.test_anonymous import send as send_anonymous
from tests.surveys.test_asking import colleague, wish
from tests.surveys.test_further import ledger as further_ledger
from tests.surveys.test_further import meet, work

LATER = DAY_30 + timedelta(hours=2)


def leave(town: Town, at: datetime = LATER) -> None:
    """What may leave the outbox leaves it."""
    town.house.clock.set(at)  # type: ignore[attr-defined]
    town.leave()


def refuse(town: Town, address: str, purpose: Purpose = Purpose.SURVEY) -> None:
    with town.house.database.write() as db:
        db.add(mail.MailRefusal(address_hash=mail.address_hash(address), purpose=purpose, at=LATER))


def flag(town: Town, customer: Customer, at: datetime = DAY_30) -> None:
    with town.house.database.write() as db:
        cases.open_flag(
            db, town.house, journey_id=customer.journey_id, origin=FlagOrigin.CONSULTANT, by="staff:1", now=at
        )


def ledger(town: Town) -> list[tuple[Asked, int, Became, Why | None, datetime]]:
    """Whoever was asked, by contact."""
    return town.ledger("asked", "contact_id", "became", "why", "at")


def states(town: Town, *kinds: Kind) -> list[tuple[str, LetterState, str]]:
    with town.house.database.read() as db:
        rows = db.scalars(select(LetterRow).where(LetterRow.kind.in_(kinds)).order_by(LetterRow.id))
        return [(row.to_email, row.state, row.why) for row in rows]


def contact(town: Town, customer: Customer) -> FollowUpRow:
    with town.house.database.read() as db:
        wanted = select(FollowUpRow).where(FollowUpRow.journey_id == customer.journey_id, FollowUpRow.day == 30)
        return db.scalars(wanted).one()


def invited(town: Town, contact_id: int) -> tuple[bool, str]:
    """Whether by mail, and why not."""
    with town.house.database.read() as db:
        row = db.scalars(select(Invitation).where(Invitation.contact_id == contact_id, Invitation.day == 30)).one()
        return row.sent_at is not None, row.why


def delivered(town: Town) -> int:
    """Of what the response rate is a share."""
    with town.house.database.read() as db:
        return figures.counts(db, figures.Which()).delivered


def todo(town: Town, customer: Customer) -> list[tuple[ActivityKind, str]]:
    with town.house.database.read() as db:
        wanted = select(Activity.kind, Activity.key).where(
            Activity.journey_id == customer.journey_id, Activity.day == 30
        )
        return [tuple(row) for row in db.execute(wanted.order_by(Activity.id))]


def waiting(town: Town, customer: Customer) -> list[str]:
    """What still is to follow silence."""
    with town.house.database.read() as db:
        wanted = select(DueAction.key).where(
            DueAction.journey_id == customer.journey_id,
            DueAction.done_at.is_(None),
            DueAction.kind.in_(("reminder", "call_no_answer")),
        )
        return sorted(db.scalars(wanted))


# The plan's


def test_a_survey_that_may_leave_leaves(town: Town, maria: Customer) -> None:
    leave(town)
    assert states(town, Kind.SURVEY_30) == [("maria@lumen.example", LetterState.SENT, "")]
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.MAIL, None, DAY_30)]
    assert waiting(town, maria) == ["call_no_answer:30", "reminder:30"]


def test_a_flag_that_opens_while_it_waits_makes_it_a_call(town: Town, maria: Customer) -> None:
    flag(town, maria)
    leave(town)
    why = "They told us that something is wrong: no survey in the middle of that."
    assert states(town, Kind.SURVEY_30) == [("maria@lumen.example", LetterState.SUPPRESSED, why)]
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.CALL, Why.OPEN_FLAG, LATER)]
    assert invited(town, maria.contact_id) == (False, "open_flag")
    of_30 = contact(town, maria)
    assert (of_30.sent_at, of_30.converted_at, of_30.converted_why) == (None, LATER, "open_flag")
    assert todo(town, maria) == [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")]
    with town.house.database.read() as db:
        [shown] = [one for one in queries.invitations(db, town.house, now=LATER) if one.day == 30]
    assert (shown.state, shown.why) == (
        "suppressed",
        "They told us that something is wrong: a call instead of a survey.",
    )


def test_who_refuses_while_it_waits_is_called_and_finds_a_card(town: Town, maria: Customer) -> None:
    refuse(town, "maria@lumen.example")
    leave(town)
    assert states(town, Kind.SURVEY_30) == [("maria@lumen.example", LetterState.SUPPRESSED, mail.REFUSED_WHY)]
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.CALL, Why.REFUSED, LATER)]
    assert (todo(town, maria), waiting(town, maria)) == (
        [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")],
        [],
    )
    with town.house.database.read() as db:
        card = queries.due_survey(db, maria.contact_id, LATER)
    assert card is not None
    assert card.day == 30
    answer(town.house, card.invitation_id, Answers(csat=5, nps=9), Sending(Provenance.SIGNED_IN, "contact:1"))
    assert contact(town, maria).settled_at is not None
    town.live_until(DAY_30 + timedelta(days=14))
    assert calls(town.house, maria) == [(ActivityKind.CONTACT_BY_CALL, 30)]  # and no second one for silence


@pytest.mark.parametrize(
    ("channel", "became", "why", "activity"),
    [
        (Channel.PHONE, Became.CALL, Why.PREFERS_PHONE, ActivityKind.CONTACT_BY_CALL),
        (Channel.WHATSAPP, Became.WHATSAPP, Why.PREFERS_WHATSAPP, ActivityKind.ASK_BY_WHATSAPP),
    ],
)
def test_another_way_chosen_while_it_waits_is_taken(
    town: Town, maria: Customer, channel: Channel, became: Became, why: Why, activity: ActivityKind
) -> None:
    wish(town, maria, channel=channel)
    leave(town)
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, became, why, LATER)]
    assert [kind for kind, _ in todo(town, maria)] == [activity]


def test_a_card_in_the_portal_counts_as_asked_and_silence_still_leads_to_a_call(town: Town, maria: Customer) -> None:
    wish(town, maria, channel=Channel.PORTAL)
    leave(town)
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.CARD, Why.PREFERS_PORTAL, LATER)]
    assert (contact(town, maria).sent_at, todo(town, maria)) == (DAY_30, [])
    town.live_until(DAY_30 + timedelta(days=14))
    assert letters(town.house, maria, Kind.SURVEY_REMINDER) == []
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]


def test_outside_their_hours_it_is_put_off_and_leaves_then(town: Town, maria: Customer) -> None:
    at_nine_in_the_evening = DAY_30 + timedelta(hours=12)  # the mail server was away all day
    tomorrow = DAY_30 + timedelta(days=1)
    leave(town, at_nine_in_the_evening)
    assert states(town, Kind.SURVEY_30) == [("maria@lumen.example", LetterState.QUEUED, "")]
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.MAIL, Why.OUT_OF_HOURS, tomorrow)]
    with town.house.database.read() as db:
        row = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.SURVEY_30)).one()
        assert (row.try_at, row.attempts, row.leased_by) == (tomorrow, 0, "")
        assert mail.next_due(db) == tomorrow
    leave(town, tomorrow)
    assert states(town, Kind.SURVEY_30)[0][1] is LetterState.SENT


def test_on_the_day_of_a_missed_meeting_it_waits_for_the_next(town: Town, maria: Customer) -> None:
    with town.house.database.write() as db:
        missed = Event(Happened.MEETING_MISSED, "staff:1", DAY_30, maria.account_id)
        note(db, missed._replace(journey_id=maria.journey_id, contact_id=maria.contact_id))
    leave(town)
    assert ledger(town)[0][2:] == (Became.MAIL, Why.MISSED_MEETING, DAY_30 + timedelta(days=1))


def test_a_colleague_who_refuses_is_called_and_the_contact_stays_asked(town: Town) -> None:
    maria = town.customer()
    joao = colleague(town, maria, zone="America/Los_Angeles")
    town.live_until(DAY_30)
    leave(town)
    refuse(town, "joao@lumen.example")
    leave(town, DAY_30 + timedelta(hours=4))
    assert [(who, became, why) for _, who, became, why, _ in ledger(town)] == [
        (maria.contact_id, Became.MAIL, None),
        (joao, Became.CALL, Why.REFUSED),
    ]
    assert todo(town, maria) == [(ActivityKind.CONTACT_BY_CALL, f"contact_by_call:30:contact:{joao}")]
    assert (contact(town, maria).sent_at, contact(town, maria).converted_at) == (DAY_30, None)
    assert waiting(town, maria) == ["call_no_answer:30", "reminder:30"]


def test_who_may_have_the_mail_in_hand_still_finds_the_form_open(town: Town, maria: Customer) -> None:
    """The mail server took it and fell silent; by the next try there was a reason not to send it any more."""
    town.house.clock.set(DAY_30)  # type: ignore[attr-defined]
    with servers.smtp_sink(servers.FallsSilent()) as silent:
        settings = town.house.settings.model_copy(update={"smtp_url": silent.url})
        delivery.deliver(replace(town.house, settings=settings), composers=COMPOSERS, turns=TURNS, now=DAY_30)
        assert [one.recipients for one in silent.received if "30" in str(one.message["Subject"])] != []
    refuse(town, "maria@lumen.example")
    leave(town)
    assert states(town, Kind.SURVEY_30) == [("maria@lumen.example", LetterState.SUPPRESSED, mail.REFUSED_WHY)]
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.CALL, Why.REFUSED, LATER)]
    assert todo(town, maria) == [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")]
    assert invited(town, maria.contact_id) == (True, "")
    said = answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9))  # by the mail's own link
    assert said.outcome is Outcome.SATISFIED
    assert (contact(town, maria).settled_at, calls(town.house, maria)) == (LATER, [(ActivityKind.CONTACT_BY_CALL, 30)])


def test_two_mails_that_a_flag_stops_are_one_call(town: Town) -> None:
    maria = town.customer()
    joao = colleague(town, maria)
    town.live_until(DAY_30)
    flag(town, maria)
    leave(town)
    assert [(who, became, why) for _, who, became, why, _ in ledger(town)] == [
        (maria.contact_id, Became.CALL, Why.OPEN_FLAG),
        (joao, Became.CALL, Why.OPEN_FLAG),
    ]
    assert todo(town, maria) == [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")]


def test_after_a_long_stop_of_the_worker_it_is_void_and_becomes_a_call(town: Town, maria: Customer) -> None:
    day_55 = DAY_30 + timedelta(days=25)
    leave(town, day_55)
    assert states(town, Kind.SURVEY_30)[0][1] is LetterState.SUPPRESSED
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.CALL, Why.LATE, day_55)]
    assert todo(town, maria) == [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")]
    answer(town.house, town.invitation(maria).id, Answers(csat=5), Sending(Provenance.PHONE, "staff:1"))
    assert contact(town, maria).settled_at is not None


def test_after_a_stop_of_everything_it_is_one_call_still(town: Town, maria: Customer) -> None:
    """The silence was over as well, by the clock: but nobody was asked, and there is nothing to be silent about."""
    day_55 = DAY_30 + timedelta(days=25)
    jobs = [job for job in TIMETABLE if job.name in ("journeys", "surveys")]
    town.house.clock.set(day_55)  # type: ignore[attr-defined]
    Worker(town.house, jobs).run_until_idle(day_55)
    assert todo(town, maria) == []
    leave(town, day_55)
    with town.house.database.read() as db:
        wanted = select(Activity.key).where(Activity.journey_id == maria.journey_id, Activity.done_at.is_(None))
        assert db.scalars(wanted.where(Activity.day == 30)).all() == ["contact_by_call:30"]


def test_a_conversation_that_settled_it_meanwhile_was_enough(town: Town, maria: Customer) -> None:
    with town.house.database.write() as db:
        actions.log_conversation(
            db, town.house, journey_id=maria.journey_id, channel=Channel.PHONE, result=Outcome.SATISFIED,
            note="All well", by="staff:1", now=LATER,
        )  # fmt: skip
    leave(town, LATER + timedelta(minutes=5))
    assert states(town, Kind.SURVEY_30)[0][1:] == (LetterState.SUPPRESSED, leaving.SETTLED)
    assert (ledger(town), todo(town, maria), waiting(town, maria)) == ([], [], [])
    assert invited(town, maria.contact_id) == (False, "settled"), "a mail that never left was delivered to nobody"
    assert delivered(town) == 0
    with town.house.database.read() as db:
        [shown] = [one for one in queries.invitations(db, town.house, now=LATER) if one.day == 30]
    assert (shown.state, shown.why) == ("suppressed", leaving.SETTLED)


def test_what_was_settled_meanwhile_is_not_asked_in_another_way(town: Town) -> None:
    maria = town.customer()
    joao = colleague(town, maria, zone="America/Los_Angeles")
    town.live_until(DAY_30)
    leave(town)
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9), Sending(Provenance.PHONE, "staff:1"))
    refuse(town, "joao@lumen.example")
    leave(town, DAY_30 + timedelta(hours=4))
    assert [who for _, who, *_ in ledger(town)] == [maria.contact_id]
    assert (invited(town, joao), todo(town, maria)) == ((False, "refused"), [])


def test_who_answered_before_it_left_was_asked(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9), Sending(Provenance.PHONE, "staff:1"))
    leave(town)
    assert states(town, Kind.SURVEY_30)[0][1:] == (LetterState.SUPPRESSED, leaving.ANSWERED)
    assert (invited(town, maria.contact_id), delivered(town)) == ((True, ""), 1)
    assert ledger(town) == [(Asked.SURVEY, maria.contact_id, Became.MAIL, None, DAY_30)]


# Silence, from when they could read it

MONDAY = DAY_30 + timedelta(days=5)
"""Three business days after the morning of day 30."""
MINUTE = timedelta(minutes=1)


def reminders(town: Town) -> list[tuple[str, datetime]]:
    with town.house.database.read() as db:
        rows = db.execute(
            select(LetterRow.to_email, LetterRow.try_at)
            .where(LetterRow.kind == Kind.SURVEY_REMINDER)
            .order_by(LetterRow.id)
        )
        return [tuple(row) for row in rows]


def test_reminder_and_call_count_from_when_the_mail_left_and_not_from_when_it_was_queued(
    town: Town, maria: Customer
) -> None:
    """The mail server was away over the weekend."""
    town.live_until(MONDAY, mail_leaves=False)
    assert (reminders(town), todo(town, maria)) == ([], [])
    leave(town, MONDAY)
    assert states(town, Kind.SURVEY_30)[0][1] is LetterState.SENT
    thursday, next_monday = MONDAY + timedelta(days=3), MONDAY + timedelta(days=7)
    town.live_until(thursday - MINUTE)
    assert reminders(town) == []
    town.live_until(thursday)
    assert reminders(town) == [("maria@lumen.example", thursday)]
    town.live_until(next_monday - MINUTE)
    assert calls(town.house, maria) == []
    town.live_until(next_monday)
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]
    assert [(asked, became, at) for asked, _, became, _, at in ledger(town)] == [
        (Asked.SURVEY, Became.MAIL, DAY_30),
        (Asked.REMINDER, Became.MAIL, thursday),
    ]


def test_as_long_as_the_mail_lies_there_nobody_is_silent(town: Town, maria: Customer) -> None:
    town.live_until(DAY_30 + timedelta(days=13), mail_leaves=False)
    assert (reminders(town), todo(town, maria)) == ([], [])
    assert waiting(town, maria) == ["call_no_answer:30", "reminder:30"]


def test_colleagues_have_their_days_each_and_the_call_waits_for_the_last(town: Town) -> None:
    maria = town.customer()
    colleague(town, maria, zone="America/Los_Angeles")  # his mail leaves four hours later
    town.live_until(MONDAY)
    four_hours = timedelta(hours=4)
    assert reminders(town) == [("maria@lumen.example", MONDAY), ("joao@lumen.example", MONDAY + four_hours)]
    assert [(asked, became, at) for asked, _, became, _, at in ledger(town)][2:] == [
        (Asked.REMINDER, Became.MAIL, MONDAY),
        (Asked.REMINDER, Became.MAIL, MONDAY + four_hours),
    ]
    wednesday = DAY_30 + timedelta(days=7) + four_hours
    town.live_until(wednesday - MINUTE)
    assert calls(town.house, maria) == []
    town.live_until(wednesday)
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]


def test_a_reminder_rests_where_the_survey_left_later_than_it_was_to(town: Town) -> None:
    maria = town.customer()
    colleague(town, maria)
    town.live_until(DAY_30)
    of_joao = (LetterRow.kind == Kind.SURVEY_30, LetterRow.to_email == "joao@lumen.example")
    tuesday = MONDAY + timedelta(days=1)
    with town.house.database.write() as db:  # his mail server says: later, and later again
        db.execute(update(LetterRow).where(*of_joao).values(try_at=MONDAY + timedelta(hours=1)))
    town.live_until(MONDAY)
    thursday, friday = MONDAY + timedelta(days=3, hours=1), tuesday + timedelta(days=3)
    assert reminders(town) == [("maria@lumen.example", MONDAY), ("joao@lumen.example", thursday)]
    with town.house.database.write() as db:
        db.execute(update(LetterRow).where(*of_joao).values(try_at=tuesday))
    leave(town, tuesday)
    leave(town, thursday)
    assert [state for _, state, _ in states(town, Kind.SURVEY_REMINDER)] == [LetterState.SENT, LetterState.QUEUED]
    assert reminders(town)[1] == ("joao@lumen.example", friday)
    assert ledger(town)[-1][2:] == (Became.MAIL, None, friday)
    leave(town, friday)
    assert [state for _, state, _ in states(town, Kind.SURVEY_REMINDER)] == [LetterState.SENT] * 2


# What failed for good, or came back


def come_back(town: Town, at: datetime, **facts: object) -> int:
    """The mail server's word on the mails of the 30-day survey that left: nobody got them. How many that was news of."""
    with town.house.database.write() as db:
        of_them = update(LetterRow).where(LetterRow.kind == Kind.SURVEY_30, LetterRow.key.not_like(f"{leaving.AGAIN}%"))
        db.execute(of_them.values(sent_at=None, failed_at=at, error="550 No such user", **facts))
        assert returned.next_due(db) == (None if facts else at)
    return returned.deal_with(town.house, at)


def test_a_survey_that_came_back_is_none_that_went_out_and_becomes_a_call(town: Town, maria: Customer) -> None:
    leave(town)
    assert (delivered(town), invited(town, maria.contact_id)) == (1, (True, ""))
    later = LATER + timedelta(hours=1)
    assert come_back(town, later) == 1
    assert (delivered(town), invited(town, maria.contact_id)) == (0, (False, "undelivered"))
    assert [kind for kind, _ in todo(town, maria)] == [ActivityKind.CONTACT_BY_CALL]
    assert (contact(town, maria).converted_why, waiting(town, maria)) == ("undelivered", [])
    assert ledger(town)[-1][2:] == (Became.CALL, Why.UNDELIVERED, later)
    assert returned.deal_with(town.house, later) == 0
    town.live_until(DAY_30 + timedelta(days=8))
    assert (reminders(town), calls(town.house, maria)) == ([], [(ActivityKind.CONTACT_BY_CALL, 30)])


def test_who_never_got_the_mail_can_answer_in_the_portal_and_then_it_did_reach_nobody_by_mail(
    town: Town, maria: Customer
) -> None:
    leave(town)
    come_back(town, LATER)
    with town.house.database.read() as db:
        due = queries.due_survey(db, maria.contact_id, LATER)
    assert due is not None
    sending = Sending(Provenance.SIGNED_IN, f"contact:{maria.contact_id}")
    with town.house.database.write() as db:
        answers = Answers(csat=5, nps=9)
        invitation_id = due.invitation_id
        surveys.submit(db, town.house, invitation_id=invitation_id, answers=answers, sending=sending, now=LATER)
    assert contact(town, maria).settled_at == LATER
    assert delivered(town) == 0


def test_nobody_calls_who_has_left_meanwhile(town: Town, maria: Customer) -> None:
    leave(town)
    with town.house.database.write() as db:
        db.execute(update(Contact).where(Contact.id == maria.contact_id).values(disabled_at=LATER))
    assert come_back(town, LATER) == 1
    assert (delivered(town), invited(town, maria.contact_id)) == (0, (False, "undelivered"))
    assert (todo(town, maria), ledger(town)) == ([], [])


def test_what_was_answered_or_may_be_out_did_go_out(town: Town, maria: Customer) -> None:
    leave(town)
    assert come_back(town, LATER, unsure_at=LATER) == 0
    with town.house.database.write() as db:
        db.execute(update(LetterRow).values(unsure_at=None))
    with town.house.database.read() as db:
        invitation_id = db.scalars(select(Invitation.id)).one()
    answer(town.house, invitation_id, Answers(csat=5, nps=9))
    assert returned.deal_with(town.house, LATER) == 0
    assert (delivered(town), invited(town, maria.contact_id)) == (1, (True, ""))


def test_who_got_another_mail_of_it_was_asked(town: Town, maria: Customer) -> None:
    leave(town)
    with town.house.database.write() as db:
        invitation_id = db.scalars(select(Invitation.id)).one()
        surveys.send_again(db, town.house, invitation_id=invitation_id, now=LATER)
    leave(town, LATER)
    with town.house.database.write() as db:
        # In other words than the first, as where their language has changed.
        again = update(LetterRow).where(LetterRow.key.like(f"{leaving.AGAIN}%"))
        db.execute(again.values(context={"days": 30, "in_other_words": "pt-BR"}))
        first = db.scalars(select(LetterRow.id).where(LetterRow.kind == Kind.SURVEY_30).order_by(LetterRow.id)).first()
        db.execute(update(LetterRow).where(LetterRow.id == first).values(sent_at=None, failed_at=LATER))
    assert returned.deal_with(town.house, LATER) == 0
    assert invited(town, maria.contact_id) == (True, "")


def test_one_that_we_have_a_mistake_with_keeps_no_other_from_its_turn(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria, other = town.customer(), town.customer(name="Otto Lund", email="otto@lumen.example")
    town.live_until(LATER)
    instead = leaving.instead_of_mail

    def mistaken(db: Session, house: House, change: Change, *rest: Any, **named: Any) -> None:
        if change.after.id == maria.journey_id:
            raise LookupError("a mistake of ours")
        instead(db, house, change, *rest, **named)

    monkeypatch.setattr(leaving, "instead_of_mail", mistaken)
    assert come_back(town, LATER) == 2
    assert (invited(town, maria.contact_id), todo(town, maria)) == ((True, ""), [])
    assert invited(town, other.contact_id) == (False, "undelivered")
    assert [kind for kind, _ in todo(town, other)] == [ActivityKind.CONTACT_BY_CALL]
    with town.house.database.read() as db:
        assert returned.next_due(db) is None  # it isn't tried again and again


def test_workers_that_hear_of_it_at_once_call_once(town: Town, maria: Customer) -> None:
    leave(town)
    with town.house.database.write() as db:
        db.execute(update(LetterRow).where(LetterRow.kind == Kind.SURVEY_30).values(sent_at=None, failed_at=LATER))
    workers = [threading.Thread(target=returned.deal_with, args=(town.house, LATER)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [kind for kind, _ in todo(town, maria)] == [ActivityKind.CONTACT_BY_CALL]
    assert len(ledger(town)) == 1


def test_a_reminder_that_they_refuse_while_it_waits_is_in_the_ledger_and_the_call_comes(
    town: Town, maria: Customer
) -> None:
    leave(town)
    reminded = LATER + timedelta(days=5)
    town.live_until(reminded)
    refuse(town, "maria@lumen.example", Purpose.REMINDER)
    leave(town, reminded)
    assert states(town, Kind.SURVEY_REMINDER)[0][1:] == (LetterState.SUPPRESSED, mail.REFUSED_WHY)
    assert [(asked, became, why) for asked, _, became, why, _ in ledger(town)] == [
        (Asked.SURVEY, Became.MAIL, None),
        (Asked.REMINDER, Became.CALL, Why.REFUSED),
    ]
    town.live_until(DAY_30 + timedelta(days=14))
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]


# Beyond the plan


@pytest.fixture
def asking(town: Town) -> Town:
    """The town with its shipped triggers on."""
    with town.house.database.write() as db:
        load_shipped_triggers(db, now=START)
    return town


def pulse_of(town: Town) -> list[tuple[Asked, Became, Why | None]]:
    return [(asked, became, why) for asked, _, became, why in further_ledger(town)]


def test_a_survey_about_a_meeting_becomes_a_card(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    next_day = START + timedelta(days=1)
    work(asking, next_day)
    wish(asking, maria, channel=Channel.PHONE)
    leave(asking, next_day)
    assert pulse_of(asking) == [(Asked.MEETING, Became.CARD, Why.PREFERS_PHONE)]
    assert states(asking, Kind.SURVEY_MEETING)[0][1:] == (LetterState.SUPPRESSED, "They like the phone best.")
    with asking.house.database.read() as db:
        card = queries.due_survey(db, maria.contact_id, next_day)
        row = db.scalars(select(Invitation).where(Invitation.day.is_(None))).one()
    assert card is not None
    assert (card.invitation_id, row.sent_at, row.why) == (row.id, None, "prefers_phone")


def test_who_left_meanwhile_is_asked_nothing_any_more(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    next_day = START + timedelta(days=1)
    work(asking, next_day)
    with asking.house.database.write() as db:
        cases.churn(
            db, asking.house, account_id=maria.account_id, on=next_day.date(), reason="Closed", by="staff:1", now=next_day
        )  # fmt: skip
    leave(asking, next_day)
    assert states(asking, Kind.SURVEY_MEETING)[0][1:] == (LetterState.SUPPRESSED, leaving.LEFT)
    assert (pulse_of(asking), delivered(asking)) == ([], 0)
    with asking.house.database.read() as db:
        [shown] = [one for one in queries.invitations(db, asking.house, now=next_day) if one.day is None]
    assert (shown.state, shown.why) == ("suppressed", leaving.LEFT)


def test_what_may_have_been_delivered_before_they_left_stays_delivered(town: Town, maria: Customer) -> None:
    with town.house.database.write() as db:
        db.execute(update(LetterRow).where(LetterRow.kind == Kind.SURVEY_30).values(unsure_at=DAY_30))
        cases.churn(
            db, town.house, account_id=maria.account_id, on=LATER.date(), reason="Closed", by="staff:1", now=LATER
        )
    leave(town, LATER)
    assert states(town, Kind.SURVEY_30)[0][1:] == (LetterState.SUPPRESSED, leaving.LEFT)
    assert (invited(town, maria.contact_id), delivered(town)) == ((True, ""), 1)


def test_two_requests_never_put_each_other_off(asking: Town) -> None:
    """The second became a card for the first one's sake; that is no reason against the first."""
    maria = asking.customer()
    meet(asking, maria)
    next_day = START + timedelta(days=1)
    work(asking, next_day)
    meet(asking, maria, meeting_id=2, at=next_day)
    work(asking, next_day + timedelta(days=1))
    leave(asking, next_day + timedelta(days=1))
    assert pulse_of(asking) == [(Asked.MEETING, Became.MAIL, None), (Asked.MEETING, Became.CARD, Why.TOO_SOON)]
    assert states(asking, Kind.SURVEY_MEETING)[0][1] is LetterState.SENT


def test_a_survey_of_the_plan_that_went_first_makes_a_waiting_one_a_card(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    next_day = START + timedelta(days=1)
    work(asking, next_day)
    with asking.house.database.write() as db:  # the plan's came meanwhile
        row = db.scalars(select(RequestRow)).one()
        of_plan = {"asked": Asked.SURVEY, "day": 30, "key": "survey:30:x", "occasion": ""}
        facts = {c.name: getattr(row, c.name) for c in RequestRow.__table__.columns if c.name != "id"}
        db.add(RequestRow(**{**facts, **of_plan}))
    leave(asking, next_day)
    assert pulse_of(asking)[0] == (Asked.MEETING, Became.CARD, Why.TOO_SOON)


def test_an_anonymous_one_is_asked_of_nobody_who_refused_it(town: Town) -> None:
    for n in range(6):
        town.customer(email=f"p{n}@lumen.example")
    with town.house.database.write() as db:
        db.execute(insert(Survey).values(**stored_form(NAMELESS), version=1, created_at=START))
    send_anonymous(town)
    work(town, START)
    refuse(town, "p3@lumen.example")
    leave(town, START)
    assert [state for _, state, _ in states(town, Kind.SURVEY_ANONYMOUS)].count(LetterState.SENT) == 5
    assert [(became, why) for _, became, why in pulse_of(town) if why] == [(Became.NOTHING, Why.REFUSED)]


# Once, whoever tries


def test_workers_that_race_turn_each_once_in_many_rounds(town: Town) -> None:
    rounds = 12
    customers = [town.customer(email=f"c{n}@lumen.example") for n in range(rounds)]
    town.live_until(DAY_30)
    for customer in customers:
        flag(town, customer)
    town.house.clock.set(LATER)  # type: ignore[attr-defined]
    failed: list[BaseException] = []
    for _ in range(rounds):  # one letter each time, and three workers that want it
        ready = threading.Barrier(3)

        def one_worker(ready: threading.Barrier = ready) -> None:
            try:
                ready.wait()
                delivery.deliver(town.house, composers=COMPOSERS, turns=TURNS, now=LATER, limit=1)
            except BaseException as crash:
                failed.append(crash)

        threads = [threading.Thread(target=one_worker) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    leave(town)
    assert failed == []
    assert [state for _, state, _ in states(town, Kind.SURVEY_30)] == [LetterState.SUPPRESSED] * rounds
    assert sorted((who, became) for _, who, became, *_ in ledger(town)) == [
        (customer.contact_id, Became.CALL) for customer in customers
    ]
    for customer in customers:
        assert todo(town, customer) == [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")]


def test_two_that_hold_the_same_letter_turn_it_once_in_many_rounds(town: Town) -> None:
    """The first one's lease ran out before it came to turning: what another worker has taken is no longer its to turn."""
    rounds = 10
    customers = [town.customer(email=f"c{n}@lumen.example") for n in range(rounds)]
    town.live_until(DAY_30)
    failed: list[BaseException] = []
    for customer in customers:
        flag(town, customer)
        with town.house.database.write() as db:
            wanted = select(LetterRow.id).where(LetterRow.contact_id == customer.contact_id)
            letter_id = db.scalars(wanted.where(LetterRow.kind == Kind.SURVEY_30)).one()
        held = []
        for who in ("first", "second"):
            with town.house.database.write() as db:
                db.execute(update(LetterRow).where(LetterRow.id == letter_id).values(leased_by=who))
            with town.house.database.read() as db:
                held.append(db.get_one(LetterRow, letter_id))
        held.append(held[1])  # and the second one tries it twice, say
        ready = threading.Barrier(3)

        def turn(row: LetterRow, ready: threading.Barrier = ready) -> None:
            try:
                ready.wait()
                with town.house.database.write() as db:
                    leaving.turn(db, town.house, row, leaving.OPEN_FLAG, LATER)
            except BaseException as crash:
                failed.append(crash)

        threads = [threading.Thread(target=turn, args=(row,)) for row in held]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert states(town, Kind.SURVEY_30)[customers.index(customer)][1] is LetterState.SUPPRESSED
        assert todo(town, customer) == [(ActivityKind.CONTACT_BY_CALL, "contact_by_call:30")]
    assert failed == []
    assert [became for *_, became, _, _ in ledger(town)] == [Became.CALL] * rounds


def test_what_stood_against_it_and_has_gone_lets_it_leave(town: Town, maria: Customer) -> None:
    """Withheld by a look, and judged again with the journey held: by then nothing stands against it."""
    with town.house.database.write() as db:
        db.execute(update(LetterRow).where(LetterRow.kind == Kind.SURVEY_30).values(leased_by="me", attempts=1))
    with town.house.database.read() as db:
        row = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.SURVEY_30)).one()
    with town.house.database.write() as db:
        leaving.turn(db, town.house, row, leaving.OPEN_FLAG, DAY_30)
    assert (ledger(town)[0][2], todo(town, maria)) == (Became.MAIL, [])
    leave(town, DAY_30 + leaving.AT_ONCE)
    assert states(town, Kind.SURVEY_30)[0][1] is LetterState.SENT

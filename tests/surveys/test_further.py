"""Asking beyond the plan, on both databases: after meetings, on a day of use, in a stage, every 180 days, by hand."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from portal.accounts.asking import Asked, Became, Why
from portal.accounts.asking_ledger import addressees
from portal.accounts.models import Contact
from portal.accounts.rules import Channel
from portal.audit import AuditEvent, Happened
from portal.journeys import actions as journeys
from portal.journeys import conduct, due
from portal.journeys.models import DueAction, Flag, FollowUpRow, JourneyRow
from portal.journeys.shipped import RELATIONSHIP
from portal.mail import Kind, LetterRow
from portal.surveys import occasions, queries, returned, rounds, triggers
from portal.surveys.actions import Sending, send_again, submit
from portal.surveys.leaving import compose_survey
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.moments import TriggerKind
from portal.surveys.round_models import SurveyRound, SurveyTrigger
from portal.surveys.rules import Answers, InvitationState, Provenance
from portal.surveys.shipped import load_shipped_triggers
from tests.surveys.conftest import DAY_30, START, Customer, Town
from tests.surveys.test_asking import colleague

NINE_NEXT_DAY = datetime(2026, 6, 2, 12, tzinfo=START.tzinfo)
"""Nine in São Paulo, the day after the town began; a Tuesday."""


@pytest.fixture
def asking(town: Town) -> Town:
    """The town with its shipped triggers on."""
    with town.house.database.write() as db:
        load_shipped_triggers(db, now=START)
    return town


def meet(town: Town, customer: Customer, *, meeting_id: int = 1, at: datetime = START) -> None:
    """A meeting took place."""
    with town.house.database.write() as db:
        journeys.hear_meeting_held(
            db, town.house, journey_id=customer.journey_id, meeting_id=meeting_id, contact_id=customer.contact_id,
            kind="check_up", by="staff:1", now=at,
        )  # fmt: skip


def work(town: Town, moment: datetime) -> None:
    """Looks for whom triggers concern, and asks who is due."""
    house = town.house
    house.clock.set(moment)  # type: ignore[attr-defined]
    while triggers.look(house, moment):
        pass
    for kind, do in ((occasions.ASK, occasions.ask_due), (occasions.REMIND, occasions.remind_due)):
        with house.database.write() as db:
            while rows := due.claim(db, kinds=(kind,), now=moment, limit=500):
                do(db, house, rows, moment)


def invited(town: Town) -> list[tuple[str, str, bool]]:
    """Occasion, why not, and whether by mail; of surveys beyond the plan."""
    with town.house.database.read() as db:
        rows = db.scalars(select(Invitation).where(Invitation.day.is_(None)).order_by(Invitation.id))
        return [(row.occasion, row.why, row.sent_at is not None) for row in rows]


def letters(town: Town, *kinds: Kind) -> list[LetterRow]:
    with town.house.database.read() as db:
        return list(db.scalars(select(LetterRow).where(LetterRow.kind.in_(kinds)).order_by(LetterRow.id)))


def ledger(town: Town) -> list[tuple[Asked, str, Became, Why | None]]:
    """Whoever was asked beyond the plan, by occasion."""
    return [row for row in town.ledger("asked", "occasion", "became", "why") if row[1]]


def results(town: Town, kind: str = occasions.ASK) -> list[tuple[str, str]]:
    with town.house.database.read() as db:
        rows = db.execute(select(DueAction.key, DueAction.result).where(DueAction.kind == kind).order_by(DueAction.id))
        return [tuple(row) for row in rows]


# After a meeting


def test_the_morning_after_a_meeting_who_was_there_is_asked_how_it_was(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    work(asking, NINE_NEXT_DAY - timedelta(minutes=1))
    assert invited(asking) == []
    work(asking, NINE_NEXT_DAY)
    assert invited(asking) == [("meeting:1", "", True)]
    [letter] = letters(asking, Kind.SURVEY_MEETING)
    assert (letter.contact_id, letter.due_at, letter.context["occasion"]) == (
        maria.contact_id, NINE_NEXT_DAY, "meeting:1"
    )  # fmt: skip
    assert ledger(asking) == [(Asked.MEETING, "meeting:1", Became.MAIL, None)]
    with asking.house.database.read() as db:
        shown = queries.due_survey(db, maria.contact_id, NINE_NEXT_DAY)
        link = compose_survey(db, asking.house, letter)["answer_url"]
        page = queries.sealed_page(db, asking.house, link.rpartition("/")[2], NINE_NEXT_DAY)
        told = db.scalars(select(AuditEvent.detail).where(AuditEvent.what == Happened.SURVEY_SENT)).all()
    assert shown is not None and (shown.day, shown.minutes) == (None, 1)
    assert page is not None and (page.day, page.form.key) == (None, "post_meeting")
    assert told == [{"occasion": "meeting:1", "survey_en": "After our meeting", "survey_pt": "Depois da nossa reunião"}]


def test_held_said_twice_asks_once(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    meet(asking, maria, at=START + timedelta(hours=1))
    work(asking, NINE_NEXT_DAY)
    work(asking, NINE_NEXT_DAY + timedelta(days=1))
    assert len(letters(asking, Kind.SURVEY_MEETING)) == 1


def test_a_bad_answer_about_a_meeting_flags_and_settles_no_contact(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    work(asking, NINE_NEXT_DAY)
    with asking.house.database.write() as db:
        one = db.scalars(select(Invitation.id)).one()
        said = Answers(csat=1, comment="Nothing was solved", others={"solved": False})
        sending = Sending(Provenance.MAIL_LINK, f"contact:{maria.contact_id}")
        submit(db, asking.house, invitation_id=one, answers=said, sending=sending, now=NINE_NEXT_DAY)
    with asking.house.database.read() as db:
        [flag] = db.scalars(select(Flag)).all()
        [answer] = db.scalars(select(AnswerRow)).all()
        settled = db.scalars(select(FollowUpRow.settled_at)).all()
    assert (flag.day, flag.contact_id, flag.words) == (None, maria.contact_id, "Nothing was solved")
    assert (answer.day, answer.csat) == (None, 1)
    assert set(settled) == {None}


def test_a_good_answer_about_a_meeting_moves_nothing(asking: Town) -> None:
    maria = asking.customer()
    before = asking.journey(maria).stage_id
    meet(asking, maria)
    work(asking, NINE_NEXT_DAY)
    with asking.house.database.write() as db:
        one = db.scalars(select(Invitation.id)).one()
        sending = Sending(Provenance.MAIL_LINK, f"contact:{maria.contact_id}")
        submit(db, asking.house, invitation_id=one, answers=Answers(csat=5), sending=sending, now=NINE_NEXT_DAY)
    assert asking.journey(maria).stage_id == before


def test_a_switched_off_trigger_asks_nobody(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    with asking.house.database.write() as db:
        which = db.scalars(select(SurveyTrigger.id).where(SurveyTrigger.kind == TriggerKind.MEETING)).one()
        triggers.switch(db, which, on=False, by="staff:1", now=START)
    work(asking, NINE_NEXT_DAY)
    assert (invited(asking), results(asking)) == ([], [(f"ask:meeting:1:contact:{maria.contact_id}", "off")])


def test_what_is_no_mail_waits_in_the_portal_with_the_reason(asking: Town) -> None:
    maria = asking.customer(phone="+5511987654321")
    with asking.house.database.write() as db:
        db.execute(update(Contact).where(Contact.id == maria.contact_id).values(channel=Channel.PHONE))
    meet(asking, maria)
    work(asking, NINE_NEXT_DAY)
    assert invited(asking) == [("meeting:1", "prefers_phone", False)]
    assert ledger(asking) == [(Asked.MEETING, "meeting:1", Became.CARD, Why.PREFERS_PHONE)]
    with asking.house.database.read() as db:
        card = queries.due_survey(db, maria.contact_id, NINE_NEXT_DAY)
        told = [
            (one.day, one.state, one.why)
            for one in queries.invitations(db, asking.house, now=NINE_NEXT_DAY, journey_id=maria.journey_id)
            if one.day is None
        ]
    assert card is not None
    assert told == [(None, InvitationState.SUPPRESSED, "They like the phone best.")]


def test_a_check_in_of_the_plan_goes_first(asking: Town) -> None:
    maria = asking.customer()
    asking.live_until(DAY_30 - timedelta(days=5))
    meet(asking, maria, at=DAY_30 - timedelta(days=5))
    work(asking, DAY_30 - timedelta(days=2))
    assert invited(asking) == [("meeting:1", "plan_first", False)]
    asking.live_until(DAY_30)
    assert [row.to_email for row in letters(asking, Kind.SURVEY_30)] == ["maria@lumen.example"]


def test_nobody_gets_two_surveys_within_two_weeks_and_the_plans_outranks_the_others(asking: Town) -> None:
    maria = asking.customer()
    asking.live_until(DAY_30)
    meet(asking, maria, at=DAY_30 + timedelta(days=5))
    work(asking, DAY_30 + timedelta(days=6))
    assert invited(asking) == [("meeting:1", "too_soon", False)]
    assert len(letters(asking, Kind.SURVEY_30)) == 1


def test_a_reminder_comes_once_a_week_later_and_not_to_who_has_answered(asking: Town) -> None:
    maria = asking.customer()
    joao = asking.customer(name="João Lima", email="joao@lumen.example")
    meet(asking, maria)
    meet(asking, joao, meeting_id=2)
    work(asking, NINE_NEXT_DAY)
    with asking.house.database.write() as db:
        his = db.scalars(select(Invitation.id).where(Invitation.contact_id == joao.contact_id)).one()
        sending = Sending(Provenance.MAIL_LINK, f"contact:{joao.contact_id}")
        submit(db, asking.house, invitation_id=his, answers=Answers(csat=5), sending=sending, now=NINE_NEXT_DAY)
    for days in (6, 7, 8, 14):
        work(asking, NINE_NEXT_DAY + timedelta(days=days))
    [reminder] = letters(asking, Kind.SURVEY_FURTHER_REMINDER)
    assert (reminder.contact_id, reminder.queued_at) == (maria.contact_id, NINE_NEXT_DAY + timedelta(days=7))


def test_a_fresh_link_of_a_survey_beyond_the_plan(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    work(asking, NINE_NEXT_DAY)
    with asking.house.database.write() as db:
        one = db.scalars(select(Invitation.id)).one()
        send_again(db, asking.house, invitation_id=one, now=NINE_NEXT_DAY + timedelta(days=1))
    again = letters(asking, Kind.SURVEY_MEETING)
    assert [row.context for row in again] == [again[0].context, again[0].context]


# On a day of use, in a stage


def test_a_mail_about_one_meeting_that_came_back_is_known_from_the_one_about_another(asking: Town) -> None:
    maria = asking.customer()
    meet(asking, maria)
    meet(asking, maria, meeting_id=2, at=START + timedelta(days=15))
    later = NINE_NEXT_DAY + timedelta(days=15)
    work(asking, NINE_NEXT_DAY)
    work(asking, later)
    of_them = update(LetterRow).where(LetterRow.kind == Kind.SURVEY_MEETING)
    first, second = letters(asking, Kind.SURVEY_MEETING)
    with asking.house.database.write() as db:
        db.execute(of_them.where(LetterRow.id == second.id).values(sent_at=later))
        db.execute(of_them.where(LetterRow.id == first.id).values(failed_at=later))
    assert returned.deal_with(asking.house, later) == 1
    assert invited(asking) == [("meeting:1", "undelivered", False), ("meeting:2", "", True)]
    assert ledger(asking) == [
        (Asked.MEETING, "meeting:1", Became.CARD, Why.UNDELIVERED),
        (Asked.MEETING, "meeting:2", Became.MAIL, None),
    ]
    assert returned.deal_with(asking.house, later) == 0


def new_trigger(town: Town, kind: TriggerKind, days: int, *, stage: str = "", key: str = "pulse") -> int:
    with town.house.database.write() as db:
        return triggers.add_trigger(db, survey_key=key, kind=kind, days=days, stage=stage, by="staff:3", now=START)


def test_on_a_day_of_use(town: Town) -> None:
    maria = town.customer()
    new_trigger(town, TriggerKind.DAY_OF_USE, 10)
    town.live_until(START)
    day_10 = datetime(2026, 6, 11, 12, tzinfo=START.tzinfo)
    work(town, day_10 - timedelta(days=1))
    assert invited(town) == []
    work(town, day_10)
    assert invited(town) == [("use:10", "", True)]
    assert [row.contact_id for row in letters(town, Kind.SURVEY_PULSE)] == [maria.contact_id]
    work(town, day_10 + timedelta(days=1))
    assert len(invited(town)) == 1


def test_a_moved_start_of_use_moves_the_day(town: Town) -> None:
    maria = town.customer()
    new_trigger(town, TriggerKind.DAY_OF_USE, 10)
    day_10 = datetime(2026, 6, 11, 12, tzinfo=START.tzinfo)
    work(town, day_10 - timedelta(days=1))
    with town.house.database.write() as db:
        moved = {"use_started_on": START.date() + timedelta(days=4)}
        db.execute(update(JourneyRow).where(JourneyRow.id == maria.journey_id).values(**moved))
    work(town, day_10)
    assert invited(town) == []
    work(town, datetime(2026, 6, 15, 12, tzinfo=START.tzinfo))
    assert invited(town) == [("use:10", "", True)]


def test_in_a_stage_from_now_on(town: Town) -> None:
    before = town.customer(email="before@lumen.example")
    with town.house.database.write() as db:
        triggers.add_trigger(
            db, survey_key="pulse", kind=TriggerKind.STAGE, days=3, stage="deployment", by="staff:3",
            now=START + timedelta(minutes=1),
        )  # fmt: skip
    assert town.journey(before).position == 2
    work(town, START + timedelta(days=4))
    assert invited(town) == []
    with town.house.database.write() as db:
        db.execute(update(SurveyTrigger).values(on_since=START))
    work(town, START + timedelta(days=4, hours=6))
    assert invited(town) == [("stage:deployment:3", "", True)]


def test_two_triggers_never_ask_about_the_same(town: Town) -> None:
    new_trigger(town, TriggerKind.DAY_OF_USE, 10)
    with pytest.raises(triggers.Taken):
        new_trigger(town, TriggerKind.DAY_OF_USE, 10, key="post_meeting")


def test_the_shipped_triggers_stay_off_once_somebody_switched_them_off(asking: Town) -> None:
    with asking.house.database.write() as db:
        for which in db.scalars(select(SurveyTrigger.id)).all():
            triggers.switch(db, which, on=False, by="staff:3", now=START)
        load_shipped_triggers(db, now=START + timedelta(days=1))
    with asking.house.database.read() as db:
        assert db.scalars(select(SurveyTrigger.on_since)).all() == [None, None]
        told = db.scalars(select(AuditEvent.by).where(AuditEvent.what == Happened.SURVEY_TRIGGER_CHANGED)).all()
    assert told == ["staff:3", "staff:3"]


# The pulse


def in_good_hands(town: Town, customer: Customer, *, since: datetime = START) -> int:
    """Their Relationship journey."""
    with town.house.database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == customer.journey_id).values(status="won", ended_at=since))
        journey_id = conduct.open_journey(
            db, town.house, account_id=customer.account_id, pipeline_key=RELATIONSHIP, owner_id=None, by="rule:approved",
            now=since,
        )  # fmt: skip
        assert journey_id is not None
        return journey_id


def test_a_pulse_every_180_days_from_each_customers_own_beginning(asking: Town) -> None:
    maria = asking.customer()
    in_good_hands(asking, maria)
    first = START + timedelta(days=180)
    for days in range(170, 185):
        work(asking, START + timedelta(days=days))
    assert invited(asking) == [(f"pulse:{first.date().isoformat()}", "", True)]
    for days in range(355, 366):
        work(asking, START + timedelta(days=days))
    assert [occasion for occasion, _, _ in invited(asking)] == ["pulse:2026-11-28", "pulse:2027-05-27"]
    assert [row.kind for row in letters(asking, Kind.SURVEY_PULSE)] == [Kind.SURVEY_PULSE] * 2


def test_a_bad_answer_to_a_pulse_is_a_flag_in_relationship(asking: Town) -> None:
    maria = asking.customer()
    journey_id = in_good_hands(asking, maria)
    when = START + timedelta(days=182)  # a Monday: the 180th day is a Saturday
    work(asking, when)
    with asking.house.database.write() as db:
        one = db.scalars(select(Invitation.id)).one()
        sending = Sending(Provenance.MAIL_LINK, f"contact:{maria.contact_id}")
        submit(db, asking.house, invitation_id=one, answers=Answers(nps=3), sending=sending, now=when)
    with asking.house.database.read() as db:
        assert [(flag.journey_id, flag.day) for flag in db.scalars(select(Flag))] == [(journey_id, None)]


def test_what_was_due_before_the_trigger_was_on_is_not_asked(town: Town) -> None:
    maria = town.customer()
    in_good_hands(town, maria)
    with town.house.database.write() as db:
        load_shipped_triggers(db, now=START + timedelta(days=190))
    work(town, START + timedelta(days=191))
    assert invited(town) == []


def test_after_a_long_stop_of_the_worker_it_is_void(asking: Town) -> None:
    in_good_hands(asking, asking.customer())
    work(asking, START + timedelta(days=200))
    assert invited(asking) == []


# Many, and several workers


def test_the_number_of_statements_does_not_grow(asking: Town) -> None:
    def statements(many: int, meeting_id: int) -> int:
        for n in range(many):
            meet(asking, asking.customer(email=f"c{meeting_id + n}@lumen.example"), meeting_id=meeting_id + n)
        seen: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        engine = asking.house.database.write_engine
        with asking.house.database.write() as db:
            rows = due.claim(db, kinds=(occasions.ASK,), now=NINE_NEXT_DAY, limit=500)
            assert len(rows) == many
            event.listen(engine, "before_cursor_execute", note)
            occasions.ask_due(db, asking.house, rows, NINE_NEXT_DAY)
            event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    assert statements(1, 1) == statements(20, 100)


def test_several_workers_ask_each_once_in_many_rounds(asking: Town) -> None:
    customers = [asking.customer(email=f"c{n}@lumen.example") for n in range(6)]
    for customer in customers:
        in_good_hands(asking, customer)
    expected: list[str] = []
    for turn in range(1, 13):  # six years of pulses, each looked for and asked by three workers at once
        moment = START + timedelta(days=180 * turn + 3)
        asking.house.clock.set(moment)  # type: ignore[attr-defined]

        def one_worker(_n: int, moment: datetime = moment) -> None:
            while triggers.look(asking.house, moment):
                pass
            for _ in range(8):
                with asking.house.database.write() as db:
                    rows = due.claim(db, kinds=(occasions.ASK,), now=moment, limit=2)
                    if rows:
                        occasions.ask_due(db, asking.house, rows, moment)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(one_worker, range(3)))
        expected += [f"pulse:{(START + timedelta(days=180 * turn)).date().isoformat()}"] * 6
    one_worker(0)
    assert sorted(occasion for occasion, _, _ in invited(asking)) == sorted(expected)
    # On a weekend it waits, and half a year later it is void as a mail.
    by_mail = [occasion for occasion, _, is_mail in invited(asking) if is_mail]
    assert len(letters(asking, Kind.SURVEY_PULSE)) == len(by_mail) > 0


def test_a_round_for_other_customers_than_were_counted_leaves_nothing(asking: Town) -> None:
    asking.customer(email="first@lumen.example")
    with asking.house.database.read() as db:
        counted = rounds.size_of(db, rounds.Segment())
        survey = next(form for form in triggers.surveys_to_send(db) if not form.is_anonymous)
    asking.customer(email="second@lumen.example")
    with asking.house.database.write() as db, pytest.raises(rounds.Changed):
        rounds.send(
            db, asking.house, key="once", survey_key=survey.key, segment=rounds.Segment(), size=counted, shown=1,
            is_sure=True, by="staff:1", now=START,
        )  # fmt: skip
    with asking.house.database.read() as db:
        assert db.scalars(select(SurveyRound)).all() == []
        assert db.scalars(select(DueAction).where(DueAction.kind == occasions.ASK)).all() == []


def test_those_whom_to_ask_are_counted_as_they_will_be_asked(asking: Town) -> None:
    """The main contact and who was ticked; where none of them has an address, a colleague in their place."""
    maria = asking.customer()
    colleague(asking, maria)
    asking.customer(email=None, phone="+551140028922")
    house = asking.house
    with house.database.write() as db:
        accounts = [maria.account_id, maria.account_id + 1]
        expected = addressees(db, accounts)
        assert {account: len(some) for account, some in expected.items()} == {accounts[0]: 2, accounts[1]: 1}
        assert rounds.size_of(db, rounds.Segment()) == (2, 3, 2)
        assert rounds.size_of(db, rounds.Segment(language="pt-BR")) == (1, 1, 2)
        assert rounds.size_of(db, rounds.Segment(plan="None of theirs")) == (0, 0, 0)


class Killed(Exception):
    """The worker's process ended before its transaction did."""


def test_a_round_that_was_cut_short_goes_on_and_asks_nobody_twice(asking: Town) -> None:
    house = asking.house
    customers = [asking.customer(name=f"Person {n}", email=f"p{n}@lumen.example") for n in range(5)]
    with house.database.write() as db:
        form = next(form for form in triggers.surveys_to_send(db) if not form.is_anonymous)
        for _ in range(2):  # pressed twice
            rounds.send(
                db, house, key="once", survey_key=form.key, segment=rounds.Segment(),
                size=rounds.size_of(db, rounds.Segment()), shown=5, is_sure=True, by="staff:1",
                now=START,
            )  # fmt: skip

    def batch(*, is_killed: bool) -> int:
        rows: Sequence[due.Waiting] = []
        with suppress(Killed), house.database.write() as db:
            rows = due.claim(db, kinds=(occasions.ASK,), now=START, limit=2)
            if rows:
                occasions.ask_due(db, house, rows, START)
            if is_killed:
                raise Killed
        return len(rows)

    assert [batch(is_killed=kill) for kill in (False, True, True, False, False, False)] == [2, 2, 2, 2, 1, 0]
    with house.database.read() as db:
        asked = db.scalars(select(Invitation.contact_id).where(Invitation.day.is_(None))).all()
    mails = [one.contact_id for one in letters(asking, Kind.SURVEY_MEETING, Kind.SURVEY_PULSE, Kind.SURVEY_FURTHER)]
    everybody = sorted(customer.contact_id for customer in customers)
    assert (sorted(asked), sorted(contact for contact in mails if contact)) == (everybody, everybody)

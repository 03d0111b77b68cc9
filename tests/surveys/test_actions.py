"""Sending, reminding and answering, on both databases."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from portal import delivery, links, mail
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.audit import AuditEvent, Happened
from portal.errors import NotFound
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import cases, due
from portal.journeys.models import Activity, DueAction, Flag, FollowUpRow, JourneyRow
from portal.journeys.rules import ActivityKind, FlagOrigin, FlagOutcome, Outcome
from portal.mail import Kind, LetterRow, LetterState, Withheld
from portal.surveys import actions as surveys
from portal.surveys import leaving, queries
from portal.surveys.actions import Closed, FromForm, Sending, Unanswerable
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.paths import sealed_path
from portal.surveys.rules import Answers, InvitationState, Provenance, Reader, Shown
from portal.surveys.shipped import load_shipped_surveys
from portal.surveys.stored import known_form
from tests.journeys.invariants import hold_in_database
from tests.surveys.conftest import DAY_30, START, Customer, Later, Town

BY_MAIL = Sending(Provenance.MAIL_LINK, "contact:1")


def answer(house: House, invitation_id: int, answers: Answers, sending: Sending = BY_MAIL) -> surveys.Counted:
    with house.database.write() as db:
        return surveys.submit(
            db, house, invitation_id=invitation_id, answers=answers, sending=sending, now=house.clock.now()
        )


def letters(house: House, customer: Customer, *kinds: Kind) -> list[mail.Outgoing]:
    with house.database.read() as db:
        return [m for m in mail.messages(db, journey_id=customer.journey_id) if m.kind in kinds]


def count(house: House, table: type, **values: object) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.count()).select_from(table).filter_by(**values)) or 0


def stage(town: Town, customer: Customer) -> int:
    return town.journey(customer).position


# Sending


def test_the_survey_goes_out_on_day_30_at_nine_to_the_primary_contact(town: Town, maria: Customer) -> None:
    sent = letters(town.house, maria, Kind.SURVEY_30)
    assert [(m.to_email, m.due_at, m.state) for m in sent] == [("maria@lumen.example", DAY_30, LetterState.QUEUED)]
    invitation = town.invitation(maria)
    assert (invitation.contact_id, invitation.day, invitation.sent_at) == (maria.contact_id, 30, DAY_30)
    assert invitation.expires_at == datetime(2026, 7, 23, 3, tzinfo=UTC)
    assert stage(town, maria) == 3


def test_a_survey_that_went_out_plans_one_reminder_and_one_call(town: Town, maria: Customer) -> None:
    with town.house.database.read() as db:
        waiting = db.execute(
            select(DueAction.key, DueAction.due_at)
            .where(DueAction.journey_id == maria.journey_id, DueAction.kind.in_(("reminder", "call_no_answer")))
            .order_by(DueAction.key)
        ).all()
    assert [tuple(row) for row in waiting] == [
        ("call_no_answer:30", datetime(2026, 7, 8, 12, tzinfo=UTC)),
        ("reminder:30", datetime(2026, 7, 6, 12, tzinfo=UTC)),
    ]


def test_the_mail_knows_when_it_closes_what_comes_next_and_the_question(town: Town, maria: Customer) -> None:
    with town.house.database.read() as db:
        context = db.scalar(select(LetterRow.context).where(LetterRow.kind == Kind.SURVEY_30))
    assert context == {
        "days": 30,
        "started_on": "2026-06-01",
        "closes_on": "2026-07-22",
        "next_on": "2026-07-31",
        "minutes": 2,
        "stage": {"number": 4, "of": 7, "name": "30-day check-in"},
        "question": "How likely are you to recommend Onward to a friend or colleague?",
    }


def test_with_an_open_flag_there_is_a_call_instead_of_a_survey(town: Town) -> None:
    maria = town.customer()
    town.house.clock.set(DAY_30 - timedelta(hours=1))  # type: ignore[attr-defined]
    with town.house.database.write() as db:
        # On day 30 the journey moves into its stage and leaves the survey; the flag comes in between.
        rows = due.claim(db, kinds=due.OWN_KINDS, now=DAY_30, limit=9)
        due.do_own(db, town.house, rows, DAY_30)
        cases.open_flag(
            db, town.house, journey_id=maria.journey_id, origin=FlagOrigin.CONSULTANT, by="staff:1", now=DAY_30
        )
        surveys.send_due(db, town.house, due.claim(db, kinds=("survey",), now=DAY_30, limit=9), DAY_30)
    assert letters(town.house, maria, Kind.SURVEY_30) == []
    assert count(town.house, Invitation) == 0
    with town.house.database.read() as db:
        contact = db.execute(
            select(FollowUpRow.converted_at, FollowUpRow.converted_why).where(
                FollowUpRow.journey_id == maria.journey_id, FollowUpRow.day == 30
            )
        ).one()
    assert tuple(contact) == (DAY_30, "open_flag")
    assert calls(town.house, maria) == [(ActivityKind.CONTACT_BY_CALL, 30)]


def calls(house: House, customer: Customer) -> list[tuple[ActivityKind, int]]:
    wanted = (ActivityKind.CONTACT_BY_CALL, ActivityKind.CALL_NO_ANSWER)
    with house.database.read() as db:
        rows = db.execute(
            select(Activity.kind, Activity.day)
            .where(Activity.journey_id == customer.journey_id, Activity.kind.in_(wanted))
            .order_by(Activity.id)
        )
        return [(row.kind, row.day) for row in rows]


def test_a_survey_two_weeks_late_is_a_call(town: Town) -> None:
    maria = town.customer()
    town.house.clock.set(DAY_30)  # type: ignore[attr-defined]
    with town.house.database.write() as db:
        due.do_own(db, town.house, due.claim(db, kinds=due.OWN_KINDS, now=DAY_30, limit=9), DAY_30)
    town.house.clock.set(DAY_30 + timedelta(days=14, minutes=1))  # type: ignore[attr-defined]
    town.work()
    assert letters(town.house, maria, Kind.SURVEY_30) == []
    assert (town.invitation(maria).why, calls(town.house, maria)) == ("late", [(ActivityKind.CONTACT_BY_CALL, 30)])


def test_nobody_with_an_address_is_a_call(town: Town) -> None:
    maria = town.customer(email=None, phone="+5511999990000")
    town.live_until(DAY_30)
    assert (town.invitation(maria).why, calls(town.house, maria)) == (
        "no_address",
        [(ActivityKind.CONTACT_BY_CALL, 30)],
    )


def test_where_the_primary_contact_has_no_address_a_colleague_who_has_one_is_asked(town: Town) -> None:
    maria = town.customer(email=None, phone="+5511999990000")
    with town.house.database.write() as db:
        joao = Contact(
            account_id=maria.account_id,
            name="João Lima",
            email="joao@lumen.example",
            language=Language.PT_BR,
            timezone="America/Sao_Paulo",
            created_at=START,
        )
        db.add(joao)
    town.live_until(DAY_30)
    assert [m.to_email for m in letters(town.house, maria, Kind.SURVEY_30)] == ["joao@lumen.example"]


def test_who_refused_such_mails_gets_a_call_and_finds_the_survey_in_the_portal(town: Town) -> None:
    maria, sofia = town.customer(), town.customer(name="Sofia Alves", email="sofia@verdant.example")
    with town.house.database.write() as db:
        db.add(
            mail.MailRefusal(
                address_hash=mail.address_hash("Maria@Lumen.example"), purpose=mail.Purpose.SURVEY, at=START
            )
        )
    town.live_until(DAY_30)
    assert letters(town.house, maria, Kind.SURVEY_30) == []
    assert [m.to_email for m in letters(town.house, sofia, Kind.SURVEY_30)] == ["sofia@verdant.example"]
    assert (town.invitation(maria).why, calls(town.house, maria)) == ("refused", [(ActivityKind.CONTACT_BY_CALL, 30)])
    with town.house.database.read() as db:
        waiting = queries.due_survey(db, maria.contact_id, DAY_30)
    assert waiting is not None
    answer(town.house, waiting.invitation_id, Answers(csat=5, nps=9), Sending(Provenance.SIGNED_IN, "contact:1"))
    assert stage(town, maria) == 4


def test_a_lost_journey_is_asked_nothing(town: Town) -> None:
    maria = town.customer()
    town.house.clock.set(DAY_30)  # type: ignore[attr-defined]
    with town.house.database.write() as db:
        due.do_own(db, town.house, due.claim(db, kinds=due.OWN_KINDS, now=DAY_30, limit=9), DAY_30)
        cases.churn(
            db, town.house, account_id=maria.account_id, on=DAY_30.date(), reason="moved", by="staff:1", now=DAY_30
        )
    town.work()
    assert count(town.house, Invitation) == 0
    assert calls(town.house, maria) == []
    assert count(town.house, DueAction, kind="survey", result="lost") == 1


def test_a_day_without_a_survey_is_a_call(town: Town) -> None:
    maria = town.customer()
    with town.house.database.write() as db:
        db.execute(update(Survey).where(Survey.key == "follow_up_30").values(key="follow_up_31"))
    town.live_until(DAY_30)
    assert calls(town.house, maria) == [(ActivityKind.CONTACT_BY_CALL, 30)]


def test_a_move_by_hand_and_back_never_mails_twice(town: Town, maria: Customer) -> None:
    with town.house.database.write() as db:
        for to in ("deployment", "follow_up_30"):
            journeys.move_by_hand(
                db, town.house, journey_id=maria.journey_id, stage=to, reason="oops", by="staff:1", now=DAY_30
            )
    town.work()
    assert len(letters(town.house, maria, Kind.SURVEY_30)) == 1
    assert count(town.house, Invitation) == 1


@contextmanager
def counted(house: House) -> Iterator[list[str]]:
    """The statements of the block."""
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(house.database.write_engine, "before_cursor_execute", note)
    yield statements
    event.remove(house.database.write_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("fate", ["sent", "converted", "reminded", "called"])
def test_the_number_of_statements_does_not_grow_with_the_journeys(town: Town, fate: str) -> None:
    def statements_for(customers: int, day: datetime) -> int:
        for n in range(customers):
            town.customer(email=f"p{n}.{customers}@lumen.example" if fate != "converted" else None, phone="+5511")
        town.house.clock.set(day)  # type: ignore[attr-defined]
        with town.house.database.write() as db:
            due.do_own(db, town.house, due.claim(db, kinds=due.OWN_KINDS, now=day, limit=99), day)
        kind, do = ("survey",), surveys.send_due
        if fate in ("reminded", "called"):
            with town.house.database.write() as db:
                do(db, town.house, due.claim(db, kinds=kind, now=day, limit=99), day)
            town.leave()
            kind, do = (("reminder",), surveys.remind_due) if fate == "reminded" else (("call_no_answer",), due.do_own)
            day += timedelta(days=6 if fate == "reminded" else 8)
        with town.house.database.write() as db, counted(town.house) as statements:
            rows = due.claim(db, kinds=kind, now=day, limit=99)
            assert len(rows) == customers
            do(db, town.house, rows, day)
        with town.house.database.write() as db:  # out of the next round's way
            db.execute(update(JourneyRow).values(status="lost", ended_at=day))
            db.execute(update(DueAction).values(done_at=day))
        return len(statements)

    with town.house.database.read() as db:
        for survey_id in db.scalars(select(Survey.id)):
            known_form(db, survey_id)  # a process reads each version once
    few, many = statements_for(6, DAY_30), statements_for(13, DAY_30)
    assert few == many
    assert statements_for(1, DAY_30) <= few  # a few rows go together


# Reminding


def test_silence_is_reminded_of_once_and_then_called(town: Town, maria: Customer, later: Later) -> None:
    town.live_until(later(14))
    assert [m.due_at for m in letters(town.house, maria, Kind.SURVEY_REMINDER)] == [
        datetime(2026, 7, 6, 12, tzinfo=UTC)
    ]
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]
    assert count(town.house, AuditEvent, what=Happened.SURVEY_REMINDED) == 1


def test_who_answered_is_not_reminded(town: Town, maria: Customer, later: Later) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9))
    town.live_until(later(14))
    assert letters(town.house, maria, Kind.SURVEY_REMINDER) == []
    assert calls(town.house, maria) == []


def test_an_answer_stops_a_reminder_that_waits_in_the_outbox(town: Town, maria: Customer, later: Later) -> None:
    town.live_until(later(5))
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9))
    assert [m.state for m in letters(town.house, maria, Kind.SURVEY_REMINDER)] == [LetterState.SUPPRESSED]


def test_who_refused_after_the_survey_is_not_reminded(town: Town, maria: Customer, later: Later) -> None:
    town.leave()
    with town.house.database.write() as db:
        db.add(
            mail.MailRefusal(
                address_hash=mail.address_hash("maria@lumen.example"), purpose=mail.Purpose.SURVEY, at=START
            )
        )
    town.live_until(later(14))
    assert letters(town.house, maria, Kind.SURVEY_REMINDER) == []
    assert calls(town.house, maria) == [(ActivityKind.CALL_NO_ANSWER, 30)]


# Answering


def test_a_satisfied_answer_settles_the_contact_and_moves_the_journey(town: Town, maria: Customer) -> None:
    given = answer(town.house, town.invitation(maria).id, Answers(csat=4, nps=8, comment="Good"))
    assert given.outcome is Outcome.SATISFIED
    assert stage(town, maria) == 4
    assert count(town.house, Flag) == 0
    with town.house.database.read() as db:
        row = db.scalars(select(AnswerRow)).one()
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.SURVEY_ANSWERED)).one()
    assert (row.csat, row.nps, row.comment, row.wants_help, row.provenance, row.by, row.submitted_at) == (
        4,
        8,
        "Good",
        None,
        Provenance.MAIL_LINK,
        "contact:1",
        DAY_30,
    )
    assert told.detail == {
        "answer": row.id,
        "day": 30,
        "csat": 4,
        "nps": 8,
        "wants_help": None,
        "outcome": "satisfied",
        "provenance": "mail_link",
    }


def test_a_dissatisfied_answer_flags_and_tells_the_consultant_the_words(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=2, nps=8, comment="The price file keeps failing"))
    assert (stage(town, maria), town.journey(maria).open_flags) == (3, 1)
    with town.house.database.read() as db:
        flag = db.scalars(select(Flag)).one()
    assert (flag.origin, flag.day, flag.words, flag.scores) == (
        FlagOrigin.ANSWER,
        30,
        "The price file keeps failing",
        {"csat": 2, "nps": 8, "wants_help": False},
    )
    assert [m.to_email for m in letters(town.house, maria, Kind.FLAG_OPENED)] == ["carla@onward.example"]


def test_asking_for_help_flags_even_a_promoter(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=10, wants_help=True))
    with town.house.database.read() as db:
        assert db.scalars(select(Flag.origin)).one() is FlagOrigin.HELP
    assert count(town.house, DueAction, kind="referral_prompt") == 0


def test_a_promoter_is_thought_of_for_a_referral(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9))
    assert count(town.house, DueAction, kind="referral_prompt") == 1


def test_a_neutral_answer_settles_and_asks_what_is_missing(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=3, nps=8))
    assert stage(town, maria) == 4
    assert count(town.house, Activity, kind=ActivityKind.ASK_WHAT_IS_MISSING) == 1


def test_the_first_answer_stays_whatever_is_sent_afterwards(town: Town, maria: Customer) -> None:
    invitation_id = town.invitation(maria).id
    first = answer(town.house, invitation_id, Answers(csat=5, nps=9))
    again = answer(town.house, invitation_id, Answers(csat=1, nps=0, wants_help=True))
    nonsense = answer(town.house, invitation_id, Answers(csat=77))
    assert first == again == nonsense
    assert count(town.house, AnswerRow) == 1
    assert count(town.house, Flag) == 0


def test_the_database_itself_allows_one_counted_answer(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=5))
    with town.house.database.read() as db:
        row = db.scalars(select(AnswerRow)).one()
    copied = {c.key: getattr(row, c.key) for c in AnswerRow.__table__.columns if c.key != "id"}
    with pytest.raises(IntegrityError), town.house.database.write() as db:
        db.execute(insert(AnswerRow).values(**copied))
    with town.house.database.write() as db:
        db.add(AnswerRow(**{**copied, "quarantined_at": DAY_30}))
        db.add(AnswerRow(**{**copied, "superseded_at": DAY_30}))
    assert count(town.house, AnswerRow) == 3


@pytest.mark.parametrize("scores", [{"csat": 0}, {"csat": 6}, {"nps": -1}, {"nps": 11}])
def test_the_database_itself_keeps_scores_on_their_scale(town: Town, maria: Customer, scores: dict[str, int]) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9))
    with pytest.raises(IntegrityError), town.house.database.write() as db:
        db.execute(update(AnswerRow).values(**scores))


@pytest.mark.parametrize("days", [22, 60])
def test_a_closed_survey_says_so(town: Town, maria: Customer, days: int) -> None:
    town.house.clock.set(DAY_30 + timedelta(days=days))  # type: ignore[attr-defined]
    with pytest.raises(Closed):
        answer(town.house, town.invitation(maria).id, Answers(csat=5))
    assert count(town.house, AnswerRow) == 0


def test_on_the_21st_day_it_is_still_open(town: Town, maria: Customer) -> None:
    town.house.clock.set(DAY_30 + timedelta(days=21, hours=14))  # type: ignore[attr-defined]
    answer(town.house, town.invitation(maria).id, Answers(csat=5))
    assert count(town.house, AnswerRow) == 1


def test_a_wrong_answer_is_refused_with_the_field_and_nothing_is_stored(town: Town, maria: Customer) -> None:
    with pytest.raises(Unanswerable) as refused:
        answer(town.house, town.invitation(maria).id, Answers(csat=6, nps=11))
    assert set(refused.value.problems) == {"csat", "nps"}
    assert count(town.house, AnswerRow) == 0


def test_an_invitation_that_does_not_exist_is_not_found(town: Town) -> None:
    with pytest.raises(NotFound):
        answer(town.house, 4711, Answers(csat=5))


def test_an_answer_while_flagged_is_taken_and_settles_nothing(town: Town, maria: Customer) -> None:
    with town.house.database.write() as db:
        cases.open_flag(
            db,
            town.house,
            journey_id=maria.journey_id,
            origin=FlagOrigin.CONSULTANT,
            by="staff:1",
            now=DAY_30,
            day=30,
        )
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=10))
    assert count(town.house, AnswerRow) == 1
    assert stage(town, maria) == 3


def test_an_answer_after_approval_is_taken_and_a_bad_one_still_flags(town: Town, maria: Customer) -> None:
    town.win(maria)
    answer(town.house, town.invitation(maria).id, Answers(csat=1, comment="It broke"))
    assert count(town.house, Flag, journey_id=maria.journey_id) == 1
    assert town.journey(maria).status == "won"


def test_a_resolved_flag_lets_the_journey_go_on(town: Town, maria: Customer) -> None:
    answer(town.house, town.invitation(maria).id, Answers(csat=1))
    with town.house.database.write() as db:
        flag_id = db.scalars(select(Flag.id)).one()
        cases.resolve_flag(
            db,
            town.house,
            flag_id=flag_id,
            outcome=FlagOutcome.RESOLVED,
            note="Fixed",
            by="staff:1",
            now=DAY_30 + timedelta(hours=2),
        )
    assert stage(town, maria) == 4


def test_an_answer_taken_by_phone_is_stored_as_such_even_where_no_mail_went_out(town: Town) -> None:
    maria = town.customer(email=None, phone="+5511999990000")
    town.live_until(DAY_30)
    with town.house.database.write() as db:
        surveys.answer_by_phone(
            db,
            town.house,
            invitation_id=town.invitation(maria).id,
            answers=Answers(csat=4, nps=7),
            by="api:crm",
            now=DAY_30,
        )
    with town.house.database.read() as db:
        row = db.scalars(select(AnswerRow)).one()
    assert (row.provenance, row.by, row.contact_id) == (Provenance.PHONE, "api:crm", maria.contact_id)
    assert stage(town, maria) == 4


def test_a_survey_that_never_went_out_has_no_mail_link(town: Town) -> None:
    maria = town.customer(email=None, phone="+5511999990000")
    town.live_until(DAY_30)
    with pytest.raises(Closed):
        answer(town.house, town.invitation(maria).id, Answers(csat=5))


@pytest.mark.parametrize(
    ("offset", "expected"), [(timedelta(minutes=-5), True), (timedelta(minutes=5), False), (-timedelta(days=9), False)]
)
def test_the_moment_of_opening_is_kept_where_it_can_be_true(
    town: Town, maria: Customer, offset: timedelta, expected: bool
) -> None:
    town.house.clock.set(DAY_30 + timedelta(hours=1))  # type: ignore[attr-defined]
    opened_at = town.house.clock.now() + offset
    form = FromForm(Shown(opened_at, "n", Reader.BROWSER, "-"))
    answer(
        town.house, town.invitation(maria).id, Answers(csat=5), Sending(Provenance.SIGNED_IN, "contact:1", form=form)
    )
    assert town.invitation(maria).opened_at == (opened_at if expected else None)


ROUNDS = 40
"""A lost race shows in few of them."""


def test_fifty_at_once_leave_one_answer_one_flag_and_one_set_of_what_follows(town: Town) -> None:
    house = town.house
    people = [town.customer(email=f"round{round_}@lumen.example") for round_ in range(ROUNDS)]
    town.live_until(DAY_30)
    kinds = [Answers(csat=1, nps=2, wants_help=True), Answers(csat=5, nps=10), Answers(csat=3)]
    for round_, someone in enumerate(people):
        answers = kinds[round_ % 3]
        invitation_id = town.invitation(someone).id
        start = threading.Barrier(50)
        got: list[surveys.Taken] = []
        failed: list[BaseException] = []

        def send(
            n: int,
            invitation_id: int = invitation_id,
            answers: Answers = answers,
            start: threading.Barrier = start,
            got: list[surveys.Taken] = got,
            failed: list[BaseException] = failed,
        ) -> None:
            # Some from the same form (a double click), some from forms of their own (tabs).
            shown = Shown(DAY_30 - timedelta(seconds=30), f"form{n % 40}", Reader.BROWSER, "-")
            sending = Sending(Provenance.MAIL_LINK, "contact:1", form=FromForm(shown))
            start.wait()
            try:
                with house.database.write() as db:
                    got.append(
                        surveys.take(
                            db, house, invitation_id=invitation_id, answers=answers, sending=sending, now=DAY_30
                        )
                    )
            except BaseException as crash:
                failed.append(crash)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert sorted(taken.what for taken in got) == ["known"] * 49 + ["new"]
        assert len({taken.counted for taken in got}) == 1
    flagged, happy, middling = (people[n::3] for n in range(3))
    assert count(house, AnswerRow) == ROUNDS
    assert count(house, Flag) == count(house, LetterRow, kind=Kind.FLAG_OPENED) == len(flagged)
    assert [town.journey(one).open_flags for one in people] == [1 if one in flagged else 0 for one in people]
    assert [stage(town, one) for one in people] == [3 if one in flagged else 4 for one in people]
    assert count(house, DueAction, kind="referral_prompt") == len(happy)
    assert count(house, Activity, kind=ActivityKind.ASK_WHAT_IS_MISSING) == len(middling)
    assert count(house, AuditEvent, what=Happened.SURVEY_ANSWERED) == ROUNDS
    assert count(house, AuditEvent, what=Happened.CONTACT_SETTLED) == len(happy) + len(middling)
    with house.database.read() as db:
        hold_in_database(db)


def test_an_answer_and_a_churn_at_the_same_moment_never_wait_for_each_other(town: Town) -> None:
    """The lock order: account, journey, below."""
    house = town.house
    for round_ in range(10):
        someone = town.customer(email=f"churn{round_}@lumen.example")
        house.clock.set(DAY_30)  # type: ignore[attr-defined]
        town.work()
        town.work()
        invitation_id = town.invitation(someone).id
        start = threading.Barrier(2)
        failed: list[BaseException] = []

        def churn(
            account_id: int = someone.account_id,
            start: threading.Barrier = start,
            failed: list[BaseException] = failed,
        ) -> None:
            start.wait()
            try:
                with house.database.write() as db:
                    cases.churn(
                        db, house, account_id=account_id, on=DAY_30.date(), reason="x", by="staff:1", now=DAY_30
                    )
            except BaseException as crash:
                failed.append(crash)

        def send(
            invitation_id: int = invitation_id,
            start: threading.Barrier = start,
            failed: list[BaseException] = failed,
        ) -> None:
            start.wait()
            try:
                answer(house, invitation_id, Answers(csat=1))
            except BaseException as crash:
                failed.append(crash)

        threads = [threading.Thread(target=churn), threading.Thread(target=send)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert count(house, AnswerRow, invitation_id=invitation_id) == 1


# Composing


def letter_row(house: House, kind: Kind) -> LetterRow:
    with house.database.read() as db:
        return db.scalars(select(LetterRow).where(LetterRow.kind == kind)).one()


def test_the_link_is_derived_when_the_mail_leaves_and_stored_nowhere(town: Town, maria: Customer) -> None:
    row, invitation = letter_row(town.house, Kind.SURVEY_30), town.invitation(maria)
    with town.house.database.read() as db:
        composed = leaving.COMPOSERS[Kind.SURVEY_30](db, town.house, row)
    token = links.seal(town.house.secret, "survey", invitation.id, invitation.nonce)
    assert composed == {"answer_url": f"http://localhost:8000/s/{token}"}
    assert token not in repr(row.context)


def test_a_reminder_leads_to_the_same_page(town: Town, maria: Customer, later: Later) -> None:
    town.live_until(later(5))
    with town.house.database.write() as db:
        db.execute(update(LetterRow).where(LetterRow.kind == Kind.SURVEY_30).values(sent_at=DAY_30))
    with town.house.database.read() as db:
        first = leaving.compose_survey(db, town.house, letter_row(town.house, Kind.SURVEY_30))
        second = leaving.compose_survey(db, town.house, letter_row(town.house, Kind.SURVEY_REMINDER))
    assert first == second


def test_a_mail_that_lost_its_reason_does_not_leave(town: Town, maria: Customer) -> None:
    row = letter_row(town.house, Kind.SURVEY_30)

    def why() -> str:
        with town.house.database.read() as db, pytest.raises(Withheld) as withheld:
            leaving.compose_survey(db, town.house, row)
        return withheld.value.why

    with town.house.database.write() as db:
        cases.open_flag(
            db, town.house, journey_id=maria.journey_id, origin=FlagOrigin.CONSULTANT, by="staff:1", now=DAY_30
        )
    assert why() == "They told us that something is wrong: no survey in the middle of that."
    town.house.clock.set(DAY_30 + timedelta(days=30))  # type: ignore[attr-defined]
    assert why() == "Its day was more than two weeks ago: a call instead of a survey."
    town.house.clock.set(DAY_30)  # type: ignore[attr-defined]
    answer(town.house, town.invitation(maria).id, Answers(csat=5))
    assert why() == "They answered before the mail went out."


# A fresh link


def test_a_fresh_link_goes_to_the_address_on_file_at_most_once_a_day(town: Town, maria: Customer) -> None:
    def ask(at: datetime) -> int:
        with town.house.database.write() as db:
            surveys.send_again(db, town.house, invitation_id=town.invitation(maria).id, now=at)
        return len(letters(town.house, maria, Kind.SURVEY_30))

    assert [ask(DAY_30), ask(DAY_30 + timedelta(hours=1)), ask(DAY_30 + timedelta(days=1))] == [2, 2, 3]
    assert {m.to_email for m in letters(town.house, maria, Kind.SURVEY_30)} == {"maria@lumen.example"}
    assert ask(DAY_30 + timedelta(days=40)) == 3
    answer(town.house, town.invitation(maria).id, Answers(csat=5))
    assert ask(DAY_30 + timedelta(days=2)) == 3


# Showing


def invitations(town: Town, customer: Customer, **wanted: InvitationState) -> list[tuple[int, str, str]]:
    with town.house.database.read() as db:
        found = queries.invitations(
            db, town.house, journey_id=customer.journey_id, now=town.house.clock.now(), state=wanted.get("state")
        )
    return [(i.day, i.state, i.contact_email) for i in found]


def test_the_api_sees_what_is_planned_sent_answered_and_expired(town: Town) -> None:
    maria = town.customer()
    address = "maria@lumen.example"
    planned = [(60, "planned", address), (90, "planned", address)]
    assert invitations(town, maria) == [(30, "planned", address), *planned]
    town.live_until(DAY_30)
    assert invitations(town, maria) == [(30, "sent", address), *planned]
    assert invitations(town, maria, state=InvitationState.PLANNED) == planned
    assert invitations(town, maria, state=InvitationState.SENT) == [(30, "sent", address)]
    town.house.clock.set(DAY_30 + timedelta(days=22))  # type: ignore[attr-defined]
    assert invitations(town, maria) == [(30, "expired", address), *planned]
    assert invitations(town, maria, state=InvitationState.EXPIRED) == [(30, "expired", address)]
    town.house.clock.set(DAY_30)  # type: ignore[attr-defined]
    answer(town.house, town.invitation(maria).id, Answers(csat=5))
    assert invitations(town, maria) == [(30, "answered", address), *planned]


def test_an_invitation_gives_its_answer_page_and_a_suppressed_one_the_reason(town: Town) -> None:
    maria, joao = town.customer(), town.customer(name="João", email=None, phone="+5511")
    town.live_until(DAY_30)
    with town.house.database.read() as db:
        mine = queries.invitations(db, town.house, journey_id=maria.journey_id, now=DAY_30)[0]
        his = queries.invitations(db, town.house, journey_id=joao.journey_id, now=DAY_30)[0]
        page = queries.sealed_page(db, town.house, mine.url.rpartition("/")[2], DAY_30)
    assert page is not None
    assert (page.invitation_id, page.first_name) == (mine.invitation_id, "Maria")
    assert (his.state, his.why, his.url) == (
        "suppressed",
        "Nobody there has an e-mail address: a call instead of a survey.",
        "",
    )


def test_the_list_of_invitations_pages_without_gaps(town: Town) -> None:
    for n in range(3):
        town.customer(email=f"p{n}@lumen.example")
    town.live_until(DAY_30)
    seen: list[tuple[int, int]] = []
    with town.house.database.read() as db:
        everything = [i.cursor for i in queries.invitations(db, town.house, now=DAY_30)]
        while page := queries.invitations(db, town.house, now=DAY_30, after=seen[-1] if seen else (0, 0), limit=2):
            seen += [i.cursor for i in page]
    assert len(everything) == 9
    assert seen == everything


def test_home_shows_the_survey_that_waits_and_none_in_a_dispute(town: Town, maria: Customer) -> None:
    def waiting() -> queries.DueSurvey | None:
        with town.house.database.read() as db:
            return queries.due_survey(db, maria.contact_id, town.house.clock.now())

    found = waiting()
    assert found is not None
    assert (found.day, found.minutes, found.path) == (30, 2, f"/surveys/{town.invitation(maria).id}")
    with town.house.database.write() as db:
        flag_id = cases.open_flag(
            db, town.house, journey_id=maria.journey_id, origin=FlagOrigin.CONSULTANT, by="staff:1", now=DAY_30
        )
    assert waiting() is None
    with town.house.database.write() as db:
        db.execute(update(JourneyRow).values(open_flags=0))
        db.execute(update(Flag).where(Flag.id == flag_id).values(closed_at=DAY_30))
    assert waiting() is not None
    answer(town.house, found.invitation_id, Answers(csat=5))
    assert waiting() is None


def test_staff_read_the_counted_answers_newest_first(town: Town, maria: Customer) -> None:
    sofia = town.customer(name="Sofia Alves", email="sofia@verdant.example")
    answer(town.house, town.invitation(maria).id, Answers(csat=5, nps=9, comment="Good"))
    with town.house.database.write() as db:
        row = db.scalars(select(AnswerRow)).one()
        copied = {c.key: getattr(row, c.key) for c in AnswerRow.__table__.columns if c.key != "id"}
        db.add(AnswerRow(**{**copied, "csat": 1, "superseded_at": DAY_30}))
        db.add(AnswerRow(**{**copied, "csat": 2, "quarantined_at": DAY_30}))
    with town.house.database.read() as db:
        mine = queries.answers_of(db, account_id=maria.account_id)
        hers = queries.answers_of(db, account_id=sofia.account_id)
    assert [(a.contact_name, a.csat, a.nps, a.comment, a.outcome) for a in mine] == [
        ("Maria Souza", 5, 9, "Good", Outcome.SATISFIED)
    ]
    assert hers == []


def test_loading_the_shipped_surveys_again_changes_nothing(town: Town) -> None:
    with town.house.database.write() as db:
        assert load_shipped_surveys(db, now=START) == 0
    assert count(town.house, Survey) == 5


def test_the_whole_road_with_three_good_answers_ends_approved(town: Town) -> None:
    maria = town.customer()
    for day in (30, 60, 90):
        town.live_until(START + timedelta(days=day + 3))
        answer(town.house, town.invitation(maria, day).id, Answers(csat=5, nps=9))
    assert town.journey(maria).status == "won"
    assert [m.kind for m in letters(town.house, maria, *surveys.MAIL_OF_DAY.values(), Kind.CONGRATULATIONS)] == [
        Kind.SURVEY_30,
        Kind.SURVEY_60,
        Kind.SURVEY_90,
        Kind.CONGRATULATIONS,
    ]
    assert count(town.house, FollowUpRow, settled_by="answer") == 3
    assert count(town.house, Account) == 1


@pytest.mark.parametrize("language", list(Language))
def test_the_mail_itself_shows_eleven_links_that_only_choose_a_score(town: Town, language: Language) -> None:
    maria = town.customer()
    with town.house.database.write() as db:
        db.execute(update(Contact).where(Contact.id == maria.contact_id).values(language=language))
    town.live_until(DAY_30)
    row = letter_row(town.house, Kind.SURVEY_30)
    with town.house.database.read() as db:
        shown = delivery.rendered(db, town.house, row.id, composers=leaving.COMPOSERS)
    assert shown is not None
    invitation = town.invitation(maria)
    page = town.house.url(sealed_path(town.house, invitation.id, invitation.nonce))
    assert [f'href="{page}?nps={score}"' in shown.html for score in range(11)] == [True] * 11
    assert page in shown.text
    words = {
        Language.EN: ("How likely are you to recommend Onward to a friend or colleague?", "22 July"),
        Language.PT_BR: ("Qual é a chance de você recomendar Onward a um amigo ou colega?", "22 de julho"),
    }
    for word in words[language]:
        assert word in shown.text

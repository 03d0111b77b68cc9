"""Whom consultants are prompted to ask, and when they are not; on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from portal import audit, mail
from portal.accounts.asking import Asked, Became
from portal.accounts.asking_models import RequestRow
from portal.accounts.models import Account, Contact
from portal.audit import AuditEvent, Event, Happened
from portal.errors import NotFound
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import cases, planning
from portal.journeys.models import DueAction, Flag
from portal.journeys.rules import FlagOrigin, FlagOutcome
from portal.referrals import prompts, queries
from portal.referrals.models import ReferralPrompt
from portal.referrals.rules import Result, Why, Withheld
from portal.worker import TIMETABLE
from tests.referrals.conftest import NOON, Cast

[JOB] = [job for job in TIMETABLE if job.name == "referral prompts"]


def leave(house: House, cast: Cast, *whys: str, after: timedelta = timedelta()) -> None:
    """The journey leaves these moments, and the worker comes by."""
    for why in whys:
        with house.database.write() as db:
            journeys.ask_for_referral(db, journey_id=cast.journey, why=why, now=NOON + after)
        while JOB.run(house, NOON + after, lambda: False):
            pass


def known(house: House) -> list[tuple[str, Withheld | None]]:
    with house.database.read() as db:
        return [(row.what, row.withheld) for row in db.scalars(select(ReferralPrompt).order_by(ReferralPrompt.id))]


def flag(house: House, cast: Cast) -> int:
    with house.database.write() as db:
        return cases.open_flag(
            db, house, journey_id=cast.journey, origin=FlagOrigin.ANSWER, by=f"contact:{cast.maria}", now=NOON,
            contact_id=cast.maria, words="Slow.",
        )  # fmt: skip


def test_a_promoters_answer_prompts_to_ask_who_answered(house: House, cast: Cast) -> None:
    with house.database.write() as db:
        audit.note(db, Event(Happened.SURVEY_ANSWERED, "x", NOON, cast.lumen, cast.journey, cast.joao))
    leave(house, cast, "answer_17")
    with house.database.read() as db:
        [prompt] = queries.open_prompts(db, cast.carla)
        assert (prompt.account_name, prompt.contact_name, prompt.why, prompt.goal) == (
            "Lumen",
            "João Lima",
            Why.ANSWER,
            "",
        )
        assert queries.open_prompts(db, cast.carla + 1) == []
        assert queries.open_prompts(db, None) == [prompt]
        done = db.execute(select(DueAction.result).where(DueAction.kind == "referral_prompt")).scalars().all()
        assert done == ["done"]


def test_a_goal_prompts_to_ask_the_primary_contact_and_names_it(house: House, cast: Cast) -> None:
    with house.database.write() as db:
        goal = planning.set_goal(
            db,
            house,
            journey_id=cast.journey,
            day=30,
            title="All orders in one place",
            measure="",
            by="staff:1",
            now=NOON,
        )
        journeys.close_goal(db, house, goal_id=goal, journey_id=cast.journey, met=True, by="staff:1", now=NOON)
    leave(house, cast, f"goal_{goal}")
    with house.database.read() as db:
        [prompt] = queries.open_prompts(db, None)
        assert (prompt.contact_name, prompt.why, prompt.goal) == ("Maria Souza", Why.GOAL, "All orders in one place")


def test_within_ninety_days_of_the_last_it_is_kept_why_not(house: House, cast: Cast) -> None:
    leave(house, cast, "answer_1", "answer_2")
    leave(house, cast, "goal_9", after=timedelta(days=89))
    leave(house, cast, "answer_3", after=timedelta(days=90))
    assert known(house) == [
        ("answer_1", None),
        ("answer_2", Withheld.RECENT),
        ("goal_9", Withheld.RECENT),
        ("answer_3", None),
    ]


def test_nobody_is_put_forward_who_asked_not_to_be_asked_for_recommendations(house: House, cast: Cast) -> None:
    with house.database.write() as db:
        email = db.scalars(select(Contact.email).where(Contact.id == cast.maria)).one()
        assert email is not None
        db.add(mail.MailRefusal(address_hash=mail.address_hash(email), purpose=mail.Purpose.REFERRAL, at=NOON))
    leave(house, cast, "answer_1")
    assert known(house) == [("answer_1", Withheld.NOT_WANTED)]


def test_what_a_consultant_asked_draws_on_the_persons_budget(house: House, cast: Cast) -> None:
    leave(house, cast, "answer_1")
    with house.database.write() as db:
        [prompt] = queries.open_prompts(db, None)
        for _ in range(2):
            prompts.close_prompt(db, prompt.id, result=Result.ASKED, by="staff:1", now=NOON)
    with house.database.read() as db:
        asked = db.execute(select(RequestRow.asked, RequestRow.contact_id, RequestRow.became, RequestRow.at)).all()
    assert [tuple(row) for row in asked] == [(Asked.REFERRAL, cast.maria, Became.CALL, NOON)]


def test_an_approval_needs_a_promoter_on_the_way(house: House, cast: Cast) -> None:
    leave(house, cast, "approval")
    assert known(house) == [("approval", Withheld.NO_PROMOTER)]


def test_an_approval_after_a_promoters_answer_prompts_again_once_the_time_is_over(house: House, cast: Cast) -> None:
    leave(house, cast, "answer_1")
    leave(house, cast, "approval", after=timedelta(days=95))
    assert known(house) == [("answer_1", None), ("approval", None)]


def test_never_while_a_flag_is_open(house: House, cast: Cast) -> None:
    flag(house, cast)
    leave(house, cast, "goal_3")
    assert known(house) == [("goal_3", Withheld.OPEN_FLAG)]


def test_a_prompt_hides_while_a_flag_opens_after_it(house: House, cast: Cast) -> None:
    leave(house, cast, "goal_3")
    opened = flag(house, cast)
    with house.database.read() as db:
        assert queries.open_prompts(db, None) == []
    with house.database.write() as db:
        cases.resolve_flag(
            db, house, flag_id=opened, outcome=FlagOutcome.RESOLVED, note="done", by=f"staff:{cast.carla}", now=NOON
        )
        assert db.scalars(select(Flag.closed_at)).one() is not None
        assert len(queries.open_prompts(db, None)) == 1


def test_who_has_left_is_not_asked(house: House, cast: Cast) -> None:
    with house.database.write() as db:
        db.execute(update(Account).values(churned_on=NOON.date(), churn_reason="price"))
    leave(house, cast, "goal_3")
    assert known(house) == [("goal_3", Withheld.NO_CUSTOMER)]


def test_a_prompt_is_closed_once_and_can_be_taken_back(house: House, cast: Cast) -> None:
    leave(house, cast, "goal_3")
    with house.database.write() as db:
        prompts.close_prompt(db, 1, result=Result.ASKED, by="staff:1", now=NOON)
        prompts.close_prompt(db, 1, result=Result.NOT_NOW, by="staff:2", now=NOON)
    with house.database.write() as db:
        assert db.get_one(ReferralPrompt, 1).result is Result.ASKED
        assert queries.open_prompts(db, None) == []
        closed = select(AuditEvent.by).where(AuditEvent.what == Happened.REFERRAL_PROMPT_CLOSED)
        assert db.scalars(closed).all() == ["staff:1"]
        prompts.reopen_prompt(db, 1)
    with house.database.write() as db:
        assert len(queries.open_prompts(db, None)) == 1


def test_a_prompt_that_was_withheld_is_nobodys_to_close(house: House, cast: Cast) -> None:
    leave(house, cast, "approval")
    with house.database.write() as db:
        for verb in (
            lambda: prompts.close_prompt(db, 1, result=Result.ASKED, by="staff:1", now=NOON),
            lambda: prompts.reopen_prompt(db, 1),
        ):
            with pytest.raises(NotFound):
                verb()


def test_a_moment_nobody_understands_is_put_aside_and_blocks_nothing(house: House, cast: Cast) -> None:
    odd = {
        "journey_id": cast.journey, "kind": "referral_prompt", "key": "referral_prompt:odd", "what": "odd", "day": 0,
        "due_at": NOON - timedelta(days=1), "created_at": NOON, "result": "", "error": "",
    }  # fmt: skip
    with house.database.write() as db:
        db.execute(insert(DueAction).values(odd))
    leave(house, cast, "goal_3")
    assert known(house) == [("goal_3", None)]
    with house.database.read() as db:
        assert JOB.next_due(db) is None
        assert db.scalars(select(DueAction.error).where(DueAction.what == "odd")).one().startswith("ValueError")

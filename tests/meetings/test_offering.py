"""The meetings of the plan, offered by mail: when, to whom, once, and what their link does."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from portal import delivery
from portal.accounts.models import Account
from portal.accounts.rules import Language
from portal.journeys import actions as journeys
from portal.journeys.models import DueAction, JourneyRow, Touchpoint
from portal.journeys.rules import Status
from portal.mail import Kind, LetterRow, LetterState
from portal.meetings.models import Meeting, MeetingOffer
from portal.meetings.offering import Standing, moot
from portal.meetings.rules import MeetingKind
from portal.worker import COMPOSERS, TIMETABLE, Worker
from tests.meetings.conftest import MONDAY, WEDNESDAY_10, World, _contact, start_use
from tests.meetings.test_letters import plain

TODAY = date(2026, 6, 22)
FINE = Standing(Status.OPEN, 0, 3, is_in_plan=True, is_known=False, was_taken_in=False)


@pytest.mark.parametrize(
    ("kind", "changed", "why"),
    [
        (MeetingKind.KICKOFF, {}, ""),
        (MeetingKind.KICKOFF, {"status": Status.LOST}, "ended"),
        (MeetingKind.KICKOFF, {"was_taken_in": True}, "taken_in"),
        (MeetingKind.KICKOFF, {"is_in_plan": False}, "not_in_plan"),
        (MeetingKind.KICKOFF, {"is_known": True}, "booked"),
        (MeetingKind.KICKOFF, {"open_flags": 1}, "open_flag"),
        (MeetingKind.KICKOFF, {"day_of_use": None}, "late"),
        (MeetingKind.KICKOFF, {"day_of_use": 15}, "late"),
        (MeetingKind.DAY14, {"day_of_use": 14}, ""),
        (MeetingKind.DAY14, {"day_of_use": 25}, "late"),
    ],
)
def test_what_is_not_offered_says_why(kind: MeetingKind, changed: dict[str, object], why: str) -> None:
    assert moot(kind, FINE._replace(**changed)) == why  # type: ignore[arg-type]


def work(world: World, at: datetime) -> None:
    world.clock.set(at)
    Worker(world.house, [job for job in TIMETABLE if job.name == "meetings of the plan"]).run_until_idle(at)


def offers(world: World) -> list[LetterRow]:
    with world.database.read() as db:
        return list(db.scalars(select(LetterRow).where(LetterRow.kind == Kind.MEETING_OFFER).order_by(LetterRow.id)))


def results(world: World, journey_id: int) -> dict[str, str]:
    with world.database.read() as db:
        wanted = (DueAction.journey_id == journey_id, DueAction.kind == "meeting_offer")
        return {row.what: row.result for row in db.scalars(select(DueAction).where(*wanted))}


def deliver(world: World) -> list[LetterRow]:
    delivery.deliver(world.house, composers=COMPOSERS, now=world.clock.now())
    return offers(world)


def _written(world: World, row: LetterRow) -> str:
    with world.database.read() as db:
        return plain(delivery.compose(db, world.house, row, composers=COMPOSERS))


def link(world: World) -> str:
    found = re.search(r"/meet/[^\s\"<]+", _written(world, offers(world)[-1]))
    assert found is not None
    return found[0]


def test_each_is_offered_once_on_its_day_in_their_language(world: World) -> None:
    start_use(world, TODAY)
    work(world, MONDAY)
    [kickoff] = deliver(world)
    assert (kickoff.contact_id, kickoff.state, kickoff.subject) == (
        world.maria,
        LetterState.SENT,
        "Conversa de início: escolha um horário",
    )
    work(world, MONDAY + timedelta(days=13))
    assert len(offers(world)) == 1
    work(world, MONDAY + timedelta(days=14))
    work(world, MONDAY + timedelta(days=15))
    assert [row.context["title"] for row in offers(world)] == ["Kick-off call", "Two-week check-in"]
    # A start of use that is corrected asks nobody again.
    start_use(world, TODAY + timedelta(days=2))
    work(world, MONDAY + timedelta(days=16))
    assert len(offers(world)) == 2
    assert results(world, world.journey) == {"kickoff": "done", "day14": "done"}


def test_nobody_is_asked_at_night(world: World) -> None:
    start_use(world, TODAY)
    night = MONDAY + timedelta(hours=14)
    work(world, night)
    assert offers(world) == []
    work(world, MONDAY + timedelta(days=1))
    assert len(offers(world)) == 1


def test_what_is_booked_is_not_offered(world: World) -> None:
    world.book(kind=MeetingKind.KICKOFF)
    start_use(world, TODAY)
    work(world, MONDAY)
    assert offers(world) == []
    assert results(world, world.journey)["kickoff"] == "booked"


def test_what_is_booked_before_the_mail_leaves_is_not_sent(world: World) -> None:
    start_use(world, TODAY)
    work(world, MONDAY)
    world.book(kind=MeetingKind.KICKOFF)
    assert [row.state for row in deliver(world)] == [LetterState.SUPPRESSED]


def test_a_plan_without_it_offers_nothing(world: World) -> None:
    with world.database.write() as db:
        db.execute(update(Touchpoint).where(Touchpoint.journey_id == world.journey).values(done_at=MONDAY))
    start_use(world, TODAY)
    work(world, MONDAY)
    assert results(world, world.journey)["kickoff"] == "not_in_plan"


def test_who_was_taken_in_under_way_is_never_asked(world: World) -> None:
    with world.database.write() as db:
        account = Account(external_id="D-9", name="Ember", created_at=MONDAY, created_by="import")
        db.add(account)
        db.flush()
        rosa = _contact("rosa", "Rosa Dias", account, Language.PT_BR, "America/Sao_Paulo", MONDAY, is_primary=True)
        db.add(rosa)
        db.flush()
        under_way = journeys.UnderWay(TODAY - timedelta(days=5))
        journey_id = journeys.open_after_sale(
            db, world.house, account_id=account.id, owner_id=world.carla, by="import", now=MONDAY, under_way=under_way
        )
    assert results(world, journey_id) == {}
    # Not even where their start of use is corrected afterwards.
    with world.database.write() as db:
        on = TODAY - timedelta(days=3)
        journeys.correct_use_start(db, world.house, journey_id=journey_id, on=on, by="staff:1", now=MONDAY)
    work(world, MONDAY + timedelta(days=11))
    assert offers(world) == []
    assert results(world, journey_id) == {"kickoff": "taken_in", "day14": "taken_in"}


def test_the_link_books_by_a_chosen_time_and_never_by_itself(world: World, browser: Callable[[], TestClient]) -> None:
    start_use(world, TODAY)
    work(world, MONDAY)
    at, anyone = link(world), browser()
    page = anyone.get(at)
    assert page.status_code == 200
    assert "Conversa de início" in page.text
    assert anyone.post(at).status_code == 422
    with world.database.read() as db:
        assert db.scalars(select(Meeting)).all() == []
    answer = anyone.post(at, data={"slot": WEDNESDAY_10.isoformat()})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/m/")
    # Again, in another browser: the one that stands.
    assert browser().post(at, data={"slot": WEDNESDAY_10.isoformat()}).headers["location"].startswith("/m/")
    with world.database.read() as db:
        [meeting] = db.scalars(select(Meeting)).all()
        assert (meeting.kind, meeting.contact_id, meeting.booked_by) == (
            MeetingKind.KICKOFF,
            world.maria,
            f"contact:{world.maria}",
        )


def test_a_link_that_opens_nothing_says_nothing(world: World, browser: Callable[[], TestClient]) -> None:
    start_use(world, TODAY)
    work(world, MONDAY)
    at, anyone = link(world), browser()
    assert anyone.get(at[:-1]).status_code == 404
    assert anyone.get("/meet/17.abc").status_code == 404
    with world.database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == world.journey).values(status=Status.LOST, ended_at=MONDAY))
        assert len(db.scalars(select(MeetingOffer)).all()) == 1
    assert anyone.get(at).status_code == 404


def test_a_time_that_was_just_taken_offers_the_others(world: World, browser: Callable[[], TestClient]) -> None:
    start_use(world, TODAY)
    work(world, MONDAY)
    world.book(kind=MeetingKind.CHECKUP, contact_id=world.sofia)
    answer = browser().post(link(world), data={"slot": WEDNESDAY_10.isoformat()})
    assert answer.status_code == 409
    assert "Conversa de início" in answer.text

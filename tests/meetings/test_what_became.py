"""What became of meetings: nobody says, nobody came, another time; and reminders that follow a meeting wherever it goes."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal import delivery
from portal.journeys.models import Activity
from portal.journeys.rules import ActivityKind
from portal.mail import Kind, LetterRow, LetterState
from portal.meetings import actions, queries
from portal.meetings.models import Meeting, MeetingTick
from portal.meetings.rules import MeetingKind
from portal.worker import COMPOSERS, TIMETABLE, Worker
from tests.meetings.conftest import MONDAY, WEDNESDAY_10, WEDNESDAY_11, SignIn, World, start_use
from tests.meetings.test_letters import composed, plain

HOUR = timedelta(hours=1)
AFTER = WEDNESDAY_10 + 3 * HOUR


def work(world: World, at: datetime) -> None:
    world.clock.set(at)
    Worker(world.house, [job for job in TIMETABLE if job.name == "meetings that are over"]).run_until_idle(at)


def activities(world: World, kind: ActivityKind) -> list[bool]:
    """Those of that kind on Lumen's journey: whether each is done."""
    with world.database.read() as db:
        wanted = (Activity.journey_id == world.journey, Activity.kind == kind)
        return [row.done_at is not None for row in db.scalars(select(Activity).where(*wanted))]


def letters(world: World, kind: Kind) -> list[LetterRow]:
    with world.database.read() as db:
        wanted = (LetterRow.kind == kind, LetterRow.contact_id.is_not(None))
        return list(db.scalars(select(LetterRow).where(*wanted).order_by(LetterRow.id)))


def miss(world: World, meeting_id: int) -> None:
    with world.database.write() as db:
        actions.mark_missed(db, world.house, meeting_id=meeting_id, by=f"staff:{world.carla}", now=world.clock.now())


def test_a_meeting_that_nobody_closed_becomes_a_question_once(world: World) -> None:
    world.book()
    work(world, WEDNESDAY_10 + 2 * HOUR)
    assert activities(world, ActivityKind.CONFIRM_MEETING) == []
    work(world, AFTER)
    work(world, AFTER + timedelta(days=3))
    assert activities(world, ActivityKind.CONFIRM_MEETING) == [False]


def test_the_question_is_due_two_hours_after_the_end(world: World) -> None:
    world.book()
    with world.database.read() as db:
        assert actions.next_over(db) == WEDNESDAY_10 + timedelta(minutes=45) + actions.ASKED_AFTER
    work(world, AFTER)
    with world.database.read() as db:
        assert actions.next_over(db) is None


@pytest.mark.parametrize("mark", [actions.mark_held, actions.mark_missed])
def test_either_answer_settles_the_question(world: World, mark: object) -> None:
    meeting_id = world.book()
    work(world, AFTER)
    with world.database.write() as db:
        mark(db, world.house, meeting_id=meeting_id, by=f"staff:{world.carla}", now=AFTER)  # type: ignore[operator]
    assert activities(world, ActivityKind.CONFIRM_MEETING) == [True]


def test_one_that_was_closed_or_cancelled_is_not_asked_about(world: World) -> None:
    held, cancelled = world.book(), world.book(WEDNESDAY_10 + timedelta(days=1), kind=MeetingKind.CHECKUP)
    with world.database.write() as db:
        actions.cancel(db, world.house, meeting_id=cancelled, why="", by=f"contact:{world.maria}", now=MONDAY)
    world.clock.set(AFTER)
    with world.database.write() as db:
        actions.mark_held(db, world.house, meeting_id=held, by=f"staff:{world.carla}", now=AFTER)
    work(world, AFTER + timedelta(days=5))
    assert activities(world, ActivityKind.CONFIRM_MEETING) == []


def test_a_no_show_gets_a_friendly_mail_with_other_times(world: World) -> None:
    meeting_id = world.book()
    world.clock.set(AFTER)
    miss(world, meeting_id)
    assert activities(world, ActivityKind.CALL_AFTER_NO_SHOW) == [False]
    [row] = letters(world, Kind.MEETING_MISSED)
    assert row.due_at == AFTER + timedelta(minutes=10)
    world.clock.set(row.due_at)
    delivery.deliver(world.house, composers=COMPOSERS, now=world.clock.now())
    [row] = letters(world, Kind.MEETING_MISSED)
    assert row.state is LetterState.SENT
    text = plain(composed(world.house, row))
    assert "/again" in text
    assert row.subject.startswith("Nos desencontramos")


def test_the_mail_does_not_go_if_they_did_come_or_have_booked_again(world: World) -> None:
    came = world.book()
    world.clock.set(AFTER)
    miss(world, came)
    with world.database.write() as db:
        actions.mark_held(db, world.house, meeting_id=came, by=f"staff:{world.carla}", now=AFTER)
    assert [row.state for row in letters(world, Kind.MEETING_MISSED)] == [LetterState.SUPPRESSED]
    assert activities(world, ActivityKind.CALL_AFTER_NO_SHOW) == [True]


def again(world: World, meeting_id: int) -> str:
    with world.database.read() as db:
        line = queries.meeting(db, meeting_id)
        assert line is not None
        return queries.sealed_path(world.house, line.id, line.nonce)


def test_another_time_is_booked_from_the_mail_without_signing_in(world: World, signed_in: SignIn) -> None:
    meeting_id = world.book(agenda="The price file")
    world.clock.set(AFTER)
    miss(world, meeting_id)
    path = again(world, meeting_id)
    browser = signed_in(contact_id=world.sofia)  # whoever is signed in here: the link says whose it is
    page = browser.get(f"{path}/again")
    assert page.status_code == 200
    assert "checked" not in page.text  # a lone press of the button books nothing
    assert browser.post(f"{path}/again", data={}).status_code == 422
    wanted = WEDNESDAY_10 + timedelta(days=7)
    answer = browser.post(f"{path}/again", data={"slot": f"{wanted:%Y-%m-%dT%H:%MZ}"})
    assert answer.status_code == 303
    with world.database.read() as db:
        made = db.scalars(select(Meeting).order_by(Meeting.id)).all()[-1]
        assert (made.starts_at, made.contact_id, made.kind, made.agenda) == (
            wanted, world.maria, MeetingKind.KICKOFF, "The price file",
        )  # fmt: skip
    # Sent twice, or opened again: the one that was booked.
    assert browser.post(f"{path}/again", data={"slot": f"{wanted:%Y-%m-%dT%H:%MZ}"}).headers["location"] == again(
        world, made.id
    )
    assert browser.get(f"{path}/again").headers["location"] == again(world, made.id)


def test_a_planned_meeting_is_moved_not_booked_again(world: World, signed_in: SignIn) -> None:
    path = again(world, world.book())
    answer = signed_in(contact_id=world.maria).get(f"{path}/again")
    assert (answer.status_code, answer.headers["location"]) == (303, path)


def reminders(world: World) -> list[tuple[str, str, datetime, LetterState]]:
    with world.database.read() as db:
        rows = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.MEETING_REMINDER)).all()
        return sorted(
            (row.context["lead"], "staff" if row.staff_id else "contact", row.due_at, row.state)
            for row in rows
            if row.state is not LetterState.SUPPRESSED
        )


def test_reminders_a_day_and_an_hour_before_follow_the_meeting(world: World) -> None:
    meeting_id = world.book()
    moved_to = WEDNESDAY_11 + timedelta(days=1)
    with world.database.write() as db:
        actions.reschedule(
            db, world.house, meeting_id=meeting_id, starts_at=moved_to, by=f"contact:{world.maria}", now=MONDAY
        )
    assert reminders(world) == [
        ("day", "contact", moved_to - 24 * HOUR, LetterState.QUEUED),
        ("hour", "contact", moved_to - HOUR, LetterState.QUEUED),
        ("hour", "staff", moved_to - HOUR, LetterState.QUEUED),
    ]
    with world.database.write() as db:
        actions.cancel(db, world.house, meeting_id=meeting_id, why="", by=f"contact:{world.maria}", now=MONDAY)
    assert reminders(world) == []


# Kinds as settings


def change(world: World, signed_in: SignIn, **wanted: str) -> int:
    known = {
        "length_minutes": "60", "before_minutes": "15", "after_minutes": "30", "notice_hours": "0", "horizon_days": "20",
        "changes_until_hours": "24", "ways": "phone", "agenda_en": "Bring your numbers.", "agenda_pt": "Traga seus números.",
    }  # fmt: skip
    answer = signed_in(staff_id=world.rui).post("/staff/meeting-kinds/checkup", data={**known, **wanted})
    return answer.status_code


def test_a_changed_kind_holds_for_what_is_booked_from_then_on(world: World, signed_in: SignIn) -> None:
    before = world.book(WEDNESDAY_10 - timedelta(days=1), kind=MeetingKind.CHECKUP)
    assert change(world, signed_in) == 303
    after = world.book(WEDNESDAY_10, kind=MeetingKind.CHECKUP)
    with world.database.read() as db:
        old, new = db.get_one(Meeting, before), db.get_one(Meeting, after)
        assert (old.ends_at - old.starts_at, old.changes_until_hours) == (timedelta(minutes=30), 2)
        assert (new.ends_at - new.starts_at, new.changes_until_hours) == (HOUR, 24)
        assert (new.held_from, new.held_until) == (WEDNESDAY_10 - HOUR / 4, WEDNESDAY_10 + HOUR * 1.5)
        assert new.agenda == "Traga seus números."
        ticks = db.scalars(select(MeetingTick.tick).where(MeetingTick.meeting_id == after)).all()
        assert len(ticks) == 7  # from a quarter before to half an hour after


def test_the_pause_before_keeps_others_away(world: World, signed_in: SignIn) -> None:
    change(world, signed_in)
    world.book(WEDNESDAY_11, kind=MeetingKind.CHECKUP)  # held from 10:45
    with pytest.raises(actions.SlotTaken):
        world.book(WEDNESDAY_10 + HOUR / 4, contact_id=world.joao)  # until 11:00, and its pause
    with pytest.raises(actions.SlotTaken):
        world.book(WEDNESDAY_10, contact_id=world.joao)  # until 10:45, and a quarter of pause
    world.book(WEDNESDAY_10 - HOUR / 4, contact_id=world.joao)  # until 10:30, and a quarter of pause


def test_customers_change_it_until_as_many_hours_before_as_was_promised(world: World, signed_in: SignIn) -> None:
    change(world, signed_in)
    meeting_id = world.book(WEDNESDAY_10, kind=MeetingKind.CHECKUP)
    world.clock.set(WEDNESDAY_10 - 23 * HOUR)
    with world.database.write() as db, pytest.raises(actions.TooLateToChange):
        actions.cancel(
            db, world.house, meeting_id=meeting_id, why="", by=f"contact:{world.maria}", now=world.clock.now()
        )


def test_only_the_ways_of_the_kind_are_offered(world: World, signed_in: SignIn) -> None:
    change(world, signed_in)
    world.book()  # the kick-off, so that a check-up is offered
    maria = signed_in(contact_id=world.maria)
    page = maria.get("/check-ins/new?kind=checkup").text
    assert "Traga seus números." in page
    assert 'value="video"' not in page
    starts_at = WEDNESDAY_10 + timedelta(days=1)
    maria.post("/check-ins/new?kind=checkup", data={"slot": f"{starts_at:%Y-%m-%dT%H:%MZ}", "way": "video"})
    with world.database.read() as db:
        made = db.scalars(select(Meeting).order_by(Meeting.id)).all()[-1]
    assert (made.kind, made.way.value) == (MeetingKind.CHECKUP, "phone")


@pytest.mark.parametrize(
    "wrong",
    [{"length_minutes": "20"}, {"length_minutes": "0"}, {"before_minutes": "7"}, {"horizon_days": "90"}, {"ways": "pigeon"},
     {"ways": "in_person"}, {"notice_hours": "-1"}],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(world: World, signed_in: SignIn, wrong: dict[str, str]) -> None:
    assert change(world, signed_in, **wrong) == 422
    with world.database.read() as db:
        assert queries.changed_kinds(db) == frozenset()


def test_what_ships_holds_again(world: World, signed_in: SignIn) -> None:
    change(world, signed_in)
    signed_in(staff_id=world.rui).post("/staff/meeting-kinds/checkup/shipped")
    with world.database.read() as db:
        assert queries.terms_of(db, MeetingKind.CHECKUP).length_minutes == 30
    assert signed_in(staff_id=world.carla).get("/staff/meeting-kinds").status_code == 403


# Offered by itself


def test_home_and_plan_offer_what_it_is_time_for(world: World, signed_in: SignIn) -> None:
    maria = signed_in(contact_id=world.maria)
    assert "/check-ins/new?kind=kickoff" not in maria.get("/").text
    start_use(world, MONDAY.date())
    assert "/check-ins/new?kind=kickoff" in maria.get("/").text
    assert "/check-ins/new?kind=kickoff" in maria.get("/plan").text
    meeting_id = world.book()
    assert "/check-ins/new?kind=kickoff" not in maria.get("/").text + maria.get("/plan").text
    world.clock.set(AFTER)
    with world.database.write() as db:
        actions.mark_held(db, world.house, meeting_id=meeting_id, by=f"staff:{world.carla}", now=AFTER)
    assert "kind=day14" not in maria.get("/").text
    world.clock.set(MONDAY + timedelta(days=10))
    maria = signed_in(contact_id=world.maria)
    assert "/check-ins/new?kind=day14" in maria.get("/").text
    assert "/check-ins/new?kind=day14" in maria.get("/plan").text

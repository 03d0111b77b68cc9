"""Booking, moving, cancelling, and what the journey hears of it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from portal.errors import NotFound, Refused
from portal.journeys import cases
from portal.journeys.models import Activity, Flag, JourneyRow, Milestone, Touchpoint
from portal.journeys.rules import FlagOrigin, Status
from portal.meetings import actions, diary, queries
from portal.meetings.actions import Booking, ImpossibleHours, NotPlanned, SlotTaken, TooLateToChange
from portal.meetings.diary import Span
from portal.meetings.models import Meeting, MeetingTick
from portal.meetings.rules import MeetingKind, MeetingState, ticks
from tests.meetings.conftest import MONDAY, WEDNESDAY_10, WEDNESDAY_11, World, start_use

MINUTES = timedelta(minutes=1)


def meeting(world: World, meeting_id: int) -> Meeting:
    with world.database.read() as db:
        return db.get_one(Meeting, meeting_id)


def taken(world: World) -> list[int]:
    with world.database.read() as db:
        return list(db.scalars(select(MeetingTick.tick).order_by(MeetingTick.tick)))


def journey(world: World) -> JourneyRow:
    with world.database.read() as db:
        return db.get_one(JourneyRow, world.journey)


def activities(world: World) -> list[str]:
    with world.database.read() as db:
        own = select(Activity.key).where(Activity.key.contains(":meeting:")).order_by(Activity.id)
        return list(db.scalars(own))


def open_flag(world: World, words: str = "It drops the count.") -> int:
    with world.database.write() as db:
        return cases.open_flag(
            db,
            world.house,
            journey_id=world.journey,
            origin=FlagOrigin.CONSULTANT,
            by=f"staff:{world.carla}",
            now=world.clock.now(),
            contact_id=world.maria,
            words=words,
        )


def starts(world: World, *, zone: str = "America/Sao_Paulo", kind: MeetingKind = MeetingKind.KICKOFF) -> set[datetime]:
    with world.database.read() as db:
        found = diary.slots(db, world.carla, kind, now=world.clock.now(), zone=zone)
    return {slot.starts_at for slot in found}


def test_a_booking_takes_the_consultants_time_with_the_pause_after_it(world: World) -> None:
    booked = meeting(world, world.book())
    assert (booked.starts_at, booked.ends_at, booked.held_until) == (
        WEDNESDAY_10,
        WEDNESDAY_10 + 45 * MINUTES,
        WEDNESDAY_10 + 60 * MINUTES,
    )
    assert (booked.state, booked.sequence, booked.place, booked.zone) == (
        MeetingState.PLANNED,
        0,
        "https://meet.example/carla",
        "America/Sao_Paulo",
    )
    assert taken(world) == list(ticks(WEDNESDAY_10, WEDNESDAY_10 + 60 * MINUTES))


def test_what_is_booked_is_not_offered_any_more(world: World) -> None:
    before = starts(world)
    world.book()
    # A kick-off takes an hour with its pause: none may begin less than an hour before or after.
    gone = {WEDNESDAY_10 + n * 15 * MINUTES for n in range(-3, 4)}
    assert before - starts(world) == gone & before


def test_a_taken_slot_is_refused_and_nothing_is_written(world: World) -> None:
    world.book()
    with pytest.raises(SlotTaken):
        world.book(contact_id=world.sofia)
    with pytest.raises(SlotTaken):
        world.book(WEDNESDAY_10 + 30 * MINUTES, contact_id=world.sofia, kind=MeetingKind.CHECKUP)
    with world.database.read() as db:
        assert db.scalar(select(func.count(Meeting.id))) == 1
    assert len(taken(world)) == 4


@pytest.mark.parametrize(
    "starts_at",
    [
        pytest.param(WEDNESDAY_10 + timedelta(hours=9), id="after hours"),
        pytest.param(WEDNESDAY_10 + timedelta(days=3), id="on a Saturday"),
        pytest.param(MONDAY + timedelta(hours=2), id="without notice"),
        pytest.param(WEDNESDAY_10 + timedelta(days=60), id="beyond the horizon"),
        pytest.param(WEDNESDAY_10 + 5 * MINUTES, id="between the quarters"),
        pytest.param(WEDNESDAY_10 - timedelta(days=30), id="in the past"),
    ],
)
def test_customers_book_only_what_is_offered(world: World, starts_at: datetime) -> None:
    with pytest.raises(SlotTaken):
        world.book(starts_at)
    assert taken(world) == []


def by_hand(world: World, starts_at: datetime, *, contact_id: int | None = None) -> int:
    who = contact_id or world.maria
    booking = Booking(
        kind=MeetingKind.CHECKUP,
        starts_at=starts_at,
        journey_id=world.other_journey if who == world.sofia else world.journey,
        contact_id=who,
        staff_id=world.carla,
    )
    with world.database.write() as db:
        return actions.book_by_hand(db, world.house, booking, by=f"staff:{world.carla}", now=world.clock.now())


def test_a_consultant_who_insists_books_outside_hours_but_never_twice(world: World) -> None:
    evening = WEDNESDAY_10 + timedelta(hours=10)
    by_hand(world, evening)
    for offset in (-30, -15, 0, 15, 30):
        with pytest.raises(SlotTaken):
            by_hand(world, evening + offset * MINUTES, contact_id=world.sofia)
    by_hand(world, evening + 45 * MINUTES, contact_id=world.sofia)
    assert len(taken(world)) == 6


def test_by_hand_is_still_ahead_and_on_the_quarter(world: World) -> None:
    for impossible in (MONDAY, MONDAY - timedelta(days=1), WEDNESDAY_10 + 7 * MINUTES):
        with pytest.raises(Refused):
            by_hand(world, impossible)


def test_nobody_books_for_somebody_elses_journey(world: World) -> None:
    stranger = Booking(
        kind=MeetingKind.KICKOFF,
        starts_at=WEDNESDAY_10,
        journey_id=world.journey,
        contact_id=world.sofia,
        staff_id=world.carla,
    )
    with pytest.raises(NotFound), world.database.write() as db:
        actions.book(db, world.house, stranger, by=f"contact:{world.sofia}", now=MONDAY)


def test_a_refusal_that_is_answered_by_the_caller_commits_nothing(world: World) -> None:
    """The page with the other slots is a response, and a response commits."""
    world.book()
    late = Booking(
        kind=MeetingKind.KICKOFF,
        starts_at=WEDNESDAY_10 + 45 * MINUTES,
        journey_id=world.other_journey,
        contact_id=world.sofia,
        staff_id=world.carla,
    )
    with world.database.write() as db:
        with pytest.raises(SlotTaken):
            actions.book_by_hand(db, world.house, late, by="staff:1", now=MONDAY)
        assert db.scalar(select(func.count(Meeting.id))) == 1
    with world.database.read() as db:
        assert db.scalar(select(func.count(Meeting.id))) == 1
    assert len(taken(world)) == 4


# What the journey hears


def test_a_planned_meeting_holds_the_stagnation_limit_until_its_end(world: World) -> None:
    first = world.book()
    world.book(WEDNESDAY_10 + timedelta(days=7), kind=MeetingKind.CHECKUP)
    assert journey(world).held_until == WEDNESDAY_10 + timedelta(days=7, minutes=30)
    second = with_kind(world, MeetingKind.CHECKUP)
    cancel(world, second, by=f"contact:{world.maria}")
    assert journey(world).held_until == WEDNESDAY_10 + 45 * MINUTES
    cancel(world, first, by=f"contact:{world.maria}")
    assert journey(world).held_until is None


def with_kind(world: World, kind: MeetingKind) -> int:
    with world.database.read() as db:
        return db.scalars(select(Meeting.id).where(Meeting.kind == kind)).one()


def cancel(world: World, meeting_id: int, *, by: str, why: str = "") -> None:
    with world.database.write() as db:
        actions.cancel(db, world.house, meeting_id=meeting_id, why=why, by=by, now=world.clock.now())


def test_a_booking_by_the_customer_is_first_contact_and_one_by_staff_is_not(world: World) -> None:
    world.book(by=f"staff:{world.carla}")
    assert journey(world).first_contact_at is None
    world.book(WEDNESDAY_11, kind=MeetingKind.CHECKUP)
    assert journey(world).first_contact_at == MONDAY


def test_a_doubt_meeting_is_an_action_on_its_flag(world: World) -> None:
    flag_id = open_flag(world)
    booked = world.book(
        kind=MeetingKind.DOUBT, flag_id=flag_id, by=f"staff:{world.carla}", agenda="It drops the count."
    )
    with world.database.read() as db:
        flag = db.get_one(Flag, flag_id)
        planned = queries.planned_for_flag(db, flag_id, now=MONDAY)
    assert (flag.acted_at, flag.acted_by) == (MONDAY, f"staff:{world.carla}")
    assert planned is not None and (planned.id, planned.agenda) == (booked, "It drops the count.")


def test_a_customer_who_cancels_a_doubt_meeting_leaves_the_consultant_to_find_another_time(world: World) -> None:
    booked = world.book(kind=MeetingKind.DOUBT, flag_id=open_flag(world))
    cancel(world, booked, by=f"contact:{world.maria}")
    assert activities(world) == [f"find_new_time:meeting:{booked}"]


def test_a_meeting_that_was_held_is_ticked_off_in_the_plan(world: World) -> None:
    booked = world.book()
    world.clock.set(WEDNESDAY_11)
    with world.database.write() as db:
        actions.mark_held(db, world.house, meeting_id=booked, by=f"staff:{world.carla}", now=WEDNESDAY_11)
    with world.database.read() as db:
        done = [
            db.scalars(select(table.done_at).where(table.journey_id == world.journey, table.key == "kickoff")).one()
            for table in (Touchpoint, Milestone)
        ]
    assert done == [WEDNESDAY_11, WEDNESDAY_11]
    assert meeting(world, booked).state is MeetingState.HELD


def test_a_no_show_asks_the_consultant_to_call(world: World) -> None:
    booked = world.book()
    world.clock.set(WEDNESDAY_11)
    for _ in range(2):
        with world.database.write() as db:
            actions.mark_missed(db, world.house, meeting_id=booked, by=f"staff:{world.carla}", now=WEDNESDAY_11)
    assert activities(world) == [f"call_after_no_show:meeting:{booked}"]
    assert meeting(world, booked).state is MeetingState.MISSED
    with world.database.write() as db:
        actions.mark_held(db, world.house, meeting_id=booked, by=f"staff:{world.carla}", now=WEDNESDAY_11)
    assert meeting(world, booked).state is MeetingState.HELD


def test_what_has_not_begun_can_not_have_been_held_or_missed(world: World) -> None:
    booked = world.book()
    for mark in (actions.mark_held, actions.mark_missed):
        with pytest.raises(Refused), world.database.write() as db:
            mark(db, world.house, meeting_id=booked, by=f"staff:{world.carla}", now=MONDAY)


# Moving and cancelling


def move(world: World, meeting_id: int, starts_at: datetime, *, by: str = "") -> None:
    with world.database.write() as db:
        actions.reschedule(
            db,
            world.house,
            meeting_id=meeting_id,
            starts_at=starts_at,
            by=by or f"contact:{world.maria}",
            now=world.clock.now(),
        )


def test_a_move_keeps_the_uid_and_raises_the_sequence(world: World) -> None:
    booked = world.book()
    uid = meeting(world, booked).uid
    move(world, booked, WEDNESDAY_11)
    moved = meeting(world, booked)
    assert (moved.uid, moved.sequence, moved.starts_at) == (uid, 1, WEDNESDAY_11)
    assert taken(world) == list(ticks(WEDNESDAY_11, WEDNESDAY_11 + 60 * MINUTES))


def test_a_meeting_can_move_over_its_own_old_time(world: World) -> None:
    booked = world.book()
    move(world, booked, WEDNESDAY_10 + 15 * MINUTES)
    assert taken(world) == list(ticks(WEDNESDAY_10 + 15 * MINUTES, WEDNESDAY_10 + 75 * MINUTES))


def test_a_move_to_a_taken_time_leaves_it_where_it_was(world: World) -> None:
    booked = world.book()
    world.book(WEDNESDAY_11, contact_id=world.sofia)
    with pytest.raises(SlotTaken):
        move(world, booked, WEDNESDAY_11)
    assert (meeting(world, booked).starts_at, meeting(world, booked).sequence) == (WEDNESDAY_10, 0)
    assert len(taken(world)) == 8


def test_a_cancelled_meeting_gives_its_time_back(world: World) -> None:
    booked = world.book()
    cancel(world, booked, by=f"contact:{world.maria}", why="Our head baker is ill.")
    cancelled = meeting(world, booked)
    assert (cancelled.state, cancelled.sequence, cancelled.cancelled_why) == (
        MeetingState.CANCELLED,
        1,
        "Our head baker is ill.",
    )
    assert taken(world) == []
    world.book(contact_id=world.sofia)
    cancel(world, booked, by=f"contact:{world.maria}")
    assert (meeting(world, booked).sequence, len(taken(world))) == (1, 4)


@pytest.mark.parametrize(("minutes", "may"), [(121, True), (120, True), (119, False)])
def test_customers_change_until_two_hours_before_and_staff_until_the_end(
    world: World, minutes: int, *, may: bool
) -> None:
    booked = world.book()
    world.clock.set(WEDNESDAY_10 - minutes * MINUTES)
    if may:
        cancel(world, booked, by=f"contact:{world.maria}")
        return
    with pytest.raises(TooLateToChange):
        cancel(world, booked, by=f"contact:{world.maria}")
    with pytest.raises(TooLateToChange):
        move(world, booked, WEDNESDAY_10 + timedelta(days=1))
    cancel(world, booked, by=f"staff:{world.carla}")
    assert meeting(world, booked).state is MeetingState.CANCELLED


def test_what_is_over_stays_as_it_was(world: World) -> None:
    booked = world.book()
    world.clock.set(WEDNESDAY_11)
    with pytest.raises(NotPlanned):
        cancel(world, booked, by=f"staff:{world.carla}")
    with pytest.raises(NotPlanned):
        move(world, booked, WEDNESDAY_10 + timedelta(days=1), by=f"staff:{world.carla}")


def test_nobody_meets_on_a_journey_that_was_lost(world: World) -> None:
    with world.database.write() as db:
        cases.churn(
            db,
            world.house,
            account_id=world.lumen,
            on=date(2026, 6, 22),
            reason="Closed shop.",
            by="staff:1",
            now=MONDAY,
        )
    assert journey(world).status is Status.LOST
    with pytest.raises(Refused):
        world.book()


# Hours


def test_a_consultant_without_hours_has_the_usual_ones(world: World) -> None:
    tuesday = {start for start in starts(world) if start.date() == date(2026, 6, 23)}
    # Notice: 24 hours from Monday 9:00. A kick-off of 45 minutes fits from 9:00 to 11:15, and from 13:00 to 16:15.
    expected = {datetime(2026, 6, 23, 12, tzinfo=MONDAY.tzinfo) + n * 15 * MINUTES for n in range(10)}
    expected |= {datetime(2026, 6, 23, 16, tzinfo=MONDAY.tzinfo) + n * 15 * MINUTES for n in range(14)}
    assert tuesday == expected


def test_own_hours_replace_the_usual_ones_and_exceptions_replace_a_day(world: World) -> None:
    with world.database.write() as db:
        actions.set_week(db, staff_id=world.carla, week={day: [Span(8 * 60, 9 * 60)] for day in range(5)}, now=MONDAY)
        actions.set_exception(db, staff_id=world.carla, day=date(2026, 6, 24), spans=[], now=MONDAY)
        actions.set_exception(
            db, staff_id=world.carla, day=date(2026, 6, 25), spans=[Span(23 * 60, 24 * 60)], now=MONDAY
        )
    assert sorted(starts(world))[:3] == [
        datetime(2026, 6, 26, 2, 0, tzinfo=MONDAY.tzinfo),
        datetime(2026, 6, 26, 2, 15, tzinfo=MONDAY.tzinfo),
        datetime(2026, 6, 26, 11, 0, tzinfo=MONDAY.tzinfo),
    ]
    with world.database.write() as db:
        actions.clear_exception(db, staff_id=world.carla, day=date(2026, 6, 24), now=MONDAY)
    assert min(starts(world)) == datetime(2026, 6, 24, 11, 0, tzinfo=MONDAY.tzinfo)


def test_a_consultant_can_take_no_meetings_at_all(world: World) -> None:
    with world.database.write() as db:
        actions.set_week(db, staff_id=world.carla, week={}, now=MONDAY)
    assert starts(world) == set()


@pytest.mark.parametrize(
    "spans",
    [
        [Span(540, 540)],
        [Span(600, 540)],
        [Span(540, 720), Span(660, 800)],
        [Span(-15, 60)],
        [Span(1400, 1455)],
    ],
)
def test_impossible_hours_are_refused(world: World, spans: list[Span]) -> None:
    with pytest.raises(ImpossibleHours), world.database.write() as db:
        actions.set_week(db, staff_id=world.carla, week={0: spans}, now=MONDAY)
    with pytest.raises(ImpossibleHours), world.database.write() as db:
        actions.set_exception(db, staff_id=world.carla, day=date(2026, 6, 24), spans=spans, now=MONDAY)


# What pages ask


def test_colleagues_see_their_companys_meetings_but_not_a_doubt(world: World) -> None:
    doubt = world.book(WEDNESDAY_10, kind=MeetingKind.DOUBT, flag_id=open_flag(world), agenda="It drops the count.")
    kickoff = world.book(WEDNESDAY_11)

    def seen_by(contact_id: int, account_id: int) -> tuple[int | None, list[int]]:
        with world.database.read() as db:
            first = queries.next_meeting(db, contact_id=contact_id, account_id=account_id, now=MONDAY)
            every = queries.check_ins(db, contact_id=contact_id, account_id=account_id, now=MONDAY)
        return first.id if first else None, [line.id for line in every.ahead]

    assert seen_by(world.maria, world.lumen) == (doubt, [doubt, kickoff])
    assert seen_by(world.joao, world.lumen) == (kickoff, [kickoff])
    assert seen_by(world.sofia, world.verdant) == (None, [])
    with world.database.read() as db:
        assert queries.own_meeting(db, kickoff, contact_id=world.joao) is None


def test_what_is_offered_fits_the_stage(world: World) -> None:
    def offered() -> tuple[MeetingKind, ...]:
        with world.database.read() as db:
            host = queries.host_of(db, world.lumen)
            assert host is not None
            return queries.offered_kinds(db, host, now=world.clock.now())

    assert offered() == (MeetingKind.KICKOFF,)
    world.book()
    assert offered() == (MeetingKind.CHECKUP,)
    start_use(world, date(2026, 6, 12))
    assert offered() == (MeetingKind.DAY14, MeetingKind.CHECKUP)
    world.book(WEDNESDAY_11, kind=MeetingKind.DAY14)
    assert offered() == (MeetingKind.CHECKUP,)


def test_slots_cost_the_same_with_one_meeting_or_many(world: World, statements: Callable[[], list[str]]) -> None:
    def cost() -> int:
        before = len(statements())
        starts(world)
        return len(statements()) - before

    empty = cost()
    for n in range(3):
        world.book(WEDNESDAY_10 + timedelta(days=n), kind=MeetingKind.CHECKUP)
    assert (empty, cost()) == (5, 5)  # terms, hours, exceptions, meetings, their own calendar

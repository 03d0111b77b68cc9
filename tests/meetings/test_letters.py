"""The letters about a meeting: what goes out when, the calendar part as a calendar reads it, and what is held back."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from icalendar import Calendar
from sqlalchemy import select

from portal import delivery, mail
from portal.accounts.models import Contact, Staff
from portal.delivery import compose
from portal.house import House
from portal.mail import Kind, LetterRow, LetterState, Withheld
from portal.meetings import actions
from portal.meetings.letters import COMPOSERS, MOVED_ON
from tests.meetings.conftest import MONDAY, WEDNESDAY_10, WEDNESDAY_11, World

HOUR = timedelta(hours=1)


def letters(world: World, kind: Kind | None = None) -> list[LetterRow]:
    with world.database.read() as db:
        every = db.scalars(select(LetterRow).where(LetterRow.key.startswith("meeting:")).order_by(LetterRow.id))
        return [row for row in every if kind is None or row.kind is kind]


def waiting(world: World) -> list[tuple[str, str, datetime]]:
    """Kind and reader of what still waits, and when it is due."""
    return sorted(
        (row.kind.value, "staff" if row.staff_id else "contact", row.due_at)
        for row in letters(world)
        if row.state is LetterState.QUEUED
    )


def composed(house: House, row: LetterRow) -> EmailMessage:
    with house.database.read() as db:
        return compose(db, house, row, composers=COMPOSERS)


def plain(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def calendar_parts(message: EmailMessage) -> list[tuple[str, Calendar]]:
    """The method that the mail's part names, and the calendar in it; once to be read, once attached."""
    return [
        (str(part.get_param("method")), Calendar.from_ical(part.get_content()))
        for part in message.walk()
        if part.get_content_type() == "text/calendar"
    ]


def to_contact(rows: list[LetterRow]) -> LetterRow:
    return next(row for row in rows if row.contact_id is not None)


def to_staff(rows: list[LetterRow]) -> LetterRow:
    return next(row for row in rows if row.staff_id is not None)


def test_a_booking_invites_both_sides_and_plans_their_reminders(world: World) -> None:
    world.book()
    assert waiting(world) == [
        ("meeting_invitation", "contact", MONDAY),
        ("meeting_invitation", "staff", MONDAY),
        ("meeting_reminder", "contact", WEDNESDAY_10 - 24 * HOUR),
        ("meeting_reminder", "contact", WEDNESDAY_10 - HOUR),
        ("meeting_reminder", "staff", WEDNESDAY_10 - HOUR),
    ]


def test_no_reminder_is_planned_for_a_time_that_has_passed(world: World) -> None:
    world.clock.set(WEDNESDAY_10 - timedelta(minutes=30))
    by_hand(world, WEDNESDAY_10)
    assert [kind for kind, *_ in waiting(world)] == ["meeting_invitation", "meeting_invitation"]


def by_hand(world: World, starts_at: datetime) -> None:
    booking = actions.Booking(
        kind=actions.MeetingKind.CHECKUP,
        starts_at=starts_at,
        journey_id=world.journey,
        contact_id=world.maria,
        staff_id=world.carla,
    )
    with world.database.write() as db:
        actions.book_by_hand(db, world.house, booking, by=f"staff:{world.carla}", now=world.clock.now())


def test_somebody_without_an_address_gets_no_letter(world: World) -> None:
    with world.database.write() as db:
        db.get_one(Contact, world.maria).email = None
    world.book()
    assert {reader for _, reader, _ in waiting(world)} == {"staff"}


def test_the_invitation_is_one_that_calendars_accept(world: World) -> None:
    booked = world.book(contact_id=world.sofia, agenda="The first count.\nWho does it?")
    message = composed(world.house, to_contact(letters(world, Kind.MEETING_INVITATION)))
    assert message["To"] == "Sofia Alves <sofia@verdant.example>"
    assert message["Subject"] == "Sofia, we meet on 24 June, 14:00"
    read, attached = calendar_parts(message)
    assert (read[0], attached[0], str(read[1]["method"])) == ("REQUEST", "REQUEST", "REQUEST")
    (event,) = read[1].walk("VEVENT")
    assert (event.start.astimezone(UTC), event.end.astimezone(UTC)) == (
        WEDNESDAY_10,
        WEDNESDAY_10 + timedelta(minutes=45),
    )
    assert event["dtstart"].params["TZID"] == "Europe/London"
    with world.database.read() as db:
        meeting = db.get_one(actions.Meeting, booked)
    assert (str(event["uid"]), int(event["sequence"]), str(event["status"])) == (meeting.uid, 0, "CONFIRMED")
    assert str(event["organizer"]) == "mailto:carla@onward.example"
    assert {str(one): str(one.params["PARTSTAT"]) for one in event["attendee"]} == {
        "mailto:carla@onward.example": "ACCEPTED",
        "mailto:sofia@verdant.example": "ACCEPTED",
    }
    assert (str(event["summary"]), str(event["location"]), str(event["description"])) == (
        "Kick-off call: Carla Nunes",
        "https://meet.example/carla",
        "The first count.\nWho does it?",
    )


def test_whom_staff_book_for_is_asked_to_answer(world: World) -> None:
    world.book(by=f"staff:{world.carla}")
    message = composed(world.house, to_contact(letters(world, Kind.MEETING_INVITATION)))
    (event,) = calendar_parts(message)[0][1].walk("VEVENT")
    asked = {str(one): (str(one.params["PARTSTAT"]), str(one.params["RSVP"])) for one in event["attendee"]}
    assert asked["mailto:maria@lumen.example"] == ("NEEDS-ACTION", "TRUE")


def test_each_reads_it_in_their_own_language_and_only_the_customers_mail_opens_anything(world: World) -> None:
    world.book()
    rows = letters(world, Kind.MEETING_INVITATION)
    hers, ours = plain(composed(world.house, to_contact(rows))), plain(composed(world.house, to_staff(rows)))
    assert "Conversa de início" in hers and "10h00" in hers
    assert "http://testserver/m/" in hers
    assert "Kick-off call" in ours and "10:00" in ours
    assert "http://testserver/staff/meetings/1" in ours and "/m/" not in ours
    with world.database.read() as db:
        stored = [str(row.context) for row in db.scalars(select(LetterRow))]
    assert not any("/m/" in context for context in stored)


def test_the_calendar_holds_no_link_that_opens_anything(world: World) -> None:
    """Calendars are shared: its address is where people sign in."""
    world.book()
    for row in letters(world, Kind.MEETING_INVITATION):
        for _, calendar in calendar_parts(composed(world.house, row)):
            assert "/m/" not in calendar.to_ical().decode()


def test_a_move_sends_a_higher_sequence_and_stops_what_was_planned(world: World) -> None:
    booked = world.book()
    with world.database.write() as db:
        actions.reschedule(
            db, world.house, meeting_id=booked, starts_at=WEDNESDAY_11, by=f"contact:{world.maria}", now=MONDAY
        )
    old = [row for row in letters(world) if row.context["sequence"] == 0]
    assert {(row.state, row.why) for row in old} == {(LetterState.SUPPRESSED, MOVED_ON)}
    assert waiting(world) == [
        ("meeting_invitation", "contact", MONDAY),
        ("meeting_invitation", "staff", MONDAY),
        ("meeting_reminder", "contact", WEDNESDAY_11 - 24 * HOUR),
        ("meeting_reminder", "contact", WEDNESDAY_11 - HOUR),
        ("meeting_reminder", "staff", WEDNESDAY_11 - HOUR),
    ]
    newest = [row for row in letters(world, Kind.MEETING_INVITATION) if row.context["sequence"] == 1]
    message = composed(world.house, to_contact(newest))
    (event,) = calendar_parts(message)[0][1].walk("VEVENT")
    assert (int(event["sequence"]), event.start.astimezone(UTC)) == (1, WEDNESDAY_11)
    assert message["Subject"] == "Novo horário: 24 de junho, 11h00"


def test_a_cancellation_takes_it_out_of_both_calendars(world: World) -> None:
    booked = world.book()
    with world.database.write() as db:
        actions.cancel(
            db, world.house, meeting_id=booked, why="Inventory day.", by=f"contact:{world.maria}", now=MONDAY
        )
    assert [kind for kind, *_ in waiting(world)] == ["meeting_cancelled", "meeting_cancelled"]
    for row in letters(world, Kind.MEETING_CANCELLED):
        message = composed(world.house, row)
        (method, calendar), _ = calendar_parts(message)
        (event,) = calendar.walk("VEVENT")
        assert (method, str(calendar["method"]), str(event["status"]), int(event["sequence"])) == (
            "CANCEL",
            "CANCEL",
            "CANCELLED",
            1,
        )
        assert "Inventory day." in plain(message)


def test_a_letter_in_flight_when_the_meeting_moves_is_withheld(world: World) -> None:
    """Taken by a worker before the move, so that suppressing it came too late: judged anew when it leaves."""
    booked = world.book()
    row = to_contact(letters(world, Kind.MEETING_INVITATION))
    with world.database.write() as db:
        actions.reschedule(
            db, world.house, meeting_id=booked, starts_at=WEDNESDAY_11, by=f"contact:{world.maria}", now=MONDAY
        )
    with pytest.raises(Withheld):
        composed(world.house, row)


def test_a_letter_that_was_sent_says_for_ever_what_it_said(world: World) -> None:
    booked = world.book()
    delivery.deliver(world.house, composers=COMPOSERS, now=MONDAY)
    with world.database.write() as db:
        actions.reschedule(
            db, world.house, meeting_id=booked, starts_at=WEDNESDAY_11, by=f"contact:{world.maria}", now=MONDAY
        )
    sent = to_contact([row for row in letters(world, Kind.MEETING_INVITATION) if row.sent_at is not None])
    (event,) = calendar_parts(composed(world.house, sent))[0][1].walk("VEVENT")
    assert (int(event["sequence"]), event.start.astimezone(UTC)) == (0, WEDNESDAY_10)


@pytest.mark.parametrize(
    ("lead", "late", "sent"),
    [
        ("day", timedelta(0), True),
        ("day", timedelta(hours=13), True),
        ("day", timedelta(hours=15), False),
        ("hour", timedelta(0), True),
        ("hour", timedelta(minutes=59), True),
        ("hour", timedelta(minutes=60), False),
    ],
)
def test_a_reminder_that_comes_too_late_is_held_back(world: World, lead: str, late: timedelta, *, sent: bool) -> None:
    world.book()
    row = to_contact([row for row in letters(world, Kind.MEETING_REMINDER) if row.context["lead"] == lead])
    world.clock.set(row.due_at + late)
    if sent:
        assert calendar_parts(composed(world.house, row)) == []
    else:
        with pytest.raises(Withheld):
            composed(world.house, row)


def test_all_letters_of_a_meetings_life_can_be_delivered(world: World) -> None:
    booked = world.book()
    delivered = 0
    for moment in (MONDAY, WEDNESDAY_10 - 24 * HOUR, WEDNESDAY_10 - HOUR):
        world.clock.set(moment)
        delivered += delivery.deliver(world.house, composers={**COMPOSERS, Kind.WELCOME: _nothing}, now=moment)
    with world.database.write() as db:
        actions.cancel(db, world.house, meeting_id=booked, why="", by=f"staff:{world.carla}", now=world.clock.now())
    delivered += delivery.deliver(world.house, composers=COMPOSERS, now=world.clock.now())
    assert [(row.kind.value, row.state) for row in letters(world)].count(("meeting_cancelled", LetterState.SENT)) == 2
    assert {row.state for row in letters(world)} == {LetterState.SENT}
    assert delivered >= 7


def _nothing(*_: object) -> dict[str, object]:
    return {}


def test_where_we_meet_is_said_in_the_readers_words(world: World) -> None:
    with world.database.write() as db:
        db.get_one(Staff, world.carla).meeting_url = ""
    world.book()
    text = plain(composed(world.house, to_contact(letters(world, Kind.MEETING_INVITATION))))
    assert "Por vídeo. Você recebe o link antes da conversa." in text


def test_the_demo_shows_a_sent_letter_with_its_calendar(world: World) -> None:
    world.book()
    delivery.deliver(world.house, composers=COMPOSERS, now=MONDAY)
    sent = to_contact(letters(world, Kind.MEETING_INVITATION))
    with world.database.read() as db:
        shown = delivery.rendered(db, world.house, sent.id, composers=COMPOSERS)
    assert shown is not None
    assert shown.calendar.startswith("BEGIN:VCALENDAR")
    assert mail.Kind.MEETING_INVITATION is shown.letter.kind

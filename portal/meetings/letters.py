"""The letters about a meeting: invitations that calendars accept, cancellations, reminders. Queued with the booking, in the
same transaction; judged anew when they leave."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from portal import mail
from portal.accounts.models import Contact, Staff
from portal.errors import N_
from portal.house import House
from portal.mail import Calendar, Kind, Letter, LetterRow, Withheld
from portal.meetings import queries
from portal.meetings.calendars import Method, invitation
from portal.meetings.events import Reader, event, where
from portal.meetings.models import Meeting
from portal.meetings.queries import MeetingLine, sealed_path
from portal.meetings.rules import WORDS, Lead, MeetingState, is_reminder_true, next_few, reminder_at

SECOND_THOUGHTS = timedelta(minutes=10)
OFFERED = 3
MOVED_ON = N_("The meeting was moved or cancelled before this went out.")


class _Addressee(NamedTuple):
    """Somebody who gets letters about a meeting. Consultants have their calendar and their agenda: one reminder is enough."""

    key: str
    email: str
    language: str
    zone: str
    contact_id: int | None
    staff_id: int | None
    with_name: str
    title: str
    leads: tuple[Lead, ...]


def _addressees(db: Session, meeting: Meeting) -> list[_Addressee]:
    contact, staff = db.get_one(Contact, meeting.contact_id), db.get_one(Staff, meeting.staff_id)
    title = WORDS[meeting.kind]
    return [
        _Addressee(f"contact:{contact.id}", contact.email or "", contact.language, contact.timezone, contact.id, None,
                   staff.name, title.customer, (Lead.DAY, Lead.HOUR)),
        _Addressee(f"staff:{staff.id}", staff.email, staff.language, staff.timezone, None, staff.id,
                   contact.name, title.staff, (Lead.HOUR,)),
    ]  # fmt: skip


def announce(db: Session, meeting: Meeting, *, moved: bool, now: datetime) -> None:
    """Invites both sides (again, if it was moved) and plans their reminders."""
    people = [person for person in _addressees(db, meeting) if person.email]
    letters = [_letter(meeting, person, Kind.MEETING_INVITATION, "invitation", {"moved": moved}) for person in people]
    for person in people:
        for lead in person.leads:
            due_at = reminder_at(meeting.starts_at, lead, person.zone)
            if due_at > now:
                name = f"reminder:{lead}"
                letters.append(_letter(meeting, person, Kind.MEETING_REMINDER, name, {"lead": lead}, due_at=due_at))
    mail.queue_all(db, letters, now=now)


def call_off(db: Session, meeting: Meeting, *, now: datetime) -> None:
    """Tells both sides that it is cancelled, and takes it out of their calendars."""
    why = {"why": meeting.cancelled_why}
    people = [person for person in _addressees(db, meeting) if person.email]
    mail.queue_all(
        db, [_letter(meeting, person, Kind.MEETING_CANCELLED, "cancelled", why) for person in people], now=now
    )


def follow_up(db: Session, meeting: Meeting, *, now: datetime) -> None:
    """After a no-show: a friendly word and other times. Some minutes later, since whoever pressed the wrong button says so
    at once."""
    contact = db.get_one(Contact, meeting.contact_id)
    if contact.email and contact.disabled_at is None:
        person = _addressees(db, meeting)[0]
        letter = _letter(meeting, person, Kind.MEETING_MISSED, "missed", {}, due_at=now + SECOND_THOUGHTS)
        mail.queue_all(db, [letter], now=now)


def take_back_follow_up(db: Session, meeting: Meeting, *, now: datetime) -> None:
    """They did come after all."""
    key = _key(meeting, "missed", f"contact:{meeting.contact_id}")
    mail.suppress(db, why=N_("The meeting did take place."), now=now, keys=[key])


def take_back(db: Session, meeting: Meeting, *, now: datetime) -> None:
    """Stops the letters of this sequence that still wait: for a meeting that is moved or cancelled."""
    names = ("invitation", *(f"reminder:{lead}" for lead in Lead))
    readers = (f"contact:{meeting.contact_id}", f"staff:{meeting.staff_id}")
    mail.suppress(db, why=MOVED_ON, now=now, keys=[_key(meeting, name, who) for name in names for who in readers])


def _key(meeting: Meeting, name: str, who: str) -> str:
    return f"meeting:{meeting.id}:{meeting.sequence}:{name}:{who}"


def _letter(
    meeting: Meeting,
    person: _Addressee,
    kind: Kind,
    name: str,
    more: dict[str, Any],
    *,
    due_at: datetime | None = None,
) -> Letter:
    return Letter(
        key=_key(meeting, name, person.key),
        kind=kind,
        to_email=person.email,
        language=person.language,
        # What it says is kept: shown again later, it must say what it said, even if the meeting has moved since.
        context={
            "meeting_id": meeting.id,
            "sequence": meeting.sequence,
            "title": person.title,
            "starts_at": meeting.starts_at,
            "ends_at": meeting.ends_at,
            "changed_at": meeting.changed_at,
            "with_name": person.with_name,
            **more,
        },
        due_at=due_at,
        account_id=meeting.account_id,
        journey_id=meeting.journey_id,
        contact_id=person.contact_id,
        staff_id=person.staff_id,
    )


# Composing, when the letter leaves


def _compose_standing(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """An invitation or a reminder. Errors: Withheld once the meeting was moved or cancelled, or what it says is not true any more."""
    line, told = _told(db, row)
    if row.sent_at is None:
        _judge(line, row, told, house.clock.now())
    made: dict[str, Any] = {"place": where(line, row.language), "path": _path(house, line, row)}
    if row.kind is Kind.MEETING_INVITATION:
        made["calendar"] = _calendar(house, line, row, Method.REQUEST)
    return made


def _judge(line: MeetingLine, row: LetterRow, told: dict[str, Any], now: datetime) -> None:
    if line.state is not MeetingState.PLANNED or line.sequence != told["sequence"]:
        raise Withheld(MOVED_ON)
    if row.kind is Kind.MEETING_REMINDER:
        zone = line.contact_zone if row.contact_id is not None else line.staff_zone
        if not is_reminder_true(line.starts_at, Lead(told["lead"]), zone, now):
            raise Withheld(N_("It was too late to remind them when this could go out."))


def _compose_cancelled(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    line, _ = _told(db, row)
    return {"path": _path(house, line, row), "calendar": _calendar(house, line, row, Method.CANCEL)}


def _told(db: Session, row: LetterRow) -> tuple[MeetingLine, dict[str, Any]]:
    told = mail.revived(row.context)
    line = queries.meeting(db, told["meeting_id"])
    if line is None:
        raise Withheld(N_("The meeting is no longer on file."))
    return line, told


def _path(house: House, line: MeetingLine, row: LetterRow) -> str:
    return f"/staff/meetings/{line.id}" if row.staff_id is not None else sealed_path(house, line.id, line.nonce)


def _calendar(house: House, line: MeetingLine, row: LetterRow, method: Method) -> Calendar:
    """The calendar part as of this letter: a later change comes with a letter of its own."""
    told = mail.revived(row.context)
    is_staff = row.staff_id is not None
    reader = Reader(row.language, line.staff_zone if is_staff else line.contact_zone, is_staff)
    then = line._replace(
        sequence=told["sequence"],
        starts_at=told["starts_at"],
        ends_at=told["ends_at"],
        changed_at=told["changed_at"],
        cancelled_at=(line.cancelled_at or told["changed_at"]) if method is Method.CANCEL else None,
    )
    return Calendar(method.value, invitation(event(then, reader, house), method).decode())


def _compose_missed(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """Other times, as they are when it leaves. Errors: Withheld where it isn't so any more, or they have met by now."""
    line, _ = _told(db, row)
    made: dict[str, Any] = {
        "path": f"{sealed_path(house, line.id, line.nonce)}/again",
        "slots": [],
        "purpose": line.purpose,
    }
    if row.sent_at is not None:
        return made
    now = house.clock.now()
    if line.state is not MeetingState.MISSED:
        raise Withheld(N_("The meeting did take place."))
    if queries.planned_again(db, line, now=now) is not None:
        raise Withheld(N_("They have another meeting by now."))
    offered = queries.slots(db, line.staff_id, line.kind, now=now, zone=line.contact_zone, holidays=house.holidays)
    made["slots"] = [slot.starts_at for slot in next_few(offered, line.contact_zone, most=OFFERED)]
    return made


COMPOSERS: dict[Kind, mail.Composer] = {
    Kind.MEETING_INVITATION: _compose_standing,
    Kind.MEETING_REMINDER: _compose_standing,
    Kind.MEETING_CANCELLED: _compose_cancelled,
    Kind.MEETING_MISSED: _compose_missed,
}

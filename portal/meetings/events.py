"""A stored meeting as one reader's calendar shows it: whose names, whose language, whose wall clock."""

from email.utils import parseaddr
from typing import NamedTuple

from portal import words
from portal.errors import N_
from portal.house import House
from portal.meetings.calendars import Attendee, CalendarMeeting, Organizer, PartStat
from portal.meetings.queries import MeetingLine
from portal.meetings.rules import MeetingState, Way


class Reader(NamedTuple):
    """Who looks at it."""

    locale: str
    zone: str
    is_staff: bool


_WHERE = {
    Way.VIDEO: N_("By video. You’ll get the link before we meet."),
    Way.PHONE: N_("By phone: %(place)s"),
    Way.WHATSAPP: N_("On WhatsApp: %(place)s"),
    Way.IN_PERSON: N_("In person"),
}


def where(line: MeetingLine, locale: str) -> str:
    """Where it takes place, in words; a plain link for a video call whose link is known."""
    if line.way in (Way.VIDEO, Way.IN_PERSON) and line.place:
        return line.place
    return words.translate(locale, _WHERE[line.way], place=line.place)


def event(line: MeetingLine, reader: Reader, house: House) -> CalendarMeeting:
    """The meeting for one reader. Its address is where they sign in: calendars are shared, so no link in it opens anything."""
    title = words.translate(reader.locale, line.staff_title if reader.is_staff else line.title)
    other = f"{line.contact_name}, {line.account_name}" if reader.is_staff else line.staff_name
    booked_by_staff = line.booked_by.startswith("staff:")
    attendees = [Attendee(name=line.staff_name, email=line.staff_email, partstat=PartStat.ACCEPTED)]
    if line.contact_email:
        asked = PartStat.NEEDS_ACTION if booked_by_staff else PartStat.ACCEPTED
        attendees.append(Attendee(name=line.contact_name, email=line.contact_email, partstat=asked))
    return CalendarMeeting(
        uid=line.uid,
        sequence=line.sequence,
        changed_at=line.changed_at,
        starts_at=line.starts_at,
        ends_at=line.ends_at,
        zone_name=reader.zone,
        summary=f"{title}: {other}",
        description=line.agenda,
        location=where(line, reader.locale),
        url=house.url(f"/staff/meetings/{line.id}" if reader.is_staff else f"/check-ins/{line.id}"),
        categories=(house.settings.vendor_name,),
        organizer=Organizer(
            name=line.staff_name, email=line.staff_email, sent_by=parseaddr(house.settings.mail_from)[1]
        ),
        attendees=tuple(attendees),
        is_cancelled=line.state is MeetingState.CANCELLED,
    )

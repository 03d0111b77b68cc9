"""What of somebody's meetings can be found by searching; read through the person who asks, each time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select

from portal.accounts.models import Staff
from portal.meetings.models import Meeting
from portal.meetings.queries import SEEN_BY
from portal.meetings.rules import WORDS, MeetingKind
from portal.search.own import OwnLine, line, newest
from portal.search.rules import Document, Kind
from portal.words import day_hour_in, short_day, translate

CHECK_INS = "/check-ins"

# What people call a meeting, in both languages.
NAMES = "meeting check-in call appointment reuniao conversa encontro chamada agenda"
PART = "meeting"


def own_lines() -> Sequence[Select[Any]]:
    """The last sixty meetings that `contact_id` of `account_id` sees."""
    meetings = (
        line(
            PART,
            id=Meeting.id,
            key=Meeting.kind,
            title=Staff.name,
            more=Meeting.agenda,
            also=Meeting.place,
            at=Meeting.starts_at,
        )
        .join(Staff, Staff.id == Meeting.staff_id)
        .where(SEEN_BY)
    )
    return (newest(meetings, Meeting.starts_at.desc(), Meeting.id.desc(), most=60),)


def own_meetings(lines: Sequence[OwnLine], *, locale: str, zone: str, now: datetime) -> Iterator[Document]:
    """Those of the lines that are meetings, in the reader's language and time zone: the next first, then the latest."""
    theirs = sorted(((each.at, each) for each in lines if each.part == PART and each.at is not None), key=_by_moment)
    ahead = [each for each in theirs if each[0] > now]
    behind = [each for each in theirs if each[0] <= now]
    for at, each in [*ahead, *reversed(behind)]:
        when = day_hour_in(at, zone, locale)
        whole_day = short_day(at.date(), locale)
        said = " · ".join(part for part in (when, each.title, each.more, each.also) if part)
        title = translate(locale, WORDS[MeetingKind(each.key)].customer)
        yield Document(Kind.MEETING, str(each.id), locale, title, CHECK_INS, said, names=f"{NAMES} {whole_day}")


def _by_moment(pair: tuple[datetime, OwnLine]) -> tuple[datetime, int]:
    at, each = pair
    return at, each.id

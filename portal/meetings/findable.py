"""What of somebody's meetings can be found by searching; read through the person who asks, each time."""

from collections.abc import Iterable, Iterator

from portal.meetings.queries import MeetingLine
from portal.search.rules import Document, Kind
from portal.words import day_hour_in, short_day, translate

CHECK_INS = "/check-ins"

# What people call a meeting, in both languages.
NAMES = "meeting check-in call appointment reuniao conversa encontro chamada agenda"


def own_meetings(lines: Iterable[MeetingLine], *, locale: str, zone: str) -> Iterator[Document]:
    """The meetings of one reader, in their language and time zone."""
    for line in lines:
        when = day_hour_in(line.starts_at, zone, locale)
        whole_day = short_day(line.starts_at.date(), locale)
        said = " · ".join(part for part in (when, line.staff_name, line.agenda, line.place) if part)
        title = translate(locale, line.title)
        yield Document(Kind.MEETING, str(line.id), locale, title, CHECK_INS, said, names=f"{NAMES} {whole_day}")

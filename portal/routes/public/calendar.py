"""Private calendar feeds: read by calendars, which can't sign in. The address is all the proof there is, and it can be ended."""

from starlette.responses import Response

from portal.deps import PublicAsk, Token, public_pages
from portal.errors import NotFound
from portal.meetings import queries
from portal.meetings.calendars import feed
from portal.meetings.events import Reader, event

pages = public_pages()


@pages.get("/calendar/{token}.ics")
def calendar(ask: PublicAsk, token: Token) -> Response:
    """The owner's meetings, from ninety days back; nothing at all once the address was changed or ended."""
    owner = queries.feed_owner(ask.db, ask.house, token)
    if owner is None:
        raise NotFound
    reader = Reader(owner.language, owner.zone, owner.staff_id is not None)
    meetings = queries.feed_meetings(ask.db, owner, now=ask.now)
    content = feed([event(line, reader, ask.house) for line in meetings], ask.settings.vendor_name)
    return ask.file(content, name="meetings.ics", media_type="text/calendar; charset=utf-8", inline=True)

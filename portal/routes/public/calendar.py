"""Private calendar feeds: read by calendars, which can't sign in. The address is all the proof there is, and it can be ended."""

from starlette.responses import Response

from portal.deps import PublicAsk, Token, public_pages
from portal.errors import NotFound
from portal.meetings import queries
from portal.meetings.calendars import PlanDay, feed
from portal.meetings.events import Reader, event
from portal.meetings.plan_days import plan_days
from portal.meetings.rules import MeetingState

pages = public_pages()


@pages.get("/calendar/{token}.ics")
def calendar(ask: PublicAsk, token: Token) -> Response:
    """The owner's meetings, from ninety days back, and for a customer what lies ahead on their plan; nothing at all once
    the address was changed or ended."""
    owner = queries.feed_owner(ask.db, ask.house, token)
    if owner is None:
        raise NotFound
    reader = Reader(owner.language, owner.zone, owner.staff_id is not None)
    meetings = queries.feed_meetings(ask.db, owner, now=ask.now)
    days: list[PlanDay] = []
    if owner.account_id is not None:
        booked = {line.kind.value for line in meetings if line.state is MeetingState.PLANNED}
        days = plan_days(
            ask.db,
            ask.house,
            owner.account_id,
            locale=owner.language,
            zone=owner.zone,
            now=ask.now,
            without=booked,
        )
    content = feed([event(line, reader, ask.house) for line in meetings], ask.settings.vendor_name, days)
    return ask.file(content, name="meetings.ics", media_type="text/calendar; charset=utf-8", inline=True)

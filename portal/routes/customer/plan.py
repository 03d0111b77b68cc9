"""The written plan: touchpoints, milestones, goals, pending issues, and what became of what the customer told us."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from portal.deps import CustomerAsk, customer_pages
from portal.journeys import queries
from portal.journeys.plans import MilestoneLine, StageWords
from portal.journeys.rules import Status
from portal.meetings.calendars import feed
from portal.meetings.plan_days import plan_days
from portal.meetings.queries import Offer, offers_of_plan
from portal.meetings.rules import MeetingKind

pages = customer_pages()


@pages.get("/plan")
def plan(ask: CustomerAsk) -> Response:
    """The plan from the first hello to the last check-in."""
    journey = queries.customer_journey(ask.db, ask.me.account_id, locale=ask.locale, now=ask.now)
    written = None
    groups: list[tuple[str, list[MilestoneLine]]] = []
    if journey is not None:
        written = queries.plan_of(
            ask.db,
            journey.id,
            locale=ask.locale,
            zone=ask.zone,
            now=ask.now,
            use_started_on=journey.use_started_on,
        )
        groups = by_stage(written.milestones, queries.stage_words(ask.db, journey.pipeline_id, ask.locale))
    meetings: Mapping[MeetingKind, Offer] = {}
    if journey is not None and journey.status is Status.OPEN:
        meetings = offers_of_plan(ask.db, journey.id, day_of_use=journey.day_of_use, now=ask.now)
    return ask.page(
        "customer/plan.html",
        journey=journey,
        plan=written,
        meetings=meetings,
        groups=groups,
        told_us=queries.told_us(ask.db, ask.me.contact_id),
    )


def by_stage(
    milestones: Sequence[MilestoneLine], stages: Sequence[StageWords]
) -> list[tuple[str, list[MilestoneLine]]]:
    """The milestones under the stages they belong to, in the order of the road; what belongs to none comes last, nameless."""
    under: dict[str, list[MilestoneLine]] = {}
    for line in milestones:
        under.setdefault(line.stage_key, []).append(line)
    named = [(stage.customer_name, under.pop(stage.key)) for stage in stages if stage.key in under]
    rest = [line for lines in under.values() for line in lines]
    return [*named, ("", rest)] if rest else named


@pages.get("/plan.ics")
def download(ask: CustomerAsk) -> Response:
    """What lies ahead on the plan, for a calendar that takes files."""
    days = plan_days(ask.db, ask.house, ask.me.account_id, locale=ask.locale, zone=ask.zone, now=ask.now)
    return ask.file(
        feed([], ask.settings.vendor_name, days), name="plan.ics", media_type="text/calendar; charset=utf-8"
    )

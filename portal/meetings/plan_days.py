"""The dated steps of a customer's plan as whole days in their calendar: what lies ahead, beside the meetings."""

from collections.abc import Container
from datetime import date, datetime
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy.orm import Session

from portal import words
from portal.errors import N_
from portal.house import House
from portal.journeys import queries
from portal.journeys.queries import CustomerJourney
from portal.journeys.rules import Status, Whose
from portal.meetings.calendars import PlanDay

WHOSE: dict[Whose, str] = {
    Whose.YOU: N_("Yours to do"),
    Whose.US: N_("Ours to do"),
    Whose.TOGETHER: N_("Together"),
}


def plan_days(
    db: Session,
    house: House,
    account_id: int,
    *,
    locale: str,
    zone: str,
    now: datetime,
    without: Container[str] = (),
) -> list[PlanDay]:
    """Open touchpoints, milestones and goals with a date, in order; none where nothing is under way. Three statements.

    `without`: keys of touchpoints that a booked meeting stands for already.
    """
    journey = queries.customer_journey(db, account_id, locale=locale, now=now)
    if journey is None or journey.status is not Status.OPEN:
        return []
    plan = queries.plan_of(db, journey.id, locale=locale, zone=zone, now=now, use_started_on=journey.use_started_on)
    days = [
        _day(house, journey, f"touchpoint:{t.id}", t.due_on, t.title, t.objective)
        for t in plan.touchpoints
        if t.due_on is not None and t.done_on is None and t.key not in without
    ]
    days += [
        _day(house, journey, f"milestone:{m.id}", m.due_on, m.title, _help(m.whose, m.help, locale))
        for m in plan.milestones
        if m.due_on is not None and not m.is_done
    ]
    days += [
        _day(
            house,
            journey,
            f"goal:{g.id}",
            g.due_on,
            words.translate(locale, N_("Goal: %(goal)s"), goal=g.title),
            g.measure,
        )
        for g in plan.goals
        if g.due_on is not None and g.met_on is None
    ]
    return sorted(days, key=lambda day: (day.on, day.uid))


def _help(whose: Whose, text: str, locale: str) -> str:
    return "\n".join(filter(None, (words.translate(locale, WHOSE[whose]), text)))


def _day(house: House, journey: CustomerJourney, what: str, on: date, title: str, text: str) -> PlanDay:
    # The same for the whole life of a step, whatever address the portal has; the moment keeps two vendors' plans apart.
    uid = str(uuid5(NAMESPACE_OID, f"{journey.opened_at.isoformat()} {what}"))
    return PlanDay(
        uid=uid,
        sequence=journey.version,
        changed_at=journey.opened_at,
        on=on,
        summary=title,
        description=text,
        url=house.url("/plan"),
        categories=(house.settings.vendor_name,),
    )

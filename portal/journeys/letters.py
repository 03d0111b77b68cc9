"""What the conductor's letters say of the plan, read when they leave rather than when they were queued."""

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import auth, mail
from portal.errors import N_
from portal.house import House
from portal.journeys.models import JourneyRow, Resolution
from portal.journeys.queries import plan_of, stage_words
from portal.mail import Kind, LetterRow, Withheld

RESOLUTION = "resolution"
"""The purpose of the link by which a customer says whether a flag is really solved: `/resolutions/<token>`."""
MOST_STEPS = 5
WELCOME_IS_LATE = timedelta(days=14)


def welcome(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The next touchpoints of the plan, where the customer stands, and a link that signs in."""
    now = row.sent_at or house.clock.now()
    if now - row.due_at > WELCOME_IS_LATE:
        raise Withheld(N_("Too late for a welcome: the mail had waited for two weeks."))
    journey = db.get(JourneyRow, row.journey_id) if row.journey_id is not None else None
    if journey is None:
        return auth.welcome_words(db, house, row)
    stages = stage_words(db, journey.pipeline_id, row.language)
    plan = plan_of(db, journey.id, locale=row.language, zone=journey.zone, now=now)
    steps = [{"title": t.title, "due_on": t.due_on} for t in plan.ahead[:MOST_STEPS]]
    stage = {"number": journey.position + 1, "of": len(stages), "name": stages[journey.position].customer_name}
    return {"steps": steps, "stage": stage, **auth.welcome_words(db, house, row)}


def congratulations(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The goals that were met on the way."""
    if row.journey_id is None:
        return {}
    zone = db.get_one(JourneyRow, row.journey_id).zone
    plan = plan_of(db, row.journey_id, locale=row.language, zone=zone, now=house.clock.now())
    return {"goals": [goal.title for goal in plan.goals if goal.met_on is not None]}


def flag_resolved(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The page on which the customer says whether it is true. Errors: Withheld where the flag is open again."""
    resolution = db.get(Resolution, row.context["resolution_id"])
    if resolution is None or resolution.undone_at is not None:
        raise Withheld(N_("The case was opened again before the mail went out."))
    return {"confirm_url": house.url(f"/resolutions/{mail.token(house, row, RESOLUTION)}")}


COMPOSERS = {
    Kind.WELCOME: welcome,
    Kind.WELCOME_LINK: auth.welcome_words,
    Kind.CONGRATULATIONS: congratulations,
    Kind.FLAG_RESOLVED: flag_resolved,
}

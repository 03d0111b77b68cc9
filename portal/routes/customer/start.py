"""The short start of a colleague: each step is a button that notes it and leads there."""

from enum import StrEnum
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from portal.accounts import people
from portal.accounts.rules import StartStep
from portal.deps import CustomerAsk, customer_pages
from portal.errors import N_, NotFound
from portal.learning.queries import road, shelved
from portal.learning.rules import WHEREVER
from portal.routes.customer.learn import reader_of

pages = customer_pages()

Step = Annotated[str, Path(pattern=r"^[a-z]{1,20}$")]


class _Leads(StrEnum):
    """Where a step leads, where that is always the same place."""

    PLAN = "/plan"
    PREFERENCES = "/preferences"
    CALL = "/check-ins/new"


@pages.post("/start/{step}")
def take_step(ask: CustomerAsk, step: Step) -> Response:
    """Seeing the plan is done by going there; the others are noted when they are really done."""
    if step not in set(StartStep):
        raise NotFound
    match StartStep(step):
        case StartStep.PLAN:
            people.take_step(ask.db, ask.me.contact_id, StartStep.PLAN, now=ask.now)
            return ask.see_other(_Leads.PLAN)
        case StartStep.LESSON:
            return ask.see_other(_first_lesson(ask))
        case StartStep.PREFERENCES:
            return ask.see_other(_Leads.PREFERENCES)
        case StartStep.CALL:
            return ask.see_other(_Leads.CALL)


def _first_lesson(ask: CustomerAsk) -> str:
    """The first lesson of their stage that they haven't finished, else of all."""
    way = road(ask.db, ask.me.account_id, ask.locale)
    lessons = shelved(ask.db, reader_of(ask), [*(key for key, _ in way.stages), WHEREVER], here=way.here).in_hand
    lessons.sort(key=lambda lesson: (lesson.stage_key != way.here, lesson.position, lesson.slug))
    return lessons[0].path if lessons else "/learn"


@pages.post("/start-away")
def put_away(ask: CustomerAsk) -> Response:
    """Home no longer shows it."""
    people.put_start_away(ask.db, ask.me.contact_id, now=ask.now)
    return ask.see_other("/", said=N_("Put away. Everything is still in the menu."))

"""Lessons: those for where the customer is first, one lesson to read, and what they say of it."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel
from starlette.responses import Response

from portal.accounts import people
from portal.accounts.rules import StartStep
from portal.deps import CustomerAsk, customer_pages
from portal.errors import N_, NotFound
from portal.forms import read_form
from portal.learning import actions, queries, rules
from portal.learning.markdown import as_html

pages = customer_pages()

Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,80}$")]


class Verdict(BaseModel):
    helped: bool


@pages.get("/learn")
def learn(ask: CustomerAsk) -> Response:
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    lessons = queries.all_lessons(ask.db, ask.me.contact_id, ask.locale)
    return ask.page("customer/learn.html", shelves=rules.shelves(road.stages, lessons, here=road.here))


@pages.get("/learn/{slug}")
def lesson(ask: CustomerAsk, slug: Slug) -> Response:
    return ask.page("customer/lesson.html", **_shown(ask, slug))


@pages.post("/learn/{slug}/start")
def start(ask: CustomerAsk, slug: Slug) -> Response:
    """The page's own word that somebody has it open; without JavaScript a lesson goes from new to finished."""
    actions.begin(ask.db, ask.me.contact_id, slug=slug, now=ask.now)
    return Response(status_code=204)


@pages.post("/learn/{slug}/finish")
def finish(ask: CustomerAsk, slug: Slug) -> Response:
    actions.finish(ask.db, ask.me.contact_id, slug=slug, account_id=ask.me.account_id, now=ask.now)
    people.take_step(ask.db, ask.me.contact_id, StartStep.LESSON, now=ask.now)
    return ask.see_other(f"/learn/{slug}#done", said=N_("Finished. Well done."), undo=f"/learn/{slug}/reopen")


@pages.post("/learn/{slug}/reopen")
def reopen(ask: CustomerAsk, slug: Slug) -> Response:
    actions.reopen(ask.db, ask.me.contact_id, slug=slug)
    return ask.see_other(f"/learn/{slug}")


@pages.post("/learn/{slug}/helped")
def helped(ask: CustomerAsk, slug: Slug) -> Response:
    said = read_form(Verdict, ask.form).value
    if said is None:
        raise NotFound
    actions.say_whether_it_helped(ask.db, ask.me.contact_id, slug=slug, helped=said.helped, now=ask.now)
    if ask.htmx:
        return ask.block("customer/lesson.html", "verdict", **_shown(ask, slug))
    return ask.see_other(f"/learn/{slug}#done", said=N_("Thank you. That helps us write better ones."))


def _shown(ask: CustomerAsk, slug: Slug) -> dict[str, Any]:
    reading = queries.reading(ask.db, ask.me.contact_id, slug, ask.locale)
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    shelves = rules.shelves(road.stages, queries.all_lessons(ask.db, ask.me.contact_id, ask.locale), here=road.here)
    along = [each for shelf in shelves for each in shelf.lessons]
    return {
        "reading": reading,
        "lesson": reading.lesson,
        "body": as_html(reading.body),
        "shelf": next((shelf for shelf in shelves if shelf.key == reading.lesson.stage_key), None),
        "following": rules.next_lesson(along, slug),
    }

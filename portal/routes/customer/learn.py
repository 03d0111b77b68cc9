"""Lessons, examples and news: what is recommended for where the customer stands, one of them to read, and what they say
of it."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from portal.accounts import people
from portal.accounts.rules import StartStep
from portal.deps import AskOfCustomer, CustomerAsk, customer_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.learning import actions, queries, rules
from portal.learning.markdown import parts
from portal.learning.rules import Kind, Lesson, Reader
from portal.text import Paragraphs

pages = customer_pages()

Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,80}$")]


class Verdict(BaseModel):
    helped: bool


class MissingForm(BaseModel):
    words: Annotated[Paragraphs, Field(min_length=1, max_length=2000)]


class PartForm(BaseModel):
    part: int = Field(ge=1, le=1000)


def reader_of(ask: AskOfCustomer) -> Reader:
    return Reader(ask.me.contact_id, ask.me.account_id, ask.locale, ask.me.is_primary)


def _kinds(lessons: list[Lesson]) -> dict[str, Any]:
    """What the tabs of every list say."""
    return {
        "examples": [each for each in lessons if each.kind is Kind.EXAMPLE],
        "news": sorted((each for each in lessons if each.kind is Kind.NEWS), key=_newest_first),
        "unread_news": sum(each.is_unread for each in lessons),
    }


def _newest_first(news: Lesson) -> tuple[int, str]:
    return (-(news.happened_on.toordinal() if news.happened_on else 0), news.slug)


@pages.get("/learn")
def learn(ask: CustomerAsk) -> Response:
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    lessons = queries.all_lessons(ask.db, reader_of(ask))
    return ask.page(
        "customer/learn.html",
        tab=Kind.TUTORIAL,
        shelves=rules.shelves([*road.stages, (rules.WHEREVER, "")], lessons, here=road.here),
        recommended=rules.recommended(road.stages, lessons, here=road.here),
        **_kinds(lessons),
    )


@pages.get("/learn/examples")
def examples(ask: CustomerAsk) -> Response:
    """Who uses it how, and what they achieved."""
    lessons = queries.all_lessons(ask.db, reader_of(ask))
    return ask.page("customer/learn.html", tab=Kind.EXAMPLE, shelves=[], recommended=[], **_kinds(lessons))


@pages.get("/learn/news")
def news(ask: CustomerAsk) -> Response:
    """What's new, the newest first."""
    lessons = queries.all_lessons(ask.db, reader_of(ask))
    return ask.page("customer/learn.html", tab=Kind.NEWS, shelves=[], recommended=[], **_kinds(lessons))


@pages.post("/learn/news/seen")
def see_news(ask: CustomerAsk) -> Response:
    """They have looked at the news: said by the page itself, or by its button where there is no script."""
    actions.see_news(ask.db, ask.me.contact_id, now=ask.now)
    if ask.htmx:
        return Response(status_code=204)
    return ask.see_other("/learn/news")


@pages.get("/learn/{slug}")
def lesson(ask: CustomerAsk, slug: Slug) -> Response:
    return ask.page("customer/lesson.html", **_shown(ask, slug))


@pages.post("/learn/{slug}/start")
def start(ask: CustomerAsk, slug: Slug) -> Response:
    """The page's own word that somebody has it open; without JavaScript a lesson goes from new to finished."""
    actions.begin(ask.db, reader_of(ask), slug=slug, now=ask.now)
    return Response(status_code=204)


@pages.post("/learn/{slug}/part")
def reach_part(ask: CustomerAsk, slug: Slug) -> Response:
    """How far they have read: said by the page as they scroll, or by its form where there is no script."""
    said = read_form(PartForm, ask.form).value
    if said is None:
        raise NotFound
    actions.reach_part(ask.db, reader_of(ask), slug=slug, part=said.part, now=ask.now)
    if ask.htmx:
        return Response(status_code=204)
    return ask.see_other(f"/learn/{slug}#part-{said.part}", said=N_("Your place is kept."))


@pages.post("/learn/{slug}/finish")
def finish(ask: CustomerAsk, slug: Slug) -> Response:
    actions.finish(ask.db, reader_of(ask), slug=slug, now=ask.now)
    people.take_step(ask.db, ask.me.contact_id, StartStep.LESSON, now=ask.now)
    return ask.see_other(f"/learn/{slug}#done", said=N_("Finished. Well done."), undo=f"/learn/{slug}/reopen")


@pages.post("/learn/{slug}/reopen")
def reopen(ask: CustomerAsk, slug: Slug) -> Response:
    actions.reopen(ask.db, reader_of(ask), slug=slug)
    return ask.see_other(f"/learn/{slug}")


@pages.post("/learn/{slug}/helped")
def helped(ask: CustomerAsk, slug: Slug) -> Response:
    said = read_form(Verdict, ask.form).value
    if said is None:
        raise NotFound
    actions.say_whether_it_helped(ask.db, reader_of(ask), slug=slug, helped=said.helped, now=ask.now)
    if ask.htmx:
        return ask.block("customer/lesson.html", "verdict", **_shown(ask, slug))
    return ask.see_other(f"/learn/{slug}#done", said=N_("Thank you. That helps us write better ones."))


@pages.post("/learn/{slug}/missing")
def say_what_was_missing(ask: CustomerAsk, slug: Slug) -> Response:
    """What was missing, in their own words."""
    filled = read_form(MissingForm, ask.form)
    if filled.value is None:
        return ask.invalid("customer/lesson.html", "verdict", **_shown(ask, slug, filled))
    actions.say_what_was_missing(ask.db, reader_of(ask), slug=slug, words=filled.value.words, now=ask.now)
    if ask.htmx:
        return ask.block("customer/lesson.html", "verdict", **_shown(ask, slug))
    return ask.see_other(f"/learn/{slug}#done", said=N_("Thank you. A person reads this, and mends it."))


def _shown(ask: AskOfCustomer, slug: str, form: Filled[MissingForm] | None = None) -> dict[str, Any]:
    reader = reader_of(ask)
    reading = queries.reading(ask.db, reader, slug)
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    lessons = queries.all_lessons(ask.db, reader)
    shelves = rules.shelves([*road.stages, (rules.WHEREVER, "")], lessons, here=road.here)
    along = [each for shelf in shelves for each in shelf.lessons]
    is_tutorial = reading.lesson.kind is Kind.TUTORIAL
    others = [each for each in lessons if each.kind is reading.lesson.kind and each.slug != slug]
    return {
        "reading": reading,
        "lesson": reading.lesson,
        "parts": parts(reading.body, ask.locale),
        "shelf": next((s for s in shelves if s.key == reading.lesson.stage_key), None) if is_tutorial else None,
        "following": rules.next_lesson(along, slug) if is_tutorial else None,
        "others": [] if is_tutorial else sorted(others, key=_newest_first)[:4],
        "form": form or empty_form({"words": reading.words}),
    }

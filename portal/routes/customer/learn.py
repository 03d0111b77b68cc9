"""Lessons, examples and news: what is recommended for where the customer stands, one of them to read, and what they say
of it."""

from typing import Annotated, Any

from fastapi import Path, Query
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
StageKey = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,80}$")]


class Verdict(BaseModel):
    helped: bool


class MissingForm(BaseModel):
    words: Annotated[Paragraphs, Field(min_length=1, max_length=2000)]


class PartForm(BaseModel):
    part: int = Field(ge=1, le=1000)


A_PAGE = 20
"""How many examples or news a page shows."""
A_PAGE_OF_STAGE = 30

Page = Annotated[int, Query(ge=1, le=100_000)]


def reader_of(ask: AskOfCustomer) -> Reader:
    return Reader(ask.me.contact_id, ask.me.account_id, ask.locale, ask.me.is_primary, ask.me.plan)


def _turning(path: str, page: int, a_page: int, count: int) -> dict[str, Any]:
    """The links to the pages around one, and which of how many it shows. Errors: NotFound, behind the last one."""
    if page > 1 and (page - 1) * a_page >= count:
        raise NotFound
    return {
        "newer": f"{path}?page={page - 1}" if page > 2 else path if page == 2 else "",
        "older": f"{path}?page={page + 1}" if page * a_page < count else "",
        "from_": (page - 1) * a_page + 1,
        "count": count,
    }


@pages.get("/learn")
def learn(ask: CustomerAsk) -> Response:
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    counts = queries.counts(ask.db, reader_of(ask), Kind.TUTORIAL)
    stages = [*road.stages, (rules.WHEREVER, "")]
    found = queries.shelved(ask.db, reader_of(ask), [key for key, _ in stages], here=road.here)
    return ask.page(
        "customer/learn.html",
        tab=Kind.TUTORIAL,
        shelves=rules.shelves(stages, found.first, here=road.here, counts=counts.by_stage),
        recommended=rules.recommended(road.stages, found.in_hand, here=road.here),
        unread_news=counts.unread_news,
    )


@pages.get("/learn/stages/{key}")
def stage(ask: CustomerAsk, key: StageKey, page: Page = 1) -> Response:
    """All lessons of one stage, a page at a time."""
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    stage_key = rules.WHEREVER if key == rules.ANY_STAGE else key
    counts = queries.counts(ask.db, reader_of(ask), Kind.TUTORIAL, stage_key)
    count = counts.by_stage.get(stage_key)
    name = dict([*road.stages, (rules.WHEREVER, "")]).get(stage_key)
    if count is None or name is None:
        raise NotFound
    lessons = queries.of_stage(ask.db, reader_of(ask), stage_key, page=page, a_page=A_PAGE_OF_STAGE)
    return ask.page(
        "customer/learn_stage.html",
        shelf=rules.Shelf(stage_key, name, stage_key == road.here != rules.WHEREVER, lessons, count),
        unread_news=counts.unread_news,
        **_turning(f"/learn/stages/{key}", page, A_PAGE_OF_STAGE, count.all),
    )


@pages.get("/learn/examples")
def examples(ask: CustomerAsk, page: Page = 1) -> Response:
    """Who uses it how, and what they achieved."""
    counts = queries.counts(ask.db, reader_of(ask), Kind.EXAMPLE)
    return ask.page(
        "customer/learn.html",
        tab=Kind.EXAMPLE,
        examples=queries.examples(ask.db, reader_of(ask), page=page, a_page=A_PAGE),
        unread_news=counts.unread_news,
        **_turning("/learn/examples", page, A_PAGE, counts.all),
    )


@pages.get("/learn/news")
def news(ask: CustomerAsk, page: Page = 1) -> Response:
    """What's new, the newest first."""
    counts = queries.counts(ask.db, reader_of(ask), Kind.NEWS)
    return ask.page(
        "customer/learn.html",
        tab=Kind.NEWS,
        news=queries.newest(ask.db, reader_of(ask), Kind.NEWS, page=page, a_page=A_PAGE),
        unread_news=counts.unread_news,
        **_turning("/learn/news", page, A_PAGE, counts.all),
    )


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
    is_tutorial = reading.lesson.kind is Kind.TUTORIAL
    return {
        "reading": reading,
        "lesson": reading.lesson,
        "parts": parts(reading.body, ask.locale),
        "form": form or empty_form({"words": reading.words}),
        "others": [] if is_tutorial else _others(ask, reader, reading.lesson),
        **(_along(ask, reader, reading.lesson) if is_tutorial else {"shelf": None, "following": None}),
    }


def _along(ask: AskOfCustomer, reader: Reader, lesson: Lesson) -> dict[str, Any]:
    """The stage of a lesson with those around it, and what comes next on the road."""
    road = queries.road(ask.db, ask.me.account_id, ask.locale)
    stages = [*road.stages, (rules.WHEREVER, "")]
    counts = queries.counts(ask.db, reader, Kind.TUTORIAL, lesson.stage_key)
    found = queries.from_here(ask.db, reader, [key for key, _ in stages], lesson)
    around = rules.around(found.around, lesson.slug)
    shelves = rules.shelves(stages, around, here=road.here, counts=counts.by_stage)
    on_the_way = [each for one in rules.shelves(stages, found.to_read, here=road.here) for each in one.lessons]
    return {
        "shelf": next(iter(shelves), None),
        "following": rules.next_lesson(on_the_way, lesson.slug),
    }


MORE_OF_THESE = 4


def _others(ask: AskOfCustomer, reader: Reader, lesson: Lesson) -> list[Lesson]:
    """The newest of its kind beside it."""
    found = queries.newest(ask.db, reader, lesson.kind, page=1, a_page=MORE_OF_THESE + 1)
    return [each for each in found if each.slug != lesson.slug][:MORE_OF_THESE]

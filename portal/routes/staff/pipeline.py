"""The pipeline: seven columns, who is where and who is stuck; moving a customer by hand, always with a reason."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Query
from markupsafe import Markup
from starlette.responses import Response

from portal import words
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import actions, conduct, desk
from portal.journeys.desk import Show
from portal.journeys.queries import stage_words
from portal.journeys.rules import ACTIVITY_TITLES, ActivityKind, Do, Ending, LimitFrom, Stage, Step
from portal.journeys.shipped import AFTER_SALE
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.forms import MoveForm
from portal.routes.staff.whose import ALL, Whose, whose
from portal.templating import render

pages = staff_pages(Permission.SEE_CUSTOMERS)
moves = staff_pages(Permission.MOVE_JOURNEYS)

A_PAGE = 50


class Filter(NamedTuple):
    """What the board shows; every value is one of a known few."""

    pipeline: str
    show: Show
    whose: Whose

    def address(self, path: str = "/staff/pipeline", **other: object) -> str:
        """The address that shows just this, or this with something else."""
        chosen: dict[str, object] = {
            "pipeline": self.pipeline,
            "show": self.show.value,
            "owner": self.whose.value,
            **other,
        }
        usual = {"pipeline": AFTER_SALE, "show": Show.ALL.value, "owner": ALL}
        told = {name: value for name, value in chosen.items() if usual.get(name) != value}
        return f"{path}?{urlencode(told)}" if told else path


def _filter(ask: AskOfStaff, query: Mapping[str, str]) -> Filter:
    pipeline, show = query.get("pipeline", ""), query.get("show", "")
    return Filter(
        pipeline if pipeline in labels.PIPELINES else AFTER_SALE,
        Show(show) if show in set(Show) else Show.ALL,
        whose(ask, asked=query.get("owner", ""), usual=ALL),
    )


class Lane(NamedTuple):
    """A column with what its head says, and its cards as they are drawn."""

    column: desk.Column
    alert_days: int | None
    """Business days after which a card is behind; None: never."""
    cards: Sequence[Markup]


def _board(ask: AskOfStaff, chosen: Filter) -> dict[str, Any]:
    stages = conduct.pipeline(ask.db, conduct.current_pipeline_id(ask.db, chosen.pipeline)).stages
    columns = desk.board(
        ask.db,
        locale=ask.locale,
        now=ask.now,
        pipeline=chosen.pipeline,
        owner_id=chosen.whose.owner_id,
        show=chosen.show,
    )
    lanes = [
        Lane(column, stage.limit_days, [_drawn(card, stage, ask.locale) for card in column.cards])
        for column, stage in zip(columns, stages, strict=True)
    ]
    return {
        "labels": labels,
        "filter": chosen,
        "lanes": lanes,
        "count": sum(lane.column.journeys for lane in lanes),
        "flagged": sum(lane.column.flagged for lane in lanes),
        "moving": [
            (lane.column.stage, lane.column.journeys, _what_entering_does(stage, ask.locale))
            for lane, stage in zip(lanes, stages, strict=True)
        ],
    }


def _drawn(card: desk.Card, stage: Stage, locale: str) -> Markup:
    return _card_html(card, stage.key, stage.limit_days, stage.limit_from is LimitFrom.ENTERED, locale)


@lru_cache(maxsize=4096)
def _card_html(card: desk.Card, stage: str, alert_days: int | None, counts_from_entering: bool, locale: str) -> Markup:
    """A card as everybody sees it. Staff open the board all day while few cards change, and drawing them is most of its
    cost: each is drawn when something on it has changed. 4 096 take some 4 MB."""
    values = {
        "labels": labels,
        "card": card,
        "stage": stage,
        "alert_days": alert_days,
        "counts_from_entering": counts_from_entering,
    }
    return Markup(render("staff/_card.html", locale, values))  # noqa: S704 - what our own escaping template gave


@pages.get("/pipeline")
def board(ask: StaffAsk) -> Response:
    """The board; its own block where a filter changed."""
    return ask.page_or_block("staff/pipeline.html", "board", **_board(ask, _filter(ask, ask.query)))


@pages.get("/pipeline/{stage}")
def stage(ask: StaffAsk, stage: str, page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """All cards of one stage, a page at a time."""
    chosen = _filter(ask, ask.query)
    pipeline = conduct.pipeline(ask.db, conduct.current_pipeline_id(ask.db, chosen.pipeline))
    found = next((s for s in pipeline.stages if s.key == stage), None)
    if found is None:
        raise NotFound
    cards = desk.column_cards(
        ask.db,
        found.id,
        ends=found.ends is not None,
        owner_id=chosen.whose.owner_id,
        show=chosen.show,
        now=ask.now,
        most=A_PAGE + 1,
        skipped=(page - 1) * A_PAGE,
    )
    return ask.page(
        "staff/stage.html",
        labels=labels,
        filter=chosen,
        stage=stage_words(ask.db, pipeline.id, ask.locale)[found.position],
        cards=cards[:A_PAGE],
        first=(page - 1) * A_PAGE + 1,
        newer=chosen.address(f"/staff/pipeline/{stage}", page=page - 1) if page > 1 else "",
        older=chosen.address(f"/staff/pipeline/{stage}", page=page + 1) if len(cards) > A_PAGE else "",
    )


# Moving


class Choice(NamedTuple):
    """A stage to move to."""

    key: str
    name: str
    does: Sequence[str]
    """What moving there sends or creates, as sentences."""


def _what_entering_does(stage: Stage, locale: str) -> tuple[str, ...]:
    """What entering a stage sends or creates, read from its own steps."""
    told = [_told(step, locale) for step in stage.on_enter]
    if stage.ends is Ending.LOST:
        told.append(words.translate(locale, N_("ends the journey as lost")))
    return tuple(sentence for sentence in told if sentence)


def _told(step: Step, locale: str) -> str:
    def say(message: str, **values: object) -> str:
        return words.translate(locale, message, **values)

    match step.do:
        case Do.MAIL:
            letter = {"welcome": N_("sends the welcome e-mail"), "congratulations": N_("sends the congratulations")}
            return say(letter.get(step.what, N_("sends an e-mail")))
        case Do.SURVEY:
            return say(N_("plans the %(day)s-day survey, unless it was sent before"), day=step.day)
        case Do.ACTIVITY:
            return say(N_("adds the activity “%(title)s”"), title=_title(step, locale))
        case Do.ACTIVITY_UNLESS_CONTACT:
            return say(N_("later adds “%(title)s”, unless there was contact by then"), title=_title(step, locale))
        case Do.START_USE:
            return say(N_("starts the days of use, if they haven’t begun"))
        case Do.OPEN_NEXT:
            return say(N_("opens the journey “%(name)s”"), name=say(labels.PIPELINES.get(step.what, step.what)))
        case Do.PROMPT_REFERRAL:
            return say(N_("may ask you to seek a referral"))
        case Do.ASSIGN_CONSULTANT:
            return say(N_("gives them a consultant, if they have none"))


def _title(step: Step, locale: str) -> str:
    return words.translate(locale, ACTIVITY_TITLES[ActivityKind(step.what)])


def _journey(ask: AskOfStaff, journey_id: int) -> desk.JourneyDetail:
    found = desk.journey_detail(ask.db, journey_id, locale=ask.locale)
    if found is None:
        raise NotFound
    return found


def _move_page(ask: AskOfStaff, journey: desk.JourneyDetail) -> dict[str, Any]:
    card = desk.card_of(ask.db, journey.id, now=ask.now)
    stages = conduct.pipeline(ask.db, journey.pipeline_id).stages
    return {
        "labels": labels,
        "journey": journey,
        "card": card,
        "choices": [
            Choice(stage.key, name.name, _what_entering_does(stage, ask.locale))
            for stage, name in zip(stages, journey.stages, strict=True)
        ],
        "back": ask.came_from,
    }


@moves.get("/journeys/{journey}/move")
def ask_where(ask: StaffAsk, journey: Id) -> Response:
    """The stages and the reason, as a page of their own."""
    found = _journey(ask, journey)
    form = empty_form({"stage": found.stage.key})
    return ask.page("staff/move.html", form=form, **_move_page(ask, found))


@moves.post("/journeys/{journey}/move")
def move(ask: StaffAsk, journey: Id) -> Response:
    """Moves the journey. What was typed stays where the move is refused."""
    found = _journey(ask, journey)
    filled = read_form(MoveForm, ask.form)
    if filled.value is None:
        return _not_moved(ask, found, filled)
    try:
        actions.move_by_hand(
            ask.db,
            ask.house,
            journey_id=journey,
            stage=filled.value.stage,
            reason=filled.value.reason,
            by=ask.me.by,
            now=ask.now,
        )
    except Refused as refused:
        # The rules refuse before anything is stored, so there is nothing to take back.
        return _not_moved(ask, found, filled.with_error("refused", refused.message, **refused.values))
    name = next((s.name for s in found.stages if s.key == filled.value.stage), "")
    card = desk.card_of(ask.db, journey, now=ask.now)
    places = {"name": card.account_name if card else "", "stage": name}
    said = N_("%(name)s moved to %(stage)s")
    back = ask.came_from
    if ask.htmx and urlsplit(back).path == "/staff/pipeline":
        board = dict(parse_qsl(urlsplit(back).query))
        return ask.block("staff/pipeline.html", "board", said=said, places=places, **_board(ask, _filter(ask, board)))
    return ask.see_other(back if back.startswith("/staff/") else "/staff/pipeline", said=said, **places)


def _not_moved(ask: AskOfStaff, journey: desk.JourneyDetail, form: Filled[MoveForm]) -> Response:
    response = ask.invalid("staff/move.html", "content", form=form, **_move_page(ask, journey))
    if ask.htmx:
        # The dialog is closed and its card belongs to the board: the page's own form takes over, filled in.
        response.headers["HX-Retarget"] = "#main"
        response.headers["HX-Reswap"] = "innerHTML"
        response.headers["HX-Push-Url"] = ask.path
    return response

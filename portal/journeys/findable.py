"""What of somebody's own journey can be found by searching: their plan, what they told us, who looks after them.

Read through the person who asks each time they search, so it is never stale and never in the shared index.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, literal, select
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Staff
from portal.clock import next_business_day
from portal.journeys.models import Flag, GoalRow, JourneyRow, Milestone, PendingIssue, Resolution, Touchpoint
from portal.journeys.queries import stage_words
from portal.journeys.rules import FlagOutcome, Status
from portal.journeys.shipped import AFTER_SALE
from portal.search.own import OwnLine, line, newest
from portal.search.rules import Document, Kind
from portal.words import short_day

PLAN = "/plan"

# What people call the ways to reach somebody, in both languages.
WAYS = "contact reach help support consultant phone call mail email whatsapp contato ajuda suporte consultor telefone ligar"


class Part(StrEnum):
    """What a line is of, in the order in which equals are shown."""

    JOURNEY = "journey"
    TOLD = "told"
    PERSON = "person"
    MILESTONE = "milestone"
    TOUCHPOINT = "touchpoint"
    GOAL = "goal"
    ISSUE = "issue"


_ORDER = {part: n for n, part in enumerate(Part)}
_THEIRS = (
    select(JourneyRow.id)
    .where(JourneyRow.account_id == bindparam("account_id"), JourneyRow.pipeline_key == AFTER_SALE)
    .order_by(case((JourneyRow.status == Status.OPEN, 0), else_=1), JourneyRow.id.desc())
    .limit(1)
    .scalar_subquery()
)
"""The open journey, else the last: the one that every page of theirs shows (`queries.customer_journey`)."""


def own_lines(locale: str) -> Sequence[Select[Any]]:
    """The lines of `account_id` and `contact_id`, in the reader's language."""
    pt = locale == "pt-BR"
    consultant = Staff.id == func.coalesce(JourneyRow.owner_id, Account.consultant_id)
    resolved = and_(
        Resolution.flag_id == Flag.id, Resolution.undone_at.is_(None), Resolution.outcome == FlagOutcome.RESOLVED
    )
    told = (
        line(Part.TOLD, id=Flag.id, title=Flag.words, more=func.coalesce(Resolution.note, ""))
        .outerjoin(Resolution, resolved)
        .where(Flag.contact_id == bindparam("contact_id"))
    )
    m, t, g, i = Milestone, Touchpoint, GoalRow, PendingIssue
    return (
        line(Part.JOURNEY, id=JourneyRow.pipeline_id, place=JourneyRow.position).where(JourneyRow.id == _THEIRS),
        line(Part.PERSON, id=Staff.id, key=Staff.phone, title=Staff.name, more=Staff.email, also=Staff.whatsapp)
        .select_from(JourneyRow)
        .join(Account, Account.id == JourneyRow.account_id)
        .join(Staff, consultant)
        .where(JourneyRow.id == _THEIRS),
        newest(told, Flag.id.desc(), most=20),
        line(
            Part.MILESTONE,
            id=m.id,
            place=m.position,
            title=m.title_pt if pt else m.title_en,
            more=m.help_pt if pt else m.help_en,
            day=m.due_on,
        ).where(m.journey_id == _THEIRS),
        line(
            Part.TOUCHPOINT,
            id=t.id,
            place=t.position,
            key=t.key,
            title=t.title_pt if pt else t.title_en,
            more=t.objective_pt if pt else t.objective_en,
            day=t.due_on,
            at=t.done_at,
        ).where(t.journey_id == _THEIRS),
        line(Part.GOAL, id=g.id, place=g.day, title=g.title, more=g.measure).where(
            g.journey_id == _THEIRS, g.dropped_at.is_(None)
        ),
        line(Part.ISSUE, id=i.id, place=literal(0), title=i.problem, more=i.solution, day=i.due_on).where(
            i.journey_id == _THEIRS
        ),
    )


def own_journey(db: Session, lines: Sequence[OwnLine], *, locale: str) -> tuple[str, tuple[Document, ...]]:
    """The key of the stage they stand in ("" without a journey), and what is theirs, of the lines that are a journey's."""
    known = sorted((each for each in lines if each.part in _ORDER), key=_in_order)
    stage = ""
    found: list[Document] = []
    stages: list[Document] = []
    for each in known:
        if each.part == Part.JOURNEY:
            words = stage_words(db, each.id, locale)
            stage = words[each.place].key
            stages = [
                Document(
                    Kind.PLAN,
                    f"stage:{step.key}",
                    locale,
                    step.customer_name,
                    "/",
                    step.customer_text,
                    place=step.key if step.key == stage else "",
                )
                for step in words
            ]
            continue
        if stages and each.part not in (Part.TOLD, Part.PERSON):
            found += stages
            stages = []
        found += _documents(each, locale)
    return stage, (*found, *stages)


def _in_order(each: OwnLine) -> tuple[int, int, int]:
    return _ORDER[Part(each.part)], each.place or 0, -each.id if each.part == Part.TOLD else each.id


def _documents(each: OwnLine, locale: str) -> Iterator[Document]:
    title, more, day = each.title, each.more, each.day
    match Part(each.part):
        case Part.TOLD:
            if title or more:
                yield Document(Kind.TOLD, f"{each.id}", locale, title or more, f"/told-us#t{each.id}", more)
        case Part.PERSON:
            ways = " · ".join(dict.fromkeys(way for way in (each.key, more, each.also) if way))
            yield Document(Kind.PERSON, f"staff:{each.id}", locale, title, "/#person", ways, names=WAYS)
        case Part.MILESTONE:
            due = short_day(day, locale) if day else ""
            yield Document(Kind.PLAN, f"milestone:{each.id}", locale, title, f"{PLAN}#miles", _said(more, due))
        case Part.TOUCHPOINT:
            if day is not None and each.at is None:  # the day we really write or call, not the Saturday it falls on
                day = next_business_day(day)
            due = short_day(day, locale) if day else ""
            yield Document(Kind.PLAN, f"touchpoint:{each.key}", locale, title, f"{PLAN}#talk", _said(more, due))
        case Part.GOAL:
            yield Document(Kind.PLAN, f"goal:{each.id}", locale, title, f"{PLAN}#goals", more)
        case Part.ISSUE:
            due = short_day(day, locale) if day else ""
            yield Document(Kind.PLAN, f"issue:{each.id}", locale, title, f"{PLAN}#issues", _said(more, due))
        case Part.JOURNEY:
            pass


def _said(*parts: str) -> str:
    return " · ".join(part for part in parts if part)

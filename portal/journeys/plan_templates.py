"""What plans are made from: templates for each product that is sold, as rows that administrators change. A journey gets
copies when it starts, so that no change here ever reaches a customer under way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.models import Account
from portal.accounts.rules import folded
from portal.audit import Event, Happened
from portal.errors import N_, NotFound, Refused
from portal.journeys.models import JourneyRow, Milestone, PlanEntry, PlanTemplate, StageRow, Touchpoint
from portal.journeys.plans import Entry, circle, of_kind, planned_days
from portal.journeys.rules import EntryKind

FOR_ALL = ""
"""The product of the template for everything that has none of its own."""
MOST_ENTRIES = 100


class Circle(Refused):
    """Steps that wait for each other could never be done."""

    status = 422

    def __init__(self, titles: Sequence[str]) -> None:
        road = " → ".join(f"“{title}”" for title in (*titles, titles[0]))
        super().__init__(N_("These steps would wait for each other, and none could be done: %(road)s"), road=road)


class Dateless(Refused):
    """A date can't be reckoned from something that has none."""

    status = 422

    def __init__(self, title: str) -> None:
        super().__init__(N_("“%(title)s” has no day itself, so nothing can be reckoned from it."), title=title)


# Reading


class TemplateLine(NamedTuple):
    """A template in the list, with how much is on it."""

    id: int
    product: str
    changed_at: datetime
    milestones: int
    touchpoints: int


class EntryLine(NamedTuple):
    """An entry with its row's number and the day it comes to."""

    id: int
    entry: Entry
    day: int | None


def templates(db: Session) -> tuple[TemplateLine, ...]:
    """All templates, the one for all first."""
    counts: dict[int, dict[EntryKind, int]] = {}
    for template_id, kind, count in db.execute(
        select(PlanEntry.template_id, PlanEntry.kind, func.count()).group_by(PlanEntry.template_id, PlanEntry.kind)
    ):
        counts.setdefault(template_id, {})[kind] = count
    rows = db.execute(
        select(PlanTemplate.id, PlanTemplate.product, PlanTemplate.changed_at).order_by(PlanTemplate.product_key)
    )
    return tuple(
        TemplateLine(
            row.id,
            row.product,
            row.changed_at,
            counts.get(row.id, {}).get(EntryKind.MILESTONE, 0),
            counts.get(row.id, {}).get(EntryKind.TOUCHPOINT, 0),
        )
        for row in rows
    )


def product_of(db: Session, template_id: int) -> str:
    """Which product a template is for. Errors: NotFound."""
    product = db.scalar(select(PlanTemplate.product).where(PlanTemplate.id == template_id))
    if product is None:
        raise NotFound
    return product


def entries_of(db: Session, template_id: int) -> list[EntryLine]:
    """What is on a template, in its order."""
    rows = db.scalars(
        select(PlanEntry).where(PlanEntry.template_id == template_id).order_by(PlanEntry.position, PlanEntry.id)
    ).all()
    entries = [_entry(row) for row in rows]
    days = planned_days(entries)
    return [EntryLine(row.id, e, days[e.kind, e.key]) for row, e in zip(rows, entries, strict=True)]


def _entry(row: PlanEntry) -> Entry:
    return Entry(
        kind=row.kind,
        key=row.key,
        title=(row.title_en, row.title_pt),
        text=(row.text_en, row.text_pt),
        stage_key=row.stage_key,
        whose=row.whose,
        channel=row.channel,
        day=row.day,
        after_key=row.after_key,
        after_days=row.after_days,
        needs=tuple(row.needs.split()),
    )


def entries_for(db: Session, product: str) -> list[Entry]:
    """What customers of a product start with: its own template's entries, else those for all."""
    template_id = db.scalar(
        select(PlanTemplate.id)
        .where(PlanTemplate.product_key.in_((FOR_ALL, folded(product))))
        .order_by(PlanTemplate.product_key.desc())
        .limit(1)
    )
    return [line.entry for line in entries_of(db, template_id)] if template_id is not None else []


def stages(db: Session, pipeline_id: int) -> list[StageRow]:
    """The stages that entries can belong to."""
    return list(
        db.scalars(select(StageRow).where(StageRow.pipeline_id == pipeline_id).order_by(StageRow.position)).all()
    )


# A journey starts


@dataclass(frozen=True)
class Agreed:
    """The plan that a prospect was shown, with the start that its dates were reckoned from."""

    entries: tuple[Entry, ...]
    starts_on: date


def lay_out(db: Session, journey_id: int, *, agreed: Agreed | None = None) -> None:
    """Writes the plan onto the journey: what was agreed before the sale, with its dates, else the product's template."""
    if agreed is None:
        product = db.scalar(
            select(Account.plan)
            .join(JourneyRow, JourneyRow.account_id == Account.id)
            .where(JourneyRow.id == journey_id)
        )
        entries: Sequence[Entry] = entries_for(db, product or "")
    else:
        entries = agreed.entries
    write_entries(db, journey_id, entries, starts_on=agreed.starts_on if agreed is not None else None)


def write_entries(
    db: Session,
    journey_id: int,
    entries: Sequence[Entry],
    *,
    starts_on: date | None,
    all_entries: Sequence[Entry] | None = None,
) -> None:
    """Adds entries to a journey's plan as milestones and touchpoints, dated if it is known when use starts.

    `all_entries`: the whole plan that they are part of, where days may be reckoned from entries that aren't added.
    """
    days = planned_days(all_entries or entries)

    def shared(n: int, entry: Entry) -> dict[str, Any]:
        day = days[entry.kind, entry.key]
        return {
            "journey_id": journey_id,
            "key": entry.key,
            "position": n,
            "title_en": entry.title[0],
            "title_pt": entry.title[1],
            "day": day,
            "due_on": starts_on + timedelta(days=day) if starts_on is not None and day is not None else None,
        }

    milestones = [
        shared(n, e)
        | {
            "help_en": e.text[0],
            "help_pt": e.text[1],
            "whose": e.whose,
            "stage_key": e.stage_key,
            "needs": " ".join(e.needs),
        }
        for n, e in enumerate(of_kind(entries, EntryKind.MILESTONE))
    ]
    touchpoints = [
        shared(n, e) | {"objective_en": e.text[0], "objective_pt": e.text[1], "channel": e.channel}
        for n, e in enumerate(of_kind(entries, EntryKind.TOUCHPOINT))
    ]
    if milestones:
        db.execute(insert(Milestone), milestones)
    if touchpoints:
        db.execute(insert(Touchpoint), touchpoints)


# Changing templates


def make_template(db: Session, *, product: str, copy_of: int | None, by: str, now: datetime) -> int:
    """A template for one product, as a copy of another or empty. Errors: Refused where it has one already; NotFound."""
    if db.scalar(select(PlanTemplate.id).where(PlanTemplate.product_key == folded(product))) is not None:
        raise Refused(N_("There is a plan for this product already."))
    entries = [line.entry for line in entries_of(db, copy_of)] if copy_of is not None else []
    template_id = put_template(db, product=product, entries=entries, by=by, now=now)
    _told(db, template_id, {"product": product, "did": "made"}, by=by, now=now)
    return template_id


def put_template(db: Session, *, product: str, entries: Sequence[Entry], by: str, now: datetime) -> int:
    """Writes a whole template."""
    template = PlanTemplate(product=product, product_key=folded(product), created_at=now, created_by=by, changed_at=now)
    db.add(template)
    db.flush()
    rows = [{"template_id": template.id, "position": n, **_columns(entry)} for n, entry in enumerate(entries)]
    if rows:
        db.execute(insert(PlanEntry), rows)
    return template.id


def _columns(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "key": entry.key,
        "stage_key": entry.stage_key,
        "title_en": entry.title[0],
        "title_pt": entry.title[1],
        "text_en": entry.text[0],
        "text_pt": entry.text[1],
        "whose": entry.whose,
        "channel": entry.channel,
        "day": entry.day,
        "after_key": entry.after_key,
        "after_days": entry.after_days,
        "needs": " ".join(entry.needs),
    }


def remove_template(db: Session, *, template_id: int, by: str, now: datetime) -> None:
    """Takes a product's template away; its customers to come start with the one for all. Errors: Refused for that one."""
    template = _locked(db, template_id)
    if template.product_key == FOR_ALL:
        raise Refused(N_("The plan for all other products stays: without it, customers would start with none."))
    _told(db, template_id, {"product": template.product, "did": "removed"}, by=by, now=now)
    db.delete(template)
    db.flush()


def save_entry(
    db: Session,
    *,
    template_id: int,
    entry_id: int | None,
    entry: Entry,
    by: str,
    now: datetime,
    locale: str = "en",
) -> int:
    """Puts an entry onto a template, or changes it; gives its number.

    A new one is named by its number; the key of a known one stays. Errors: Circle and Dateless (in the
    titles of that language), NotFound, Refused if there are too many.
    """
    template = _locked(db, template_id)
    lines = entries_of(db, template_id)
    if entry_id is None:
        if len(lines) >= MOST_ENTRIES:
            raise Refused(N_("A plan has at most %(most)s entries."), most=MOST_ENTRIES)
        key, before, position = f"new:{now.timestamp()}", None, len(lines)
    else:
        before = next((line.entry for line in lines if line.id == entry_id), None)
        if before is None or before.kind is not entry.kind:
            raise NotFound
        key, position = before.key, -1
    entry = Entry(**{**entry.__dict__, "key": key})
    _check([line.entry for line in lines if line.id != entry_id] + [entry], entry, locale)
    if entry_id is None:
        row = PlanEntry(template_id=template_id, position=position, **_columns(entry))
        db.add(row)
        db.flush()
        row.key = f"entry:{row.id}"
        db.flush()
        entry_id = row.id
    elif entry != before:
        db.execute(update(PlanEntry).where(PlanEntry.id == entry_id).values(**_columns(entry)))
    did = {"title": entry.title[0], "did": "added" if before is None else "changed"}
    changed = {n: [str(a), str(b)] for n, b in _columns(entry).items() if before and (a := _columns(before)[n]) != b}
    _told(db, template_id, {"product": template.product, **did, "changed": changed}, by=by, now=now)
    return entry_id


def _check(entries: Sequence[Entry], changed: Entry, locale: str) -> None:
    """Errors: Circle, Dateless, in the titles of that language."""
    same = of_kind(entries, changed.kind)
    titles = {entry.key: entry.title[locale == "pt-BR"] for entry in same}
    for roads in ({e.key: e.needs for e in same}, {e.key: (e.after_key,) for e in same if e.after_key}):
        if found := circle(roads):
            raise Circle([titles[key] for key in found])
    if changed.after_key and planned_days(same)[changed.kind, changed.key] is None:
        raise Dateless(titles.get(changed.after_key, changed.after_key))


def remove_entry(db: Session, *, template_id: int, entry_id: int, by: str, now: datetime) -> None:
    """Takes an entry off a template; what waited for it or was reckoned from it no longer is. Errors: NotFound."""
    template = _locked(db, template_id)
    lines = entries_of(db, template_id)
    gone = next((line for line in lines if line.id == entry_id), None)
    if gone is None:
        raise NotFound
    for line in lines:
        entry, values = line.entry, dict[str, Any]()
        if entry.kind is not gone.entry.kind:
            continue
        if gone.entry.key in entry.needs:
            values["needs"] = " ".join(key for key in entry.needs if key != gone.entry.key)
        if entry.after_key == gone.entry.key:
            values |= {"after_key": "", "after_days": 0, "day": line.day}  # it keeps its day
        if values:
            db.execute(update(PlanEntry).where(PlanEntry.id == line.id).values(**values))
    db.delete(db.get_one(PlanEntry, entry_id))
    db.flush()
    detail = {"product": template.product, "title": gone.entry.title[0], "did": "removed"}
    _told(db, template_id, detail, by=by, now=now)


def place_entry(db: Session, *, template_id: int, entry_id: int, up: bool, by: str, now: datetime) -> None:
    """Moves an entry one place up or down among its kind. Errors: NotFound."""
    template = _locked(db, template_id)
    lines = entries_of(db, template_id)
    moved = next((line for line in lines if line.id == entry_id), None)
    if moved is None:
        raise NotFound
    ids = [line.id for line in lines if line.entry.kind is moved.entry.kind]
    for position, row_id in enumerate(stepped(ids, entry_id, up=up)):
        db.execute(update(PlanEntry).where(PlanEntry.id == row_id).values(position=position))
    detail = {"product": template.product, "title": moved.entry.title[0], "did": "moved"}
    _told(db, template_id, detail, by=by, now=now)


def stepped(ids: Sequence[int], which: int, *, up: bool) -> list[int]:
    """The order after one of them took a step; at the end nothing changes."""
    order = list(ids)
    here = order.index(which)
    there = max(0, here - 1) if up else min(len(order) - 1, here + 1)
    order[here], order[there] = order[there], order[here]
    return order


def _locked(db: Session, template_id: int) -> PlanTemplate:
    template = db.get(PlanTemplate, template_id, with_for_update=True)
    if template is None:
        raise NotFound
    return template


def _told(db: Session, template_id: int, detail: dict[str, Any], *, by: str, now: datetime) -> None:
    db.execute(update(PlanTemplate).where(PlanTemplate.id == template_id).values(changed_at=now))
    audit.note(db, Event(Happened.PLAN_TEMPLATE_CHANGED, by, now, detail={"template": template_id, **detail}))

"""A consultant's own calendar: its private address, and the times that it says are taken.

The worker asks for it, outside any transaction; what it said last stays until it says something else that we understand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from portal import audit, mail, outbound, vault
from portal.accounts.models import Staff
from portal.audit import Event, Happened
from portal.boundary import Crash, attempted
from portal.db import insert_for
from portal.errors import N_, Refused
from portal.house import House
from portal.links import new_nonce
from portal.mail import Kind, Letter, LetterRow, Withheld
from portal.meetings import foreign
from portal.meetings.foreign import Found, Taken, Unreadable
from portal.meetings.models import BusyCalendar, BusySpans, Meeting
from portal.meetings.rules import packed_spans, ticks
from portal.outbound import NotFetched

PURPOSE = "own calendar"
READ_EVERY = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(hours=6)
LOOKS_AHEAD = timedelta(days=70)
"""Further than the furthest bookable day (`models.KindSetting`: 60 days) at every reading."""
WORK_OUT_EVERY = timedelta(hours=12)
"""An unchanged feed is worked out anew that often: its repetitions reach further as the days go by."""
NEVER = timedelta(days=3650)
LEASE = timedelta(minutes=3)
"""Longer than the slowest reading: asking (20 s), working out (45 s) and storing."""
TELL_AFTER = 3
"""Failures in a row, after which the owner is told by mail: about an hour. One is the other side's hiccup."""

NOT_THERE = N_("The address doesn’t work any more (the answer was %(status)s).")
NOT_NOW = N_("The other computer has trouble (the answer was %(status)s).")
FORGOTTEN = N_("The address can’t be read any more. Please give it again.")


class NoSuchCalendar(Refused):
    """An address that can't be a calendar's; the sentence goes beside the field."""

    status = 422


# What its owner does


def set_address(db: Session, house: House, *, staff_id: int, address: str, now: datetime) -> None:
    """Reads that calendar from now on, at once for the first time; another one's busy times end. Errors: NoSuchCalendar."""
    try:
        checked = outbound.checked_address(address, allow_private=house.settings.allow_private_addresses)
    except NotFetched as why:
        raise NoSuchCalendar(why.message, **why.values) from why
    values = {
        "locked_address": vault.lock_away(house.secret, PURPOSE, checked),
        "host": str(urlsplit(checked).hostname)[:255],
        "added_at": now,
        "try_at": now,
        **_NOTHING_KNOWN,
    }
    write = insert_for(db, BusyCalendar).values(staff_id=staff_id, **values)
    db.execute(write.on_conflict_do_update(index_elements=["staff_id"], set_=values))
    db.execute(delete(BusySpans).where(BusySpans.staff_id == staff_id))
    _note(db, staff_id, {"own_calendar": values["host"]}, now=now)


_NOTHING_KNOWN: dict[str, Any] = {
    "leased_by": "",
    "etag": "",
    "last_modified": "",
    "read_at": None,
    "worked_out_at": None,
    "busy_count": 0,
    "left_out": 0,
    "failures": 0,
    "failed_at": None,
    "error": "",
    "error_values": {},
    "told_at": None,
}


def forget_address(db: Session, *, staff_id: int, now: datetime) -> None:
    """Forgets the address and all that it said."""
    db.execute(delete(BusyCalendar).where(BusyCalendar.staff_id == staff_id))
    db.execute(delete(BusySpans).where(BusySpans.staff_id == staff_id))
    _note(db, staff_id, {"own_calendar": ""}, now=now)


def read_soon(db: Session, *, staff_id: int, now: datetime) -> None:
    """Its owner does not want to wait for the next time."""
    row = db.get(BusyCalendar, staff_id, with_for_update=True)
    if row is not None and not row.leased_by:
        row.try_at, row.etag, row.last_modified = now, "", ""


def take_in(db: Session, *, staff_id: int, content: bytes, now: datetime) -> None:
    """What the calendar says, brought along instead of fetched: the demo's address is invented, so nobody asks there until
    its owner presses "Read it now". Errors: Unreadable."""
    row, owner = db.get_one(BusyCalendar, staff_id), db.get_one(Staff, staff_id)
    found = foreign.read(
        content,
        zone_name=owner.timezone,
        since=now - timedelta(days=1),
        until=now + LOOKS_AHEAD,
        declined_by=owner.email,
    )
    _keep(db, row, _Reading(found, "", ""), now)
    row.try_at = now + NEVER


def _note(db: Session, staff_id: int, detail: dict[str, Any], *, now: datetime) -> None:
    audit.note(db, Event(Happened.STAFF_CHANGED, f"staff:{staff_id}", now, detail={"staff": staff_id, **detail}))


# What the worker does


@dataclass(frozen=True, slots=True)
class _Task:
    """A calendar in hand, with all that asking needs."""

    staff_id: int
    lease: str
    address: str | None
    etag: str
    last_modified: str
    zone: str
    email: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """What came of asking. `found` is None where nothing has changed since the last time."""

    found: Found | None
    etag: str
    last_modified: str


def read_next(house: House, now: datetime, _stopping: Callable[[], bool]) -> int:
    """Reads the calendar that has waited longest; gives 1, or 0 if none is due.

    One at a time, so that a slow one never keeps the others under a lease that runs out.
    """
    task = _take(house, now)
    if task is None:
        return 0
    came = attempted(f"calendar of staff {task.staff_id}", lambda: _ask(house, task, now))
    with house.database.write() as db:
        row = db.get(BusyCalendar, task.staff_id, with_for_update=True)
        # Another address, or none, by now: what the old one said is nothing to us.
        if row is not None and row.leased_by == task.lease:
            row.leased_by = ""
            match came:
                case _Reading():
                    _keep(db, row, came, now)
                case Crash():
                    _failed(db, row, foreign.BROKEN, {}, now)
                case NotFetched() | Unreadable():
                    _failed(db, row, came.message, came.values, now)
    return 1


def _take(house: House, now: datetime) -> _Task | None:
    with house.database.write() as db:
        row = db.scalar(
            select(BusyCalendar)
            .join(Staff, Staff.id == BusyCalendar.staff_id)
            .where(BusyCalendar.try_at <= now, Staff.disabled_at.is_(None))
            .order_by(BusyCalendar.try_at, BusyCalendar.staff_id)
            .limit(1)
            .with_for_update(skip_locked=True, of=BusyCalendar)
        )
        if row is None:
            return None
        row.leased_by, row.try_at = new_nonce(), now + LEASE
        owner = db.get_one(Staff, row.staff_id)
        is_fresh = row.worked_out_at is not None and now - row.worked_out_at < WORK_OUT_EVERY
        return _Task(
            row.staff_id,
            row.leased_by,
            vault.take_out(house.secret, PURPOSE, row.locked_address),
            row.etag if is_fresh else "",
            row.last_modified if is_fresh else "",
            owner.timezone,
            owner.email,
        )


def _ask(house: House, task: _Task, now: datetime) -> _Reading | NotFetched | Unreadable:
    """Asks and works out, outside any transaction. Refusals are an answer here, not a crash with a trace in the log."""
    try:
        return _asked(house, task, now)
    except (NotFetched, Unreadable) as why:
        return why


def _asked(house: House, task: _Task, now: datetime) -> _Reading:
    if task.address is None:
        raise NotFetched(FORGOTTEN)
    known = {"If-None-Match": task.etag, "If-Modified-Since": task.last_modified}
    answer = outbound.fetch(
        task.address,
        allow_private=house.settings.allow_private_addresses,
        headers={"Accept": "text/calendar", **{name: value for name, value in known.items() if value}},
    )
    if answer.status == 304 and any(known.values()):
        return _Reading(None, task.etag, task.last_modified)
    if answer.status != 200:
        raise NotFetched(NOT_NOW if answer.status >= 500 or answer.status == 429 else NOT_THERE, status=answer.status)
    found = foreign.read(
        answer.content,
        zone_name=task.zone,
        since=now - timedelta(days=1),
        until=now + LOOKS_AHEAD,
        declined_by=task.email,
    )
    return _Reading(
        found, _header(answer.headers.get("etag", ""), 300), _header(answer.headers.get("last-modified", ""), 100)
    )


def _header(value: str, most: int) -> str:
    """What may be sent back as a header: ours to store only if it is short and plain."""
    return value if len(value) <= most and value.isascii() and value.isprintable() else ""


def _keep(db: Session, row: BusyCalendar, reading: _Reading, now: datetime) -> None:
    if reading.found is not None:
        taken = _without_our_own(db, row.staff_id, reading.found.taken)
        spans = [ticks(each.busy.starts_at, each.busy.ends_at) for each in taken]
        packed = {"packed": packed_spans(spans)}
        write = insert_for(db, BusySpans).values(staff_id=row.staff_id, **packed)
        db.execute(write.on_conflict_do_update(index_elements=["staff_id"], set_=packed))
        row.busy_count, row.left_out, row.worked_out_at = len(spans), reading.found.left_out, now
    row.etag, row.last_modified = reading.etag, reading.last_modified
    row.read_at, row.try_at = now, now + READ_EVERY
    row.failures, row.failed_at, row.told_at = 0, None, None
    row.error, row.error_values = "", {}


def _without_our_own(db: Session, staff_id: int, taken: tuple[Taken, ...]) -> list[Taken]:
    """Our own invitations come back by their UID. We know better than their calendar when those are: a meeting that was
    moved a minute ago must not block its old time, nor stand in its own way."""
    uids = set(db.scalars(select(Meeting.uid).where(Meeting.staff_id == staff_id)))
    return [each for each in taken if each.uid not in uids]


def _failed(db: Session, row: BusyCalendar, message: str, values: dict[str, object], now: datetime) -> None:
    """What it said last stays. Asked again in 15, 30, 60 … minutes, up to every six hours."""
    row.failures += 1
    row.failed_at = now
    row.error, row.error_values = message[:300], dict(values)
    row.try_at = now + min(READ_EVERY * 2 ** min(row.failures - 1, 10), LONGEST_PAUSE)
    if row.failures >= TELL_AFTER and row.told_at is None:
        row.told_at = now
        mail.queue_all(db, [_warning(db, row, now)], now=now)


def next_due(db: Session) -> datetime | None:
    """When the next calendar is read."""
    return db.scalar(
        select(func.min(BusyCalendar.try_at))
        .join(Staff, Staff.id == BusyCalendar.staff_id)
        .where(Staff.disabled_at.is_(None))
    )


# The mail to its owner


def _warning(db: Session, row: BusyCalendar, now: datetime) -> Letter:
    owner = db.get_one(Staff, row.staff_id)
    return Letter(
        key=f"own_calendar:{row.staff_id}:{now.isoformat()}",
        kind=Kind.CALENDAR_UNREADABLE,
        to_email=owner.email,
        language=owner.language,
        context={"host": row.host, "since_at": row.read_at or row.added_at, "was_read": row.read_at is not None},
        staff_id=owner.id,
    )


def _compose_warning(db: Session, _house: House, row: LetterRow) -> dict[str, Any]:
    calendar = db.get(BusyCalendar, row.staff_id) if row.staff_id is not None else None
    if row.sent_at is None and (calendar is None or not calendar.failures):
        raise Withheld(N_("The calendar could be read again before this went out."))
    made: dict[str, Any] = {"path": "/staff/hours#own-calendar", "error": "", "error_values": {}}
    return made | ({"error": calendar.error, "error_values": calendar.error_values} if calendar is not None else {})


COMPOSERS: dict[Kind, mail.Composer] = {Kind.CALENDAR_UNREADABLE: _compose_warning}

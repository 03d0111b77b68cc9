"""What happens to the staff: administrators add somebody, change what they may do, end their access and give it back;
everybody changes their own details."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import audit, auth
from portal.accounts.models import Staff
from portal.accounts.rules import Language, Role
from portal.audit import Event, Happened
from portal.errors import N_, NotFound, Refused


class AddressTaken(Refused):
    """Somebody of the staff has that address already."""

    def __init__(self) -> None:
        super().__init__(N_("Somebody of your team already has this address."))


def add_staff(
    db: Session, *, name: str, email: str, role: Role, language: Language, timezone: str, by: str, now: datetime
) -> int:
    """Somebody joins; they sign in by a link to their address. Errors: AddressTaken."""
    if db.scalar(select(Staff.id).where(Staff.email == email)) is not None:
        raise AddressTaken
    person = Staff(name=name, email=email, role=role, language=language, timezone=timezone, created_at=now)
    db.add(person)
    db.flush()
    detail = {"staff": person.id, "name": name, "role": role, "change": "added"}
    audit.note(db, Event(Happened.STAFF_CHANGED, by, now, detail=detail))
    return person.id


def change_role(db: Session, *, staff_id: int, role: Role, by: str, now: datetime) -> None:
    """Changes what somebody may do, from their next click on. Errors: NotFound; Refused for the last administrator."""
    person = _person(db, staff_id)
    if person.role is role:
        return
    if person.role is Role.ADMINISTRATOR:
        _keep_an_administrator(db, person)
    detail = {"staff": staff_id, "name": person.name, "from": person.role, "to": role, "change": "role"}
    person.role = role
    db.flush()
    audit.note(db, Event(Happened.STAFF_CHANGED, by, now, detail=detail))


def change_own_details(db: Session, *, staff_id: int, details: Mapping[str, Any], now: datetime) -> None:
    """Somebody's own name, numbers, meeting link, language and zone; what stays as it was leaves no trace."""
    person = _person(db, staff_id)
    changed = {field: value for field, value in details.items() if getattr(person, field) != value}
    if not changed:
        return
    for field, value in changed.items():
        setattr(person, field, value)
    db.flush()
    detail = {"staff": staff_id, "name": person.name, "change": "details", "fields": sorted(changed)}
    audit.note(db, Event(Happened.STAFF_CHANGED, f"staff:{staff_id}", now, detail=detail))


def disable(db: Session, *, staff_id: int, by: str, now: datetime) -> None:
    """Ends somebody's access, their sessions at once. Errors: NotFound; Refused for oneself and the last administrator."""
    person = _person(db, staff_id)
    if by == f"staff:{staff_id}":
        raise Refused(N_("You can’t end your own access. Ask another administrator."))
    if person.disabled_at is not None:
        return
    if person.role is Role.ADMINISTRATOR:
        _keep_an_administrator(db, person)
    person.disabled_at = now
    db.flush()
    auth.end_sessions(db, staff_id=staff_id)
    detail = {"staff": staff_id, "name": person.name, "change": "disabled"}
    audit.note(db, Event(Happened.STAFF_CHANGED, by, now, detail=detail))


def enable(db: Session, *, staff_id: int, by: str, now: datetime) -> None:
    """Gives access back. Errors: NotFound."""
    person = _person(db, staff_id)
    if person.disabled_at is None:
        return
    person.disabled_at = None
    db.flush()
    detail = {"staff": staff_id, "name": person.name, "change": "enabled"}
    audit.note(db, Event(Happened.STAFF_CHANGED, by, now, detail=detail))


def _person(db: Session, staff_id: int) -> Staff:
    person = db.get(Staff, staff_id, with_for_update=True, populate_existing=True)
    if person is None:
        raise NotFound
    return person


def _keep_an_administrator(db: Session, person: Staff) -> None:
    others = db.scalar(
        select(func.count())
        .select_from(Staff)
        .where(Staff.role == Role.ADMINISTRATOR, Staff.disabled_at.is_(None), Staff.id != person.id)
    )
    if not others:
        raise Refused(N_("There has to be one administrator. Make somebody else one first."))

"""One person's data, for administrators: everything in one file, and erasing them for good; who asks for it, and who is found."""

from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, StringConstraints
from sqlalchemy import func, or_, select
from starlette.responses import Response

from portal import erasing
from portal.accounts import people_queries
from portal.accounts.models import Account, Contact
from portal.accounts.rules import folded
from portal.audit import Event, Happened, note
from portal.deps import AskOfStaff, Id, StaffAsk, admin_pages, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.policy import Permission
from portal.routes.customer import own_data
from portal.routes.customer.own_data import Whose
from portal.text import RequiredLine

pages = staff_pages(Permission.MANAGE_PRIVACY)
setup = admin_pages(Permission.MANAGE_PRIVACY)

ANSWERED_WITHIN = timedelta(days=15)
"""What we promise to who asks, and the law of Brazil gives (LGPD, art. 19); the GDPR's month is longer."""
MOST_FOUND = 20

REASONS = {
    erasing.Why.ASKED: N_("They asked for it"),
    erasing.Why.LEFT: N_("They no longer work there"),
    erasing.Why.ENDED: N_("Their company is no longer a customer"),
    erasing.Why.MISTAKE: N_("They should never have been here"),
}


class Erasure(BaseModel):
    why: erasing.Why
    typed: Annotated[RequiredLine, StringConstraints(max_length=254)]


class Someone(NamedTuple):
    """One contact of whatever standing; `erased_at` once there is nothing more to know."""

    id: int
    account_id: int
    company: str
    name: str
    email: str
    phone: str
    is_primary: bool
    disabled_at: datetime | None
    erased_at: datetime | None

    @property
    def path(self) -> str:
        return f"/staff/customers/{self.account_id}/people/{self.id}/erasure"


_SOMEONE = select(
    Contact.id,
    Contact.account_id,
    Account.name,
    Contact.name,
    func.coalesce(Contact.email, ""),
    Contact.phone,
    Contact.is_primary,
    Contact.disabled_at,
    Contact.erased_at,
).join(Account, Account.id == Contact.account_id)


def _someone(ask: AskOfStaff, account_id: int, contact_id: int) -> Someone:
    """Errors: NotFound for who isn't of that account. Those who left are found, too."""
    row = ask.db.execute(_SOMEONE.where(Contact.id == contact_id, Contact.account_id == account_id)).first()
    if row is None:
        raise NotFound
    return Someone._make(row)


@pages.post("/customers/{account}/people/{person}/data")
def export(ask: StaffAsk, account: Id, person: Id) -> Response:
    """Everything that we keep of somebody, as one file to read and one for machines; that it was taken is on record."""
    found = _someone(ask, account, person)
    note(ask.db, Event(Happened.DATA_EXPORTED, ask.me.by, ask.now, account, None, person))
    content = own_data.archive(ask, Whose(person, account, found.name))
    return ask.file(content, name=f"person-{person}-{ask.now:%Y-%m-%d}.zip", media_type="application/zip")


@pages.get("/customers/{account}/people/{person}/erasure")
def ask_erasure(ask: StaffAsk, account: Id, person: Id) -> Response:
    """What would go, what would stay, and why it can't be where it can't."""
    return _page(ask, _someone(ask, account, person), empty_form())


def _page(ask: AskOfStaff, someone: Someone, form: Filled[Any]) -> Response:
    values: dict[str, Any] = {
        "someone": someone,
        "reasons": REASONS,
        "hindrance": None if someone.erased_at else _hindrance(ask, someone),
        "wish": next((one for one in people_queries.erasure_wishes(ask.db) if one.contact_id == someone.id), None),
    }
    if form.errors:
        return ask.invalid("staff/erase.html", form=form, **values)
    return ask.page("staff/erase.html", form=form, **values)


def _hindrance(ask: AskOfStaff, someone: Someone) -> Refused | None:
    try:
        erasing.refuse_what_cannot_be(ask.db, ask.db.get_one(Contact, someone.id))
    except Refused as refused:
        return refused
    return None


@pages.post("/customers/{account}/people/{person}/erasure")
def erase(ask: StaffAsk, account: Id, person: Id) -> Response:
    """Erases somebody for good. What was typed has to be their address (their name, if they have none)."""
    someone = _someone(ask, account, person)
    if someone.erased_at is not None:
        return ask.see_other("/admin/privacy", said=N_("They are erased already."))
    filled = read_form(Erasure, ask.form)
    asked_for = someone.email or someone.name
    if filled.value is not None and folded(filled.value.typed) != folded(asked_for):
        filled = filled.with_error("typed", N_("That is not what it says above. Type it exactly."))
    if filled.value is None:
        return _page(ask, someone, filled)
    hindrance = _hindrance(ask, someone)
    if hindrance is not None:
        raise hindrance
    erasing.erase(
        ask.db, ask.house, contact_id=person, account_id=account, why=filled.value.why, by=ask.me.by, now=ask.now
    )
    return ask.see_other("/admin/privacy", said=N_("Erased. Nothing says any more who they were."))


# Everybody


@setup.get("/privacy")
def privacy(ask: StaffAsk) -> Response:
    """Who asked to be forgotten and by when they hear from us; and anybody by name, address or number, gone or not."""
    typed = ask.query.get("q", "")
    wishes = people_queries.erasure_wishes(ask.db)
    return ask.page(
        "admin/privacy.html",
        q=typed,
        found=_found(ask, typed) if typed else [],
        wishes=[(one, one.asked_at + ANSWERED_WITHIN) for one in wishes],
        erased=[Someone._make(row) for row in ask.db.execute(_LAST_ERASED)],
        most=MOST_FOUND,
    )


_LAST_ERASED = _SOMEONE.where(Contact.erased_at.is_not(None)).order_by(Contact.erased_at.desc()).limit(MOST_FOUND)


def _found(ask: AskOfStaff, typed: str) -> list[Someone]:
    same = "%" + typed.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    like = [
        func.lower(column).like(same.lower(), escape="\\") for column in (Contact.name, Contact.email, Contact.phone)
    ]
    wanted = _SOMEONE.where(Contact.erased_at.is_(None), or_(*like)).order_by(Contact.name, Contact.id)
    return [Someone._make(row) for row in ask.db.execute(wanted.limit(MOST_FOUND))]

"""The team: who works here and what they may do. For administrators."""

from typing import Any

from starlette.responses import Response

from portal.accounts import actions
from portal.accounts import queries as accounts
from portal.accounts.rules import Role
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.forms import RoleForm, StaffForm
from portal.routes.zones import zone_groups

pages = staff_pages(Permission.MANAGE_STAFF)

ROLE_MEANS: dict[Role, str] = {
    Role.CONSULTANT: N_("Looks after customers: conversations, flags, moves."),
    Role.MANAGER: N_("Also sees figures, hands customers over, records departures, imports deals."),
    Role.ADMINISTRATOR: N_("Also sets up pipelines, surveys, people, integrations and privacy."),
}


def _page(ask: AskOfStaff, form: Filled[StaffForm] | None = None) -> Response:
    known = empty_form({"role": Role.CONSULTANT, "timezone": ask.me.timezone, "language": ask.me.language})
    values: dict[str, Any] = {
        "labels": labels,
        "people": accounts.colleagues(ask.db),
        "zones": zone_groups(ask.now, ask.locale),
        "means": ROLE_MEANS,
    }
    if form is not None:
        return ask.invalid("staff/people.html", form=form, **values)
    return ask.page("staff/people.html", form=known, **values)


@pages.get("/people")
def people(ask: StaffAsk) -> Response:
    """Everybody of the team, and a form for who joins."""
    return _page(ask)


@pages.post("/people")
def add(ask: StaffAsk) -> Response:
    """Somebody joins."""
    filled = read_form(StaffForm, ask.form)
    if filled.value is not None and any(p.email == filled.value.email for p in accounts.colleagues(ask.db)):
        filled = filled.with_error("email", N_("Somebody of your team already has this address."))
    if filled.value is None:
        return _page(ask, filled)
    new = filled.value
    actions.add_staff(
        ask.db,
        name=new.name,
        email=new.email,
        role=new.role,
        language=new.language,
        timezone=new.timezone,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(
        "/staff/people", said=N_("%(name)s is on the team, and can sign in with their address."), name=new.name
    )


@pages.post("/people/{person}/role")
def change_role(ask: StaffAsk, person: Id) -> Response:
    """Another role, from their next click on."""
    filled = read_form(RoleForm, ask.form)
    if filled.value is None:
        raise NotFound
    actions.change_role(ask.db, staff_id=person, role=filled.value.role, by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/people", said=N_("Role changed."))


@pages.post("/people/{person}/disabled")
def disable(ask: StaffAsk, person: Id) -> Response:
    """Ends somebody's access, and their sessions at once."""
    actions.disable(ask.db, staff_id=person, by=ask.me.by, now=ask.now)
    return ask.see_other(
        "/staff/people",
        said=N_("Access ended; they are signed out everywhere."),
        undo=f"/staff/people/{person}/enabled",
    )


@pages.post("/people/{person}/enabled")
def enable(ask: StaffAsk, person: Id) -> Response:
    """Gives access back."""
    actions.enable(ask.db, staff_id=person, by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/people", said=N_("They can sign in again."))

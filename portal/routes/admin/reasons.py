"""The reasons that cases are settled with: added, reworded, put in order, retired; in both languages."""

from typing import Any

from starlette.responses import Response

from portal.deps import AskOfStaff, Id, StaffAsk, admin_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.journeys import reasons
from portal.policy import Permission
from portal.routes.staff.forms import ReasonForm

pages = admin_pages(Permission.EDIT_REASONS)

HERE = "/admin/reasons"


@pages.get("/reasons")
def listed(ask: StaffAsk) -> Response:
    """All reasons, those no longer offered at the end."""
    return _page(ask, empty_form(), of=0)


def _page(ask: AskOfStaff, form: Filled[Any], *, of: int) -> Response:
    """`of`: the reason whose form came back; 0: the form for a new one."""
    every = reasons.reasons(ask.db, retired=True)
    values: dict[str, Any] = {
        "offered": [one for one in every if not one.is_retired],
        "retired": [one for one in every if one.is_retired],
        "of": of,
    }
    if form.errors:
        return ask.invalid("admin/reasons.html", form=form, **values)
    return ask.page("admin/reasons.html", form=form, **values)


@pages.post("/reasons")
def add(ask: StaffAsk) -> Response:
    """A new reason, at the end."""
    filled = read_form(ReasonForm, ask.form)
    if filled.value is None:
        return _page(ask, filled, of=0)
    reasons.add_reason(
        ask.db, words_en=filled.value.words_en, words_pt=filled.value.words_pt, by=ask.me.by, now=ask.now
    )
    return ask.see_other(HERE, said=N_("Added. It can be chosen from now on."))


@pages.post("/reasons/{reason}")
def reword(ask: StaffAsk, reason: Id) -> Response:
    """Other words; cases that have it say them too."""
    filled = read_form(ReasonForm, ask.form)
    if filled.value is None:
        return _page(ask, filled, of=reason)
    reasons.reword(
        ask.db,
        reason_id=reason,
        words_en=filled.value.words_en,
        words_pt=filled.value.words_pt,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(HERE, said=N_("Saved."))


@pages.post("/reasons/{reason}/retirement")
def retire(ask: StaffAsk, reason: Id) -> Response:
    """No longer offered; cases that have it keep it."""
    reasons.retire(ask.db, reason_id=reason, by=ask.me.by, now=ask.now)
    return ask.see_other(HERE, said=N_("No longer offered. Cases that have it keep it."))


@pages.post("/reasons/{reason}/return")
def bring_back(ask: StaffAsk, reason: Id) -> Response:
    """Offered again."""
    reasons.bring_back(ask.db, reason_id=reason, by=ask.me.by, now=ask.now)
    return ask.see_other(HERE, said=N_("Offered again."))


@pages.post("/reasons/{reason}/up")
def move_up(ask: StaffAsk, reason: Id) -> Response:
    """One place further up."""
    reasons.move_up(ask.db, reason_id=reason, by=ask.me.by, now=ask.now)
    return ask.see_other(HERE)

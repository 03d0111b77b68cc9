"""The inbox of flags: who is unhappy, how much time is left, and everything needed to settle it on one screen."""

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from portal import words
from portal.accounts import queries as accounts
from portal.accounts.rules import Role
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import actions, cases, desk
from portal.journeys.rules import FlagOutcome
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.clocks import flag_clock
from portal.routes.staff.forms import AssignForm, ConversationForm, ResolutionForm
from portal.routes.staff.whose import MINE, whose
from portal.surveys.queries import count_set_aside

pages = staff_pages(Permission.HANDLE_FLAGS)
reassigning = staff_pages(Permission.REASSIGN_CUSTOMERS)


def shell(ask: Any) -> dict[str, object]:
    """The inbox's badge: open flags, a consultant's own or everybody's."""
    if getattr(ask.me, "staff_id", None) is None:
        return {}
    owner_id = ask.me.staff_id if ask.me.role is Role.CONSULTANT else None
    return {"inbox_count": desk.count_open_flags(ask.db, owner_id=owner_id)}


@pages.get("/inbox")
def inbox(ask: StaffAsk) -> Response:
    """Open cases by urgency, the most urgent one opened beside them."""
    found = _inbox(ask)
    first = found["flags"][0][0].id if found["flags"] else None
    return ask.page("staff/inbox.html", **found, **_case(ask, first))


@pages.get("/flags/{flag}")
def case(ask: StaffAsk, flag: Id) -> Response:
    """One case, open or settled."""
    return ask.page("staff/inbox.html", **_inbox(ask), **_case(ask, flag))


def _inbox(ask: AskOfStaff) -> dict[str, Any]:
    shown = whose(ask, asked=ask.query.get("owner", ""))
    flags = desk.open_flags(ask.db, owner_id=shown.owner_id)
    clocks = [(line, flag_clock(line, now=ask.now, zone=ask.zone, locale=ask.locale)) for line in flags]
    return {
        "labels": labels,
        "whose": shown,
        "flags": clocks,
        "late": sum(line.acted_at is None and ask.now >= line.act_by for line in flags),
        "settled": desk.settled_flags(ask.db, owner_id=shown.owner_id),
        "aside": count_set_aside(ask.db, owner_id=shown.owner_id),
        "asked": f"?owner={shown.value}" if shown.value != MINE or ask.query.get("owner") else "",
    }


def _case(ask: AskOfStaff, flag_id: int | None) -> dict[str, Any]:
    """Everything about one case: the person, the account, the journey, earlier flags. Errors: NotFound."""
    if flag_id is None:
        return {"flag": None}
    flag = desk.flag(ask.db, flag_id)
    if flag is None:
        raise NotFound
    people = accounts.contacts_of(ask.db, flag.account_id)
    person = next((p for p in people if p.id == flag.contact_id), None)
    journey = desk.journey_detail(ask.db, flag.journey_id, locale=ask.locale)
    assert journey is not None  # noqa: S101 - a flag always has its journey
    return {
        "flag": flag,
        "clock": flag_clock(flag, now=ask.now, zone=ask.zone, locale=ask.locale),
        "account": accounts.account(ask.db, flag.account_id),
        "person": person,
        "people": people,
        "journey": journey,
        "stage": desk.stage_of(ask.db, flag.stage_id, locale=ask.locale),
        "earlier": [line for line in desk.flags_of(ask.db, flag.account_id) if line.id != flag.id],
        "conversations": desk.conversations_of(ask.db, flag.journey_id)[:3],
        "colleagues": desk.consultants(ask.db),
        "greeting": _greeting(ask, person),
        "talk": empty_form({"contact": flag.contact_id, "channel": person.channel if person else ""}),
        "resolution": empty_form(),
        "assignment": empty_form({"staff": flag.owner_id}),
        "names": desk.actor_names(ask.db, [flag.resolved_by]) if flag.resolved_by else {},
    }


def _greeting(ask: AskOfStaff, person: accounts.Person | None) -> str:
    """What a WhatsApp message begins with, in the customer's own language, ready for an address."""
    if person is None:
        return ""
    text = words.translate(
        person.language,
        N_("Hi %(name)s, this is %(me)s. Thank you for being straight with us. When can we talk for a few minutes?"),
        name=person.name.split()[0] if person.name.split() else "",
        me=ask.me.name,
    )
    return quote(text)


@pages.post("/flags/{flag}/conversation")
def log(ask: StaffAsk, flag: Id) -> Response:
    """Logs a conversation about the case: the clock for acting stops; the flag stays open until it is resolved."""
    found = _case(ask, flag)
    filled = read_form(ConversationForm, ask.form)
    if (
        filled.value is not None
        and filled.value.contact
        and not any(p.id == filled.value.contact for p in found["people"])
    ):
        filled = filled.with_error("contact", N_("Please choose one of this customer’s people."))
    if filled.value is None:
        return _again(ask, found, talk=filled)
    actions.log_conversation(
        ask.db,
        ask.house,
        journey_id=found["flag"].journey_id,
        channel=filled.value.channel,
        result=filled.value.result,
        note=filled.value.note,
        contact_id=filled.value.contact,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Logged. The clock for acting has stopped."))


@pages.post("/flags/{flag}/resolution")
def resolve(ask: StaffAsk, flag: Id) -> Response:
    """Ends the case with an outcome and what was done."""
    found = _case(ask, flag)
    filled = read_form(ResolutionForm, ask.form)
    if filled.value is None:
        return _again(ask, found, resolution=filled)
    try:
        cases.resolve_flag(
            ask.db,
            ask.house,
            flag_id=flag,
            outcome=filled.value.outcome,
            note=filled.value.note,
            by=ask.me.by,
            now=ask.now,
        )
    except Refused as refused:
        # Refused before anything is stored: somebody was quicker.
        return _again(ask, found, resolution=filled.with_error("refused", refused.message, **refused.values))
    said = {
        FlagOutcome.RESOLVED: N_("Resolved. The customer is told, and asked whether that’s true."),
        FlagOutcome.ACCEPTED_RISK: N_("Closed as an accepted risk. The stage is released."),
        FlagOutcome.LOST: N_("Closed as lost. The journey has ended."),
    }
    return ask.see_other(f"/staff/flags/{flag}", said=said[filled.value.outcome])


@reassigning.post("/flags/{flag}/assignment")
def assign(ask: StaffAsk, flag: Id) -> Response:
    """Gives the case, and with it the customer, to a colleague."""
    found = _case(ask, flag)
    filled = read_form(AssignForm, ask.form)
    colleague = next((c for c in found["colleagues"] if filled.value is not None and c.id == filled.value.staff), None)
    if colleague is None:
        filled = filled.with_error("staff", N_("Please choose one from the list."))
        return _again(ask, found, assignment=filled)
    actions.assign_consultant(
        ask.db, ask.house, journey_id=found["flag"].journey_id, staff_id=colleague.id, by=ask.me.by, now=ask.now
    )
    return ask.see_other(
        f"/staff/flags/{flag}", said=N_("%(name)s looks after this customer now."), name=colleague.name
    )


def _again(ask: AskOfStaff, found: dict[str, Any], **forms: Filled[Any]) -> Response:
    """The case with the form that came back, as it was typed."""
    values = {**_inbox(ask), **found, **forms}
    return ask.invalid("staff/inbox.html", form=next(iter(forms.values())), **values)

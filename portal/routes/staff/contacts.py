"""One customer's people, for staff: add a colleague, what each may do and wishes, change the main contact, end access."""

from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints
from starlette.responses import Response

from portal.accounts import asking_ledger, people, people_queries
from portal.accounts import queries as accounts
from portal.accounts.deal_problems import Problem
from portal.accounts.deal_values import phone_of
from portal.accounts.people import AddedColleague
from portal.accounts.people_queries import TeamMember
from portal.accounts.rules import Language
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Email, Filled, Zone, empty_form, read_form
from portal.journeys import actions as journeys
from portal.policy import Permission
from portal.routes.picking import city
from portal.routes.staff import labels
from portal.routes.zones import zone_groups
from portal.text import Line, RequiredLine

pages = staff_pages(Permission.SEE_CUSTOMERS)
talks = staff_pages(Permission.TALK_TO_CUSTOMERS)
privacy = staff_pages(Permission.MANAGE_PRIVACY)


class ColleagueForm(BaseModel):
    name: Annotated[RequiredLine, StringConstraints(max_length=120)]
    email: Email | None = None
    phone: Line = ""
    job_title: Annotated[Line, StringConstraints(max_length=120)] = ""
    language: Language
    timezone: Zone


class Sure(BaseModel):
    sure: bool = False


def _account(ask: AskOfStaff, account_id: int) -> accounts.AccountDetail:
    account = accounts.account(ask.db, account_id)
    if account is None:
        raise NotFound
    return account


def _member(ask: AskOfStaff, account_id: int, contact_id: int) -> TeamMember:
    """Errors: NotFound for who isn't of that account, or no longer."""
    found = next((m for m in people_queries.team(ask.db, account_id) if m.id == contact_id), None)
    if found is None:
        raise NotFound
    return found


def _back(account_id: int, contact_id: int) -> str:
    return f"/staff/customers/{account_id}/people/{contact_id}"


# Adding


@talks.get("/customers/{account}/people")
def ask_colleague(ask: StaffAsk, account: Id) -> Response:
    found = _account(ask, account)
    first = next(iter(people_queries.team(ask.db, account)), None)
    known = {
        "language": first.language if first else ask.me.language,
        "timezone": first.timezone if first else ask.me.timezone,
    }
    return _add_page(ask, found, empty_form(known))


@talks.post("/customers/{account}/people")
def add_colleague(ask: StaffAsk, account: Id) -> Response:
    """Somebody is a contact from now on, whatever their domain; they get a welcome with their own link."""
    found = _account(ask, account)
    filled = read_form(ColleagueForm, ask.form)
    phone = ""
    if filled.value is not None and filled.value.phone:
        read = phone_of(filled.value.phone, ("BR", "US"))
        if isinstance(read, Problem):
            filled = filled.with_error(
                "phone", N_("Please enter a phone number with its area code, such as +55 11 91234-5678.")
            )
        else:
            phone = read.first
    if filled.value is not None and not filled.value.email and not phone:
        filled = filled.with_error("email", N_("Give an e-mail address or a phone number."))
    if filled.value is None:
        return _add_page(ask, found, filled)
    given = filled.value
    new = AddedColleague(given.name, given.email or "", phone, given.job_title, given.language, given.timezone)
    try:
        contact_id = people.add_colleague(ask.db, new, account_id=account, by=ask.me.by, now=ask.now)
    except Refused as refused:
        return _add_page(ask, found, filled.with_error("email", refused.message))
    journeys.hear_account_change(ask.db, ask.house, account_id=account, now=ask.now)
    return ask.see_other(_back(account, contact_id), said=N_("%(name)s is a contact now."), name=given.name)


def _add_page(ask: AskOfStaff, account: accounts.AccountDetail, form: Filled[Any]) -> Response:
    values: dict[str, Any] = {"account": account, "zones": zone_groups(ask.now, ask.locale), "labels": labels}
    if form.errors:
        return ask.invalid("staff/add_contact.html", form=form, **values)
    return ask.page("staff/add_contact.html", form=form, **values)


# One of them


@pages.get("/customers/{account}/people/{person}")
def contact(ask: StaffAsk, account: Id, person: Id) -> Response:
    """How they want to be reached, what they may do, how far their start has got."""
    return _contact_page(ask, account, _member(ask, account, person), empty_form())


def _contact_page(ask: AskOfStaff, account_id: int, member: TeamMember, form: Filled[Any]) -> Response:
    wish = next((one for one in people_queries.erasure_wishes(ask.db) if one.contact_id == member.id), None)
    wishes = people_queries.wishes_of(ask.db, [member.id])[member.id]
    values: dict[str, Any] = {
        "account": _account(ask, account_id),
        "member": member,
        "wishes": wishes,
        "their_city": city(wishes.timezone, ask.locale),
        "refused": people_queries.topics_refused(ask.db, member.email),
        "erasure": wish,
        "asked": member.is_primary if (choice := asking_ledger.choice_of(ask.db, member.id)) is None else choice,
        "labels": labels,
    }
    if form.errors:
        return ask.invalid("staff/contact.html", form=form, **values)
    return ask.page("staff/contact.html", form=form, **values)


@talks.post("/customers/{account}/people/{person}/main-contact")
def make_main_contact(ask: StaffAsk, account: Id, person: Id) -> Response:
    name = people.hand_over(ask.db, contact_id=person, account_id=account, by=ask.me.by, now=ask.now)
    journeys.hear_account_change(ask.db, ask.house, account_id=account, now=ask.now)
    return ask.see_other(_back(account, person), said=N_("%(name)s is the main contact now."), name=name)


@talks.post("/customers/{account}/people/{person}/asking")
def ask_them(ask: StaffAsk, account: Id, person: Id) -> Response:
    """Surveys go to this person from now on."""
    name = asking_ledger.choose(ask.db, contact_id=person, account_id=account, is_asked=True, by=ask.me.by, now=ask.now)
    return ask.see_other(_back(account, person), said=N_("We ask %(name)s from now on."), name=name)


@talks.post("/customers/{account}/people/{person}/asking/end")
def ask_them_no_more(ask: StaffAsk, account: Id, person: Id) -> Response:
    name = asking_ledger.choose(
        ask.db, contact_id=person, account_id=account, is_asked=False, by=ask.me.by, now=ask.now
    )
    return ask.see_other(_back(account, person), said=N_("We don’t ask %(name)s any more."), name=name)


@talks.post("/customers/{account}/people/{person}/inviting")
def allow_inviting(ask: StaffAsk, account: Id, person: Id) -> Response:
    name = people.allow_inviting(ask.db, contact_id=person, account_id=account, by=ask.me.by, now=ask.now)
    return ask.see_other(_back(account, person), said=N_("%(name)s may invite colleagues now."), name=name)


@talks.post("/customers/{account}/people/{person}/inviting/end")
def stop_inviting(ask: StaffAsk, account: Id, person: Id) -> Response:
    name = people.stop_inviting(ask.db, contact_id=person, account_id=account, by=ask.me.by, now=ask.now)
    return ask.see_other(_back(account, person), said=N_("%(name)s no longer invites colleagues."), name=name)


@talks.post("/customers/{account}/people/{person}/removal")
def remove(ask: StaffAsk, account: Id, person: Id) -> Response:
    """Ends their access at once. The main contact's only after somebody else became it."""
    member = _member(ask, account, person)
    filled = read_form(Sure, ask.form)
    if filled.value is None or not filled.value.sure:
        wrong = filled.with_error("sure", N_("Please tick the box, so that nothing happens by accident."))
        return _contact_page(ask, account, member, wrong)
    name = people.remove(ask.db, contact_id=person, account_id=account, by=ask.me.by, now=ask.now)
    return ask.see_other(f"/staff/customers/{account}", said=N_("%(name)s no longer has access."), name=name)


@privacy.post("/customers/{account}/people/{person}/forgetting")
def settle_erasure(ask: StaffAsk, account: Id, person: Id) -> Response:
    """An administrator has dealt with the request to be forgotten."""
    _member(ask, account, person)
    wish = next((one for one in people_queries.erasure_wishes(ask.db) if one.contact_id == person), None)
    if wish is None:
        raise NotFound
    people.settle_erasure(ask.db, request_id=wish.id, by=ask.me.by, now=ask.now)
    return ask.see_other(_back(account, person), said=N_("Noted as dealt with."))


# Invitations


@talks.post("/customers/{account}/invitations/{invitation}/withdrawal")
def withdraw(ask: StaffAsk, account: Id, invitation: Id) -> Response:
    name = people.withdraw(ask.db, invitation_id=invitation, account_id=account, by=ask.me.by, now=ask.now)
    return ask.see_other(
        f"/staff/customers/{account}#pp", said=N_("The invitation to %(name)s is taken back."), name=name
    )

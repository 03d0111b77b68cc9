"""Your team: who of the company is here, inviting colleagues, what each may do, leaving."""

from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, StringConstraints
from starlette.responses import Response

from portal.accounts import people, people_queries
from portal.accounts.people import NewColleague
from portal.accounts.people_queries import TeamMember
from portal.accounts.rules import Language, NotInvited, Right, Standing, may
from portal.auth import TooMany
from portal.deps import AskOfCustomer, CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Email, Filled, empty_form, read_form
from portal.text import RequiredLine
from portal.web import SESSION_COOKIE, delete_cookie

pages = customer_pages()

WHY_NOT: dict[NotInvited, str] = {
    NotInvited.ALREADY_HERE: N_("They are here already."),
    NotInvited.ALREADY_INVITED: N_("They have an invitation already. You can send it again below."),
    NotInvited.FULL: N_("That’s as many people as we have room for here. Ask your consultant for more."),
    NotInvited.OTHER_DOMAIN: N_(
        "You can invite addresses of your own company. For anybody else, ask your consultant to add them."
    ),
    # One sentence for both: whether an address is known to us, or what its owner asked for, is nobody else's business.
    NotInvited.ELSEWHERE: N_("We can’t write to this address from here. Ask your consultant to add them."),
    NotInvited.NO_CONTACT: N_("We can’t write to this address from here. Ask your consultant to add them."),
}
TOO_MANY = N_("That’s a lot of invitations for one day. Please go on tomorrow.")


class NotYours(Refused):
    """A colleague may not do this to another."""

    status = 403

    def __init__(self) -> None:
        super().__init__(N_("Your main contact can do this. Ask them, or your consultant."))


class InvitationForm(BaseModel):
    name: Annotated[RequiredLine, StringConstraints(max_length=120)]
    email: Email
    language: Language


class Sure(BaseModel):
    sure: bool = False


class Row(NamedTuple):
    """A colleague with what the reader may know and do."""

    member: TeamMember
    is_me: bool
    seen: str
    """Coarse on purpose: colleagues needn't know who looked when. A msgid."""


def _seen(at: datetime | None, now: datetime) -> str:
    if at is None:
        return N_("Not here lately")
    if now - at < timedelta(days=7):
        return N_("Here this week")
    return N_("Here this month") if now - at < timedelta(days=31) else N_("Not here lately")


def _may(ask: AskOfCustomer, right: Right) -> Standing:
    """Errors: NotYours for whoever hasn't that right."""
    standing = people_queries.standing_of(ask.db, ask.me.contact_id)
    if not may(standing, right):
        raise NotYours
    return standing


def _shown(ask: AskOfCustomer, form: Filled[Any]) -> dict[str, Any]:
    members = people_queries.team(ask.db, ask.me.account_id)
    me = next(member for member in members if member.id == ask.me.contact_id)
    return {
        "form": form,
        "rows": [Row(m, m.id == me.id, _seen(m.last_seen_at, ask.now)) for m in members],
        "pending": people_queries.pending(ask.db, ask.me.account_id) if _has(me, Right.INVITE_COLLEAGUES) else (),
        "can": {right.value: _has(me, right) for right in Right},
        "host": people_queries.host(ask.db, ask.me.account_id),
        "invite_domains": ask.settings.invite_domains,
    }


def _has(member: TeamMember, right: Right) -> bool:
    return may(member.standing, right)


@pages.get("/team")
def team(ask: CustomerAsk) -> Response:
    return ask.page("customer/team.html", **_shown(ask, empty_form({"language": ask.locale})))


@pages.post("/team/invitations")
def invite(ask: CustomerAsk) -> Response:
    """Invites a colleague by mail, or says beside the address why not."""
    _may(ask, Right.INVITE_COLLEAGUES)
    filled = read_form(InvitationForm, ask.form)
    if filled.value is None:
        return ask.invalid("customer/team.html", **_shown(ask, filled))
    new = NewColleague(**dict(filled.value))
    account_id = ask.me.account_id
    try:
        why = people.invite(
            ask.db, ask.house, new, account_id=account_id, by=ask.me.by, inviter_name=ask.me.name, now=ask.now
        )
    except TooMany:
        return ask.invalid("customer/team.html", **_shown(ask, filled.with_error("email", TOO_MANY)))
    if why is not None:
        return ask.invalid("customer/team.html", **_shown(ask, filled.with_error("email", WHY_NOT[why])))
    return ask.see_other("/team#pending", said=N_("Your invitation to %(name)s is on its way."), name=new.name)


@pages.post("/team/invitations/{invitation}/again")
def invite_again(ask: CustomerAsk, invitation: Id) -> Response:
    """Sends it once more; the link in the first mail ends."""
    _may(ask, Right.INVITE_COLLEAGUES)
    account_id = ask.me.account_id
    name = people.invite_again(ask.db, invitation_id=invitation, account_id=account_id, by=ask.me.by, now=ask.now)
    return ask.see_other("/team#pending", said=N_("Your invitation to %(name)s is on its way."), name=name)


@pages.post("/team/invitations/{invitation}/withdrawal")
def withdraw(ask: CustomerAsk, invitation: Id) -> Response:
    """Takes it back."""
    _may(ask, Right.INVITE_COLLEAGUES)
    account_id = ask.me.account_id
    name = people.withdraw(ask.db, invitation_id=invitation, account_id=account_id, by=ask.me.by, now=ask.now)
    return ask.see_other("/team", said=N_("The invitation to %(name)s is taken back."), name=name)


# What the main contact decides


def _colleague(ask: AskOfCustomer, contact_id: int) -> TeamMember:
    """Somebody else of the same account. Errors: NotFound."""
    for member in people_queries.team(ask.db, ask.me.account_id):
        if member.id == contact_id and member.id != ask.me.contact_id:
            return member
    raise NotFound


@pages.post("/team/{person}/inviting")
def allow_inviting(ask: CustomerAsk, person: Id) -> Response:
    """They may invite colleagues, too."""
    _may(ask, Right.DECIDE_WHO_INVITES)
    _colleague(ask, person)
    name = people.allow_inviting(ask.db, contact_id=person, account_id=ask.me.account_id, by=ask.me.by, now=ask.now)
    return ask.see_other("/team", said=N_("%(name)s may invite colleagues now."), name=name)


@pages.post("/team/{person}/inviting/end")
def stop_inviting(ask: CustomerAsk, person: Id) -> Response:
    """They may not any more."""
    _may(ask, Right.DECIDE_WHO_INVITES)
    _colleague(ask, person)
    name = people.stop_inviting(ask.db, contact_id=person, account_id=ask.me.account_id, by=ask.me.by, now=ask.now)
    return ask.see_other("/team", said=N_("%(name)s no longer invites colleagues."), name=name)


@pages.get("/team/{person}/removal")
def ask_removal(ask: CustomerAsk, person: Id) -> Response:
    _may(ask, Right.REMOVE_COLLEAGUES)
    return _confirm(ask, "removal", _colleague(ask, person), empty_form())


@pages.post("/team/{person}/removal")
def remove(ask: CustomerAsk, person: Id) -> Response:
    """Ends a colleague's access at once."""
    _may(ask, Right.REMOVE_COLLEAGUES)
    colleague = _colleague(ask, person)
    sure = _sure(ask)
    if sure.value is None:
        return _confirm(ask, "removal", colleague, sure)
    people.remove(ask.db, contact_id=person, account_id=ask.me.account_id, by=ask.me.by, now=ask.now)
    return ask.see_other("/team", said=N_("%(name)s no longer has access."), name=colleague.name)


@pages.get("/team/{person}/main-contact")
def ask_handover(ask: CustomerAsk, person: Id) -> Response:
    _may(ask, Right.HAND_OVER)
    return _confirm(ask, "handover", _colleague(ask, person), empty_form())


@pages.post("/team/{person}/main-contact")
def hand_over(ask: CustomerAsk, person: Id) -> Response:
    """Somebody else is the main contact from now on."""
    _may(ask, Right.HAND_OVER)
    colleague = _colleague(ask, person)
    sure = _sure(ask)
    if sure.value is None:
        return _confirm(ask, "handover", colleague, sure)
    people.hand_over(ask.db, contact_id=person, account_id=ask.me.account_id, by=ask.me.by, now=ask.now)
    return ask.see_other("/team", said=N_("%(name)s is the main contact now."), name=colleague.name)


@pages.get("/leaving")
def ask_leaving(ask: CustomerAsk) -> Response:
    return _confirm(ask, "leaving", None, empty_form())


@pages.post("/leaving")
def leave(ask: CustomerAsk) -> Response:
    """A contact leaves this portal; the main one only after somebody took over."""
    sure = _sure(ask)
    if sure.value is None or ask.me.is_primary:
        return _confirm(ask, "leaving", None, sure)
    me, house = ask.me, ask.house
    people.remove(ask.db, contact_id=me.contact_id, account_id=me.account_id, by=me.by, now=ask.now)
    response = ask.see_other("/sign-in", said=N_("You have left. Thank you for the time with us."))
    delete_cookie(response, house.settings, SESSION_COOKIE)
    return response


def _sure(ask: AskOfCustomer) -> Filled[Sure]:
    filled = read_form(Sure, ask.form)
    if filled.value is not None and not filled.value.sure:
        return filled.with_error("sure", N_("Please tick the box, so that nothing happens by accident."))
    return filled


def _confirm(ask: AskOfCustomer, what: str, colleague: TeamMember | None, form: Filled[Any]) -> Response:
    """A page with a second control before something that can't be taken back with a click."""
    values: dict[str, Any] = {"what": what, "colleague": colleague, "at": ask.path}
    if form.errors:
        return ask.invalid("customer/team_confirm.html", form=form, **values)
    return ask.page("customer/team_confirm.html", form=form, **values)

"""Coming in by a colleague's invitation, and confirming a new address: both by a link in a mail.

Looking changes nothing, and no lone button does: scanners fetch links and press what there is to press. What counts is
typing the address that the mail came to.
"""

from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints
from starlette.responses import Response

from portal import auth
from portal.accounts import people, people_queries
from portal.accounts.models import Contact
from portal.accounts.people import Joining, NoLongerOpen
from portal.accounts.people_models import AddressChange, ColleagueInvitation
from portal.accounts.rules import Language
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Email, Filled, Zone, empty_form, read_form
from portal.journeys import actions as journeys
from portal.routes.public.sign_in import start_session
from portal.routes.zones import zone_groups
from portal.text import Line as AnyLine
from portal.text import RequiredLine

pages = public_pages()

OTHER_ADDRESS = N_("The invitation went to another address. Please look at the mail again.")
NOT_THAT_ADDRESS = N_("The mail went to another address. Please look at it again.")


class JoinForm(BaseModel):
    email: Email
    name: Annotated[RequiredLine, StringConstraints(max_length=120)]
    job_title: Annotated[AnyLine, StringConstraints(max_length=120)] = ""
    language: Language
    timezone: Zone


class DeclineForm(BaseModel):
    sure: bool = False
    never_again: bool = False


class AddressForm(BaseModel):
    email: Email


# An invitation


def _invitation(ask: Ask, token: str) -> ColleagueInvitation | None:
    row = people_queries.invitation_of(ask.db, ask.house, token)
    if row is not None:
        ask.speak_to(language=row.language, timezone=ask.settings.default_timezone)
    return row


def _page(ask: Ask, row: ColleagueInvitation | None, token: str, form: Filled[Any], *, status: int = 200) -> Response:
    """What the invited person sees; why it opens nothing, where that is so. Never the address it went to."""
    host = people_queries.host(ask.db, row.account_id) if row is not None else None
    if row is None or host is None or host.has_left or not people.is_open(row, ask.now):
        return ask.page("public/join_closed.html", 410, is_accepted=row is not None and row.accepted_at is not None)
    values: dict[str, Any] = {
        "at": f"/join/{token}",
        "inviter": row.inviter_name,
        "host": host,
        "until": row.expires_at,
        "zones": zone_groups(ask.now, ask.locale),
        "form": form,
    }
    return ask.page("public/join.html", status, **values)


@pages.get("/join/{token}")
def invited(ask: PublicAsk, token: Token) -> Response:
    """Who invites, to what; a form that has nothing in it that only the mail's reader knows."""
    row = _invitation(ask, token)
    known = {"name": row.name, "language": row.language, "timezone": ask.settings.default_timezone} if row else {}
    return _page(ask, row, token, empty_form(known))


@pages.post("/join/{token}")
def join(ask: PublicAsk, token: Token) -> Response:
    """Comes in: a contact from now on, signed in right here."""
    row = _invitation(ask, token)
    filled = read_form(JoinForm, ask.form)
    if row is None or filled.value is None or not people.is_open(row, ask.now):
        return _page(ask, row, token, filled, status=422)
    auth.spend(ask.db, people.JOINING_BY_A_CLIENT, ask.client, now=ask.now)
    given = filled.value
    if not people.right_address(ask.db, row, given.email):
        return _page(ask, row, token, filled.with_error("email", OTHER_ADDRESS), status=422)
    joining = Joining(given.email, given.name, given.job_title, given.language, given.timezone)
    try:
        contact_id = people.join(ask.db, invitation_id=row.id, joining=joining, now=ask.now)
    except NoLongerOpen:
        return _page(ask, row, token, filled, status=410)
    journeys.hear_account_change(ask.db, ask.house, account_id=row.account_id, now=ask.now)
    return start_session(ask, contact_id=contact_id, staff_id=None, way="colleague_invitation", next_path="")


@pages.get("/join/{token}/no")
def ask_to_decline(ask: PublicAsk, token: Token) -> Response:
    return _decline_page(ask, _invitation(ask, token), token, empty_form())


@pages.post("/join/{token}/no")
def decline(ask: PublicAsk, token: Token) -> Response:
    """They’d rather not; with the second box nobody here writes to the address again."""
    row = _invitation(ask, token)
    filled = read_form(DeclineForm, ask.form)
    if filled.value is not None and not filled.value.sure:
        filled = filled.with_error("sure", N_("Please tick the box, so that nothing happens by accident."))
    if row is None or filled.value is None or not people.is_open(row, ask.now):
        return _decline_page(ask, row, token, filled)
    never_again = filled.value.never_again
    people.decline(ask.db, invitation_id=row.id, never_again=never_again, now=ask.now)
    return ask.page("public/join_declined.html", never_again=never_again)


def _decline_page(ask: Ask, row: ColleagueInvitation | None, token: str, form: Filled[Any]) -> Response:
    if row is None or not people.is_open(row, ask.now):
        return _page(ask, row, token, form, status=410)
    values: dict[str, Any] = {
        "at": f"/join/{token}",
        "inviter": row.inviter_name,
        "host": people_queries.host(ask.db, row.account_id),
    }
    if form.errors:
        return ask.invalid("public/join_decline.html", form=form, **values)
    return ask.page("public/join_decline.html", form=form, **values)


# A new address


def _change(ask: Ask, token: str) -> AddressChange:
    """Errors: NotFound for a link that opens nothing (any more)."""
    change = people_queries.change_of(ask.db, ask.house, token)
    if change is None or not people.change_is_open(change, ask.now):
        raise NotFound(N_("This link is no longer open. Ask for the change once more, in your details."))
    person = ask.db.get_one(Contact, change.contact_id)
    ask.speak_to(language=person.language, timezone=person.timezone)
    return change


@pages.get("/address/{token}")
def new_address(ask: PublicAsk, token: Token) -> Response:
    _change(ask, token)
    return ask.page("public/new_address.html", at=f"/address/{token}", form=empty_form())


@pages.post("/address/{token}")
def confirm_address(ask: PublicAsk, token: Token) -> Response:
    """From now on it is theirs."""
    change = _change(ask, token)
    filled = read_form(AddressForm, ask.form)
    if filled.value is not None:
        auth.spend(ask.db, people.JOINING_BY_A_CLIENT, ask.client, now=ask.now)
        if not people.right_new_address(ask.db, change, filled.value.email):
            filled = filled.with_error("email", NOT_THAT_ADDRESS)
    if filled.value is None:
        return ask.invalid("public/new_address.html", at=f"/address/{token}", form=filled)
    try:
        with ask.db.begin_nested():
            people.confirm_address(ask.db, change_id=change.id, now=ask.now)
    except Refused as refused:
        wrong = filled.with_error("email", refused.message)
        return ask.invalid("public/new_address.html", at=f"/address/{token}", form=wrong)
    return ask.page("public/new_address_done.html")

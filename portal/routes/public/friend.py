"""A friend's pages: who invited them, what is in it for them, their details, and the proof of their address.

Opening any of them changes nothing, whoever or whatever opens it; each thing that counts takes something typed or ticked.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal import auth, words
from portal.accounts.rules import Language
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import Email, Filled, empty_form, read_form
from portal.referrals import actions, queries, rules
from portal.referrals.queries import Door
from portal.text import RequiredLine

pages = public_pages()

CONSENT = N_(
    "I agree that %(vendor)s keeps these details to get in touch with me about an offer, and that %(referrer)s sees my name, "
    "my company and how far it gets. I can take this back at any time."
)


def _agreed(value: bool) -> bool:
    if not value:
        raise ValueError(N_("We need your yes before we may write to you."))
    return value


def _certain(value: bool) -> bool:
    if not value:
        raise ValueError(N_("Please tick the box, so that we know it’s you."))
    return value


class DetailsForm(BaseModel):
    name: Annotated[RequiredLine, StringConstraints(max_length=120)]
    company: RequiredLine
    email: Email
    agree: Annotated[bool, AfterValidator(_agreed)] = False

    model_config = {"validate_default": True}


class FirstName(BaseModel):
    first_name: RequiredLine


class NoContact(BaseModel):
    sure: Annotated[bool, AfterValidator(_certain)] = False

    model_config = {"validate_default": True}


# What comes after; fixed words come before the tokens


@pages.get("/r/sent")
def sent(ask: PublicAsk) -> Response:
    return ask.page("public/friend_sent.html")


@pages.get("/r/thanks")
def thanks(ask: PublicAsk) -> Response:
    return ask.page("public/friend_thanks.html")


@pages.get("/r/no-contact")
def no_contact(ask: PublicAsk) -> Response:
    return ask.page("public/friend_no_contact.html")


# A shared link, and a mailed invitation


@pages.get("/r/{token}")
def shared(ask: PublicAsk, token: Token) -> Response:
    return _page(ask, queries.shared_door(ask.db, ask.house, token), f"/r/{token}", empty_form())


@pages.post("/r/{token}")
def leave_details(ask: PublicAsk, token: Token) -> Response:
    return _leave(ask, queries.shared_door(ask.db, ask.house, token), f"/r/{token}")


@pages.get("/r/i/{token}")
def invited(ask: PublicAsk, token: Token) -> Response:
    door = queries.invited_door(ask.db, ask.house, token)
    return _page(
        ask, door, f"/r/i/{token}", empty_form({"name": door.invitation.friend_name if door.invitation else ""})
    )


@pages.post("/r/i/{token}")
def answer_invitation(ask: PublicAsk, token: Token) -> Response:
    return _leave(ask, queries.invited_door(ask.db, ask.house, token), f"/r/i/{token}")


@pages.post("/r/i/{token}/no-contact")
def refuse_contact(ask: PublicAsk, token: Token) -> Response:
    door = queries.invited_door(ask.db, ask.house, token)
    filled = read_form(NoContact, ask.form)
    if filled.value is None or door.invitation is None:
        return _page(ask, door, f"/r/i/{token}", filled, status=422)
    actions.refuse_contact(ask.db, door.invitation.id, now=ask.now)
    return ask.see_other("/r/no-contact")


def _leave(ask: Ask, door: Door, path: str) -> Response:
    filled = read_form(DetailsForm, ask.form)
    if filled.value is None:
        return _page(ask, door, path, filled, status=422)
    left = filled.value
    details = actions.Details(
        left.name, left.company, left.email, consent=_consent(ask, door), language=Language(ask.locale)
    )
    invitation_id = door.invitation.id if door.invitation else None
    actions.leave_details(
        ask.db,
        ask.house,
        link_id=door.link_id,
        details=details,
        client=ask.client,
        now=ask.now,
        invitation_id=invitation_id,
    )
    return ask.see_other("/r/sent")


def _page(ask: Ask, door: Door, path: str, form: Filled[Any], *, status: int = 200) -> Response:
    return ask.page(
        "public/friend.html",
        status,
        door=door,
        offer=queries.offer(door.programme, ask.locale),
        consent=_consent(ask, door),
        at=path,
        form=form,
    )


def _consent(ask: Ask, door: Door) -> str:
    return words.translate(ask.locale, CONSENT, vendor=ask.settings.vendor_name, referrer=door.referrer)


# The proof of the address


@pages.get("/r/confirm/{token}")
def ask_to_confirm(ask: PublicAsk, token: Token) -> Response:
    referral = queries.to_confirm(ask.db, ask.house, token)
    if referral.refusal is not None:
        return _refused(ask, referral.refusal)
    return ask.page(
        "public/friend_confirm.html", token=token, is_done=referral.accepted_at is not None, form=empty_form()
    )


@pages.post("/r/confirm/{token}")
def confirm(ask: PublicAsk, token: Token) -> Response:
    """Mail scanners press lone buttons; the friend types their first name, as they left it."""
    auth.spend(ask.db, actions.CONFIRMING_BY_A_CLIENT, ask.client, now=ask.now)
    referral = queries.to_confirm(ask.db, ask.house, token)
    filled = read_form(FirstName, ask.form)
    if filled.value is not None and not rules.is_same_first_name(filled.value.first_name, referral.name):
        filled = filled.with_error("first_name", N_("That’s not the name you left. Please type it as you did there."))
    if filled.value is None:
        return ask.invalid("public/friend_confirm.html", form=filled, token=token, is_done=False)
    refused = actions.accept(ask.db, ask.house, referral.id, now=ask.now)
    return ask.see_other("/r/thanks") if refused is None else _refused(ask, refused)


def _refused(ask: Ask, refusal: rules.Refusal) -> Response:
    return ask.page("public/friend_refused.html", 409, reason=words.translate(ask.locale, rules.TO_FRIEND[refusal]))

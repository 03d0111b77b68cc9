"""Referring friends: the customer's own link, invitations by mail, and what became of them."""

from typing import Annotated, Any
from urllib.parse import quote

import segno
from markupsafe import Markup
from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal import words
from portal.accounts.rules import Language
from portal.deps import AskOfCustomer, CustomerAsk, customer_pages
from portal.errors import N_
from portal.forms import Email, Filled, empty_form, read_form
from portal.referrals import actions, queries, rules
from portal.text import Paragraphs, RequiredLine

pages = customer_pages()

_SHARE_WORDS = N_("We work with %(vendor)s, and it does us good. If you’d like to try it: %(gets)s %(url)s")


def _without_link(value: str) -> str:
    if rules.holds_link(value):
        raise ValueError(N_("Please leave links out. The invitation has its own."))
    return value


class InvitationForm(BaseModel):
    name: Annotated[RequiredLine, StringConstraints(max_length=80), AfterValidator(_without_link)]
    email: Email
    note: Annotated[Paragraphs, StringConstraints(max_length=500), AfterValidator(_without_link)] = ""
    language: Language = Language.EN


@pages.get("/refer")
def refer(ask: CustomerAsk) -> Response:
    return ask.page("customer/refer.html", **_shown(ask, empty_form({"language": ask.locale})))


@pages.post("/refer/link")
def make_link(ask: CustomerAsk) -> Response:
    """The terms stand beside the button; pressing it is agreeing to them."""
    actions.make_link(ask.db, ask.me.contact_id, account_id=ask.me.account_id, now=ask.now)
    return ask.see_other("/refer")


@pages.post("/refer/invitations")
def invite(ask: CustomerAsk) -> Response:
    filled = read_form(InvitationForm, ask.form)
    if filled.value is None:
        return _again(ask, filled)
    friend = actions.Friend(**dict(filled.value))
    refused = actions.invite(ask.db, ask.house, ask.me.contact_id, friend=friend, now=ask.now)
    if refused is not None:
        return _again(ask, filled.with_error("email", rules.TO_REFERRER[refused]))
    return ask.see_other("/refer#friends", said=N_("Your invitation to %(name)s is on its way."), name=friend.name)


def _again(ask: AskOfCustomer, filled: Filled[Any]) -> Response:
    return ask.invalid("customer/refer.html", **_shown(ask, filled))


def _shown(ask: AskOfCustomer, form: Filled[Any]) -> dict[str, Any]:
    offer = queries.current_offer(ask.db, ask.locale)
    url = queries.share_url(ask.db, ask.house, ask.me.contact_id)
    shown: dict[str, Any] = {
        "form": form,
        "offer": offer,
        "url": url,
        "friends": queries.friends(ask.db, ask.me.contact_id),
        "left_today": rules.INVITATIONS_A_DAY - actions.invited_lately(ask.db, ask.me.contact_id, now=ask.now),
        "qr": None,
        "whatsapp_url": "",
    }
    if offer is not None and url is not None:
        text = words.translate(
            ask.locale, _SHARE_WORDS, vendor=ask.settings.vendor_name, gets=offer.friend_gets, url=url
        )
        shown |= {"qr": _qr(url), "whatsapp_url": f"https://wa.me/?text={quote(text)}"}
    return shown


def _qr(url: str) -> Markup:
    """The link as a square to scan: black on white in either theme, since many cameras read nothing else."""
    drawn = segno.make(url, error="m").svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - modules of a square, drawn by the library

"""A person who is a contact of several accounts goes on at another one."""

from pydantic import BaseModel
from starlette.responses import Response

from portal import auth
from portal.deps import CustomerAsk, customer_pages
from portal.errors import NotFound
from portal.forms import read_form

pages = customer_pages()


class Choice(BaseModel):
    contact: int
    """Who they are there: one of `auth.accounts_of`."""


@pages.post("/current-account")
def switch_account(ask: CustomerAsk) -> Response:
    chosen = read_form(Choice, ask.form).value
    if chosen is None:
        raise NotFound
    auth.switch_account(ask.db, ask.me, chosen.contact)
    return ask.see_other("/")

"""Somebody of the staff's own settings: how customers reach them, and how the portal speaks to them."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal.accounts import actions
from portal.accounts.deal_problems import Problem
from portal.accounts.deal_values import phone_of
from portal.accounts.models import Staff
from portal.accounts.rules import Language
from portal.deps import AskOfStaff, StaffAsk, staff_pages
from portal.errors import N_
from portal.forms import Filled, Zone, empty_form, read_form
from portal.routes.staff import labels
from portal.routes.staff.customers import zone_names
from portal.text import RequiredLine, clean_line

pages = staff_pages()


def _web_address(value: str) -> str:
    if value and not value.startswith("https://"):
        raise ValueError(N_("Please enter an address that begins with https://."))
    return value


def _phone(value: str) -> str:
    if not value:
        return ""
    number = phone_of(value, ())
    if isinstance(number, Problem):
        raise ValueError(N_("Write the number with its country code, such as +55 11 91234 5678."))
    return number.first


Phone = Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=40), AfterValidator(_phone)]
WebAddress = Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=500), AfterValidator(_web_address)]


class OwnSettings(BaseModel):
    name: RequiredLine
    phone: Phone = ""
    whatsapp: Phone = ""
    meeting_url: WebAddress = ""
    language: Language
    timezone: Zone


@pages.get("/settings")
def own_settings(ask: StaffAsk) -> Response:
    """Their own details as they stand."""
    person = ask.db.get_one(Staff, ask.me.staff_id)
    known = {field: str(getattr(person, field)) for field in OwnSettings.model_fields}
    return _page(ask, empty_form(known))


@pages.post("/settings")
def change_own_settings(ask: StaffAsk) -> Response:
    """Keeps them; customers see the new ones from their next page on."""
    filled = read_form(OwnSettings, ask.form)
    if filled.value is None:
        return _page(ask, filled)
    actions.change_own_details(ask.db, staff_id=ask.me.staff_id, details=filled.value.model_dump(), now=ask.now)
    return ask.see_other("/staff/settings", said=N_("Saved."))


def _page(ask: AskOfStaff, form: Filled[Any]) -> Response:
    values: dict[str, Any] = {"email": ask.me.email, "zones": zone_names(), "labels": labels}
    if form.errors:
        return ask.invalid("staff/settings.html", form=form, **values)
    return ask.page("staff/settings.html", form=form, **values)

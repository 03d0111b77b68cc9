"""Somebody of the staff's own settings: how customers reach them, and how the portal speaks to them."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal import words
from portal.accounts import actions, portraits
from portal.accounts.deal_problems import Problem
from portal.accounts.deal_values import phone_of
from portal.accounts.models import Staff
from portal.accounts.rules import Language
from portal.deps import AskOfStaff, StaffAsk, staff_pages
from portal.errors import N_
from portal.forms import Filled, Zone, empty_form, read_form
from portal.media import MediaRefused
from portal.routes.staff import labels
from portal.routes.zones import zone_groups
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


def _page(ask: AskOfStaff, form: Filled[Any], *, portrait_error: str = "") -> Response:
    values: dict[str, Any] = {"email": ask.me.email, "zones": zone_groups(ask.now, ask.locale), "labels": labels}
    if form.errors:
        return ask.invalid("staff/settings.html", form=form, **values)
    status = 422 if portrait_error else 200
    return ask.page("staff/settings.html", status, form=form, portrait_error=portrait_error, **values)


# Their picture


@pages.post("/settings/portrait")
def wear_portrait(ask: StaffAsk) -> Response:
    """A picture that customers see, for who wants one."""
    upload = ask.files.get("portrait")
    person = ask.db.get_one(Staff, ask.me.staff_id)
    known = empty_form({field: str(getattr(person, field)) for field in OwnSettings.model_fields})
    if upload is None:
        return _page(ask, known, portrait_error=words.translate(ask.locale, N_("Please choose a picture first.")))
    try:
        portraits.wear(ask.db, ask.house, person, upload, by=ask.me.by, now=ask.now)
    except MediaRefused as refused:
        return _page(ask, known, portrait_error=words.translate(ask.locale, refused.message, **refused.values))
    return ask.see_other("/staff/settings#picture", said=N_("That’s your picture now."))


@pages.post("/settings/portrait/end")
def take_portrait_off(ask: StaffAsk) -> Response:
    portraits.take_off(ask.db, ask.db.get_one(Staff, ask.me.staff_id), by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/settings#picture", said=N_("Your initials stand there again."))

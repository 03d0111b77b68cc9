"""A person's own details: name, phone, language, time zone, how they like to be reached."""

from zoneinfo import available_timezones

import phonenumbers
from pydantic import BaseModel
from starlette.responses import Response

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Channel, Language
from portal.audit import Event, Happened, note
from portal.deps import CustomerAsk, customer_pages
from portal.errors import N_
from portal.forms import Zone, empty_form, read_form
from portal.journeys import intake
from portal.text import Line, RequiredLine

pages = customer_pages()


class Details(BaseModel):
    name: RequiredLine
    phone: Line = ""
    channel: Channel
    language: Language
    timezone: Zone


@pages.get("/details")
def details(ask: CustomerAsk) -> Response:
    person = ask.db.get_one(Contact, ask.me.contact_id)
    typed = {
        "name": person.name,
        "phone": person.phone,
        "channel": person.channel.value,
        "language": person.language.value,
        "timezone": person.timezone,
    }
    return ask.page("customer/details.html", form=empty_form(typed), email=person.email, zones=zones())


@pages.post("/details")
def change_details(ask: CustomerAsk) -> Response:
    filled = read_form(Details, ask.form)
    person = ask.db.get_one(Contact, ask.me.contact_id)
    account = ask.db.get_one(Account, ask.me.account_id)
    phone = ""
    if filled.value is not None and filled.value.phone:
        phone = international(filled.value.phone, filled.value.timezone)
        if not phone:
            filled = filled.with_error(
                "phone", N_("Write the number with its country code, such as +55 11 91234 5678.")
            )
    if filled.value is not None and not phone and not person.email:
        filled = filled.with_error("phone", N_("We need at least one way to reach you."))
    if filled.value is None:
        return ask.invalid("customer/details.html", form=filled, email=person.email, zones=zones())
    given = filled.value
    person.name, person.phone, person.channel = given.name, phone, given.channel
    person.language, person.timezone = given.language, given.timezone
    ask.db.flush()
    intake.refresh_search(ask.db, account.id)
    note(ask.db, Event(Happened.CONTACT_CHANGED, ask.me.by, ask.now, account.id, None, person.id))
    return ask.see_other("/details", said=N_("Saved."))


def international(typed: str, zone_name: str) -> str:
    """The number in E.164; empty if it is none. Without a country code the zone's usual country is tried."""
    region = {"America/Sao_Paulo": "BR", "Europe/Lisbon": "PT", "Europe/London": "GB", "America/New_York": "US"}
    try:
        number = phonenumbers.parse(typed, region.get(zone_name))
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def zones() -> list[str]:
    """The time zones that people live in, by name."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))

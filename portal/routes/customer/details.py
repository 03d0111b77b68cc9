"""A person's own details: who they are, their language and zone, another address, what is wrong with their company's data,
and what we keep of them to take away.
"""

from datetime import date
from typing import Annotated, Any

import phonenumbers
from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal import words
from portal.accounts import people, people_queries, portraits
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.audit import Event, Happened, note
from portal.deps import AskOfCustomer, CustomerAsk, customer_pages
from portal.errors import N_
from portal.forms import Email, Filled, Zone, empty_form, read_form
from portal.journeys.corrections import suggest_correction
from portal.media import MediaRefused
from portal.routes.customer import own_data
from portal.routes.zones import zone_groups
from portal.text import Line, Paragraphs, RequiredLine, clean

pages = customer_pages()

NO_PICTURE = N_("Please choose a picture first.")
WRITE_WHAT = N_("Please write what should be different.")


def _of_a_person(value: date) -> date:
    if not 1900 <= value.year <= 2100:
        raise ValueError(N_("Please check the year."))
    return value


class Details(BaseModel):
    name: Annotated[RequiredLine, StringConstraints(max_length=120)]
    job_title: Annotated[Line, StringConstraints(max_length=120)] = ""
    phone: Line = ""
    language: Language
    timezone: Zone
    birthday: Annotated[date, AfterValidator(_of_a_person)] | None = None


class NewAddress(BaseModel):
    new_email: Email


class Correction(BaseModel):
    correction: Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, max_length=2000)]


class Forgetting(BaseModel):
    words: Annotated[Paragraphs, StringConstraints(max_length=1000)] = ""
    sure: bool = False


def _own_form(person: Contact) -> Filled[Any]:
    return empty_form(
        {
            "name": person.name,
            "job_title": person.job_title,
            "phone": person.phone,
            "language": person.language.value,
            "timezone": person.timezone,
            "birthday": person.birthday.isoformat() if person.birthday else "",
        }
    )


def _page(ask: AskOfCustomer, *, portrait_error: str = "", **forms: Filled[Any]) -> Response:
    """The whole page; the form that came back with mistakes, if one did, in place of the empty one."""
    person = ask.db.get_one(Contact, ask.me.contact_id)
    account = ask.db.get_one(Account, ask.me.account_id)
    empty = empty_form()
    values: dict[str, Any] = {
        "form": forms.get("form") or _own_form(person),
        "address_form": forms.get("address_form") or empty,
        "correction_form": forms.get("correction_form") or empty,
        "email": person.email,
        "waiting_address": people_queries.waiting_change(ask.db, person.id, now=ask.now),
        "company": account,
        "zones": zone_groups(ask.now, ask.locale),
        "asked_to_be_forgotten": people_queries.asked_to_be_forgotten_at(ask.db, person.id),
    }
    status = 422 if forms or portrait_error else 200
    return ask.page("customer/details.html", status, portrait_error=portrait_error, **values)


@pages.get("/details")
def details(ask: CustomerAsk) -> Response:
    return _page(ask)


@pages.post("/details")
def change_details(ask: CustomerAsk) -> Response:
    """Who they are, as they say it."""
    filled = read_form(Details, ask.form)
    person = ask.db.get_one(Contact, ask.me.contact_id)
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
        return _page(ask, form=filled)
    given = filled.value
    person.name, person.phone, person.job_title = given.name, phone, given.job_title
    person.language, person.timezone, person.birthday = given.language, given.timezone, given.birthday
    ask.db.flush()
    people.refresh_search(ask.db, ask.me.account_id)
    note(ask.db, Event(Happened.CONTACT_CHANGED, ask.me.by, ask.now, ask.me.account_id, None, person.id))
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


@pages.post("/details/address")
def ask_for_address(ask: CustomerAsk) -> Response:
    """Another address: nothing changes before it is confirmed from there."""
    filled = read_form(NewAddress, ask.form)
    if filled.value is not None and filled.value.new_email == ask.me.email:
        filled = filled.with_error("new_email", N_("That is your address already."))
    if filled.value is None:
        return _page(ask, address_form=filled)
    new_email = filled.value.new_email
    try:
        people.ask_for_address(ask.db, contact_id=ask.me.contact_id, new_email=new_email, now=ask.now)
    except people.AddressNotUsable as refused:
        return _page(ask, address_form=filled.with_error("new_email", refused.message))
    return ask.see_other(
        "/details#address", said=N_("We’ve written to %(address)s. Confirm it from there."), address=new_email
    )


@pages.post("/details/correction")
def correct_company(ask: CustomerAsk) -> Response:
    """What is wrong with the company's data: the consultant reads the words and puts it right."""
    filled = read_form(Correction, ask.form)
    if filled.value is None:
        if not ask.form.get("correction", "").strip():
            filled = filled.with_error("correction", WRITE_WHAT)
        return _page(ask, correction_form=filled)
    me = ask.me
    said = filled.value.correction
    suggest_correction(ask.db, ask.house, account_id=me.account_id, contact_id=me.contact_id, words=said, now=ask.now)
    return ask.see_other("/details#company", said=N_("Thank you. Your consultant will look at it."))


# Their picture


@pages.post("/details/portrait")
def wear_portrait(ask: CustomerAsk) -> Response:
    """A picture of theirs, for who wants one."""
    upload = ask.files.get("portrait")
    if upload is None:
        return _page(ask, portrait_error=words.translate(ask.locale, NO_PICTURE))
    person = ask.db.get_one(Contact, ask.me.contact_id)
    try:
        portraits.wear(ask.db, ask.house, person, upload, by=ask.me.by, now=ask.now)
    except MediaRefused as refused:
        return _page(ask, portrait_error=words.translate(ask.locale, refused.message, **refused.values))
    return ask.see_other("/details#picture", said=N_("That’s your picture now."))


@pages.post("/details/portrait/end")
def take_portrait_off(ask: CustomerAsk) -> Response:
    portraits.take_off(ask.db, ask.db.get_one(Contact, ask.me.contact_id), by=ask.me.by, now=ask.now)
    return ask.see_other("/details#picture", said=N_("Your initials stand there again."))


# What we keep of them


@pages.post("/details/data")
def take_away(ask: CustomerAsk) -> Response:
    """Everything that we keep of this person, as one file to read and one for machines."""
    note(
        ask.db,
        Event(Happened.DATA_EXPORTED, ask.me.by, ask.now, ask.me.account_id, None, ask.me.contact_id),
    )
    me = own_data.Whose(ask.me.contact_id, ask.me.account_id, ask.me.name)
    content = own_data.archive(ask, me)
    return ask.file(content, name=f"onward-{ask.now:%Y-%m-%d}.zip", media_type="application/zip")


@pages.get("/details/forgetting")
def ask_forgetting(ask: CustomerAsk) -> Response:
    return _forgetting(ask, empty_form())


@pages.post("/details/forgetting")
def be_forgotten(ask: CustomerAsk) -> Response:
    """A request to be forgotten: it reaches every administrator."""
    filled = read_form(Forgetting, ask.form)
    if filled.value is not None and not filled.value.sure:
        filled = filled.with_error("sure", N_("Please tick the box, so that nothing happens by accident."))
    if filled.value is None:
        return _forgetting(ask, filled)
    people.ask_to_be_forgotten(ask.db, contact_id=ask.me.contact_id, words=filled.value.words, now=ask.now)
    return ask.see_other("/details#data", said=N_("We have your request. You’ll hear from us within 15 days."))


def _forgetting(ask: AskOfCustomer, form: Filled[Any]) -> Response:
    if form.errors:
        return ask.invalid("customer/forgetting.html", form=form)
    return ask.page("customer/forgetting.html", form=form)

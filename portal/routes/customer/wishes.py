"""How somebody wants to be reached: channel, hours, how often, and which mails; the look of the pages."""

from datetime import time
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from portal import mail
from portal.accounts import people, people_queries
from portal.accounts.models import Contact
from portal.accounts.rules import Channel, Frequency, StartStep, Wishes
from portal.deps import AskOfCustomer, CustomerAsk, customer_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.mail import Purpose
from portal.routes.picking import city

pages = customer_pages()

TOPIC_WORDS: dict[Purpose, tuple[str, str]] = {
    Purpose.SURVEY: (N_("Check-in questions"), N_("Two or three short questions at day 30, 60 and 90.")),
    Purpose.REMINDER: (N_("Reminders"), N_("One nudge when a question or a step waits for you.")),
    Purpose.NEWS: (N_("News"), N_("What is new in what you use, once a month at most.")),
    Purpose.OFFER: (N_("Offers"), N_("Only what fits what you told us you’re interested in.")),
    Purpose.REFERRAL: (N_("Asking for a recommendation"), N_("When things go well, whether you know somebody for us.")),
}
FREQUENCY_WORDS: dict[Frequency, tuple[str, str]] = {
    Frequency.USUAL: (N_("As usual"), N_("One request a week at most")),
    Frequency.LESS: (N_("Less"), N_("One every two weeks at most")),
    Frequency.MONTHLY: (N_("Rarely"), N_("One a month at most")),
    Frequency.NECESSARY: (N_("Only what’s necessary"), N_("Nothing but the check-ins of your plan")),
}
CHANNEL_WORDS: dict[Channel, tuple[str, str]] = {
    Channel.EMAIL: (N_("E-mail"), "mail"),
    Channel.PHONE: (N_("Phone"), "phone"),
    Channel.WHATSAPP: (N_("WhatsApp"), "whats"),
    Channel.PORTAL: (N_("Message here"), "chat"),
}
NEEDS_A_NUMBER = N_("For that we need your number. Write it in your details first.")


class WishesForm(BaseModel):
    channel: Channel
    frequency: Frequency
    hours_from: time
    hours_until: time
    weekday: list[Annotated[str, StringConstraints(pattern=r"^[0-6]$")]] = Field(default_factory=list, max_length=7)
    topic: list[Purpose] = Field(default_factory=list, max_length=20)


def _page(ask: AskOfCustomer, form: Filled[Any] | None = None) -> Response:
    person = ask.db.get_one(Contact, ask.me.contact_id)
    values: dict[str, Any] = {
        "email": person.email,
        "phone": person.phone,
        "city": city(person.timezone, ask.locale),
        "topics": [(purpose.value, *words) for purpose, words in TOPIC_WORDS.items()],
        "frequencies": [(frequency.value, *words) for frequency, words in FREQUENCY_WORDS.items()],
        "channels": [(channel.value, *words) for channel, words in CHANNEL_WORDS.items()],
    }
    if form is not None:
        return ask.invalid("customer/preferences.html", form=form, **values)
    wishes = people_queries.wishes_of(ask.db, [person.id])[person.id]
    refused = people_queries.topics_refused(ask.db, person.email)
    known = empty_form(
        {
            "channel": wishes.channel.value,
            "frequency": wishes.frequency.value,
            "hours_from": wishes.hours_from.strftime("%H:%M"),
            "hours_until": wishes.hours_until.strftime("%H:%M"),
            "weekday": [str(day) for day in sorted(wishes.weekdays)],
            "topic": [purpose.value for purpose in mail.TOPICS if purpose not in refused],
        }
    )
    return ask.page("customer/preferences.html", form=known, **values)


@pages.get("/preferences")
def preferences(ask: CustomerAsk) -> Response:
    return _page(ask)


@pages.post("/preferences")
def change_preferences(ask: CustomerAsk) -> Response:
    """Their wishes from now on: whoever wants to ask them something has to ask these first."""
    filled = read_form(WishesForm, ask.form)
    person = ask.db.get_one(Contact, ask.me.contact_id)
    filled = _checked(filled, person)
    if filled.value is None:
        return _page(ask, filled)
    given = filled.value
    wishes = Wishes(
        person.timezone,
        given.channel,
        given.frequency,
        given.hours_from.replace(tzinfo=None),
        given.hours_until.replace(tzinfo=None),
        frozenset(map(int, given.weekday)),
    )
    people.wish(ask.db, contact_id=person.id, wishes=wishes, by=ask.me.by, now=ask.now)
    if person.email:
        wanted = frozenset(given.topic)
        who = {"account_id": ask.me.account_id, "contact_id": person.id}
        people.choose_topics(ask.db, email=person.email, wanted=wanted, by=ask.me.by, now=ask.now, **who)
    people.take_step(ask.db, person.id, StartStep.PREFERENCES, now=ask.now)
    return ask.see_other("/preferences", said=N_("Saved. We’ll keep to it."))


def _checked(filled: Filled[WishesForm], person: Contact) -> Filled[WishesForm]:
    """What only all of the form together, or the person's details, can say."""
    given = filled.value
    if given is None:
        return filled
    if given.channel in (Channel.PHONE, Channel.WHATSAPP) and not person.phone:
        filled = filled.with_error("channel", NEEDS_A_NUMBER)
    if given.channel is Channel.EMAIL and not person.email:
        filled = filled.with_error("channel", N_("We have no e-mail address of yours."))
    if not given.weekday:
        filled = filled.with_error("weekday", N_("Please choose at least one day."))
    if given.hours_from >= given.hours_until:
        filled = filled.with_error("hours_until", N_("This has to be later than the hour before it."))
    return filled

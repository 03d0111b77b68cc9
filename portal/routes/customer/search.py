"""Search: everything that this person may see, from anywhere, as they type."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func
from starlette.responses import Response

from portal.accounts.models import Account, Contact
from portal.db import rows_of
from portal.deps import AskOfCustomer, CustomerAsk, customer_pages
from portal.errors import N_
from portal.journeys import queries as journeys
from portal.journeys.findable import own_journey
from portal.journeys.findable import own_lines as lines_of_journey
from portal.journeys.queries import ConsultantCard
from portal.learning.queries import lessons_for
from portal.learning.rules import Kind as Written
from portal.learning.rules import Lesson
from portal.meetings.findable import own_lines as lines_of_meetings
from portal.meetings.findable import own_meetings
from portal.messages.queries import sees_thread
from portal.routes.customer.learn import reader_of
from portal.search import queries
from portal.search.own import OwnLine, line, united
from portal.search.rules import EVERYBODY, Document, Kind, of_account, of_contact, of_place, of_plan
from portal.words import LOCALES, translate

pages = customer_pages()


class Shelf(NamedTuple):
    """A kind of thing as readers call it (msgid), and its picture."""

    name: str
    icon: str


SHELVES = {
    Kind.LESSON: Shelf(N_("Lessons"), "book"),
    Kind.EXAMPLE: Shelf(N_("Examples"), "star"),
    Kind.NEWS: Shelf(N_("News"), "info"),
    Kind.PLAN: Shelf(N_("Your plan"), "target"),
    Kind.TOLD: Shelf(N_("What you told us"), "chat"),
    Kind.MEETING: Shelf(N_("Check-ins"), "cal"),
    Kind.PERSON: Shelf(N_("Your consultant"), "user"),
    Kind.MESSAGE: Shelf(N_("Messages"), "chat"),
    Kind.PLACE: Shelf(N_("In your portal"), "path"),
}


class Place(NamedTuple):
    """One of the portal's own pages, and what people call it in either language."""

    path: str
    title: str
    text: str
    names: str


PLACES = (
    Place("/", N_("Home"), N_("Where you are, what happens next and when."), "start inicio painel jornada journey"),
    Place(
        "/plan",
        N_("Your plan"),
        N_("What we agreed, who does what, and when we talk."),
        "plan milestones steps goals print timeline plano etapas metas imprimir cronograma pendencias open points",
    ),
    Place(
        "/check-ins",
        N_("Check-ins"),
        N_("The calls that are planned, and those behind you."),
        "meetings calls calendar agenda reunioes conversas calendario chamadas",
    ),
    Place(
        "/check-ins/new",
        N_("Pick a time"),
        N_("Half an hour with your consultant, at a time you pick."),
        "book meeting schedule appointment slot marcar agendar reuniao horario conversa",
    ),
    Place(
        "/learn",
        N_("Lessons"),
        N_("Short reads for each step of the way."),
        "tutorials training course guide learn aulas tutoriais treinamento curso aprender",
    ),
    Place(
        "/learn/news",
        N_("What’s new"),
        N_("What changed lately, and how to use it."),
        "news release changes updates novidades noticias atualizacoes mudancas",
    ),
    Place(
        "/messages",
        N_("Messages"),
        N_("Write to your consultant, and read what was said."),
        "chat thread conversation write ask mensagens conversa escrever perguntar falar",
    ),
    Place(
        "/team",
        N_("Your team"),
        N_("Who works with you here, and who may see what."),
        "colleagues people invite permissions equipe colegas pessoas convidar permissoes acesso",
    ),
    Place(
        "/preferences",
        N_("Preferences"),
        N_("Which mails you get, how often and at what hours."),
        "preferences notifications unsubscribe mails frequency quiet preferencias notificacoes cancelar emails frequencia",
    ),
    Place(
        "/refer",
        N_("Refer a friend"),
        N_("Your own link, and what became of your invitations."),
        "referral invite reward share recommend indicar indicacao amigo convidar recompensa",
    ),
    Place(
        "/details",
        N_("Your details"),
        N_("Name, phone, language, time zone, and how you like to be reached."),
        "profile account settings password email telephone perfil conta configuracoes idioma fuso dados telefone",
    ),
)


class Group(NamedTuple):
    """What was found of one kind."""

    shelf: Shelf
    hits: Sequence[queries.Hit]


QUICKLY = 6
"""How many things the box in the frame shows; the page has them all."""


@pages.get("/search")
def search(ask: CustomerAsk) -> Response:
    """What was found for `q`. The frame's box asks with `in=box` and gets a short list."""
    typed = ask.query.get("q", "")
    lines = [OwnLine._make(row) for row in rows_of(ask.db, _OWN[ask.locale], _who(ask))]
    stage, own = own_journey(ask.db, lines, locale=ask.locale)
    in_box = ask.htmx and ask.query.get("in") == "box"
    most = QUICKLY if in_box else queries.MOST
    found = NOTHING
    if typed:
        theirs = own_meetings(lines, locale=ask.locale, zone=ask.zone, now=ask.now)
        own = (*own, *theirs, *_places(ask.locale))
        found = queries.find(ask.db, typed, _reader(ask, lines, stage), own=own, most=most)
    values: dict[str, Any] = {
        "q": typed,
        "found": found,
        "groups": grouped(found.hits),
        "consultant": None if found.hits or in_box else _consultant(ask),
        "lessons": () if found.hits or in_box else _lessons(ask, stage),
    }
    if in_box:
        return ask.block("customer/search.html", "quick", **values)
    return ask.page_or_block("customer/search.html", "found", **values)


def _lessons(ask: AskOfCustomer, stage: str) -> list[Lesson]:
    return [each for each in lessons_for(ask.db, reader_of(ask), stage) if each.kind is Written.TUTORIAL]


NOTHING = queries.Found((), ())


def grouped(hits: Sequence[queries.Hit]) -> list[Group]:
    """By kind; the kind with the best hit first, and the order within each kept."""
    by_kind: dict[Kind, list[queries.Hit]] = {}
    for hit in hits:
        by_kind.setdefault(hit.kind, []).append(hit)
    return [Group(SHELVES[kind], those) for kind, those in by_kind.items()]


READER = "reader"
_OWN = {
    locale: united(
        [
            line(READER, id=Account.id, title=func.coalesce(Account.plan, ""), place=func.count(Contact.id))
            .outerjoin(Contact, and_(Contact.id == bindparam("contact_id"), sees_thread(Account.id)))
            .where(Account.id == bindparam("account_id"))
            .group_by(Account.id, Account.plan),
            *lines_of_journey(locale),
            *lines_of_meetings(),
        ]
    )
    for locale in LOCALES
}
"""What the reader bought and whether they may read the thread, and everything that is theirs: one statement a keystroke."""


def _who(ask: AskOfCustomer) -> dict[str, int]:
    return {"account_id": ask.me.account_id, "contact_id": ask.me.contact_id}


def _reader(ask: AskOfCustomer, lines: Sequence[OwnLine], stage: str) -> queries.Reader:
    me = ask.me
    account = next(each for each in lines if each.part == READER)
    plans = of_plan(account.title)
    own_place = reader_of(ask).audience
    who = [EVERYBODY, plans, of_place(EVERYBODY, own_place), of_place(plans, own_place), of_contact(me.contact_id)]
    if account.place:
        who.append(of_account(me.account_id))
    return queries.Reader(ask.locale, tuple(who), stage)


def _consultant(ask: AskOfCustomer) -> ConsultantCard | None:
    journey = journeys.customer_journey(ask.db, ask.me.account_id, locale=ask.locale, now=ask.now)
    return journey.consultant if journey is not None else None


@lru_cache(maxsize=len(LOCALES))
def _places(locale: str) -> tuple[Document, ...]:
    return tuple(
        Document(
            Kind.PLACE,
            place.path,
            locale,
            translate(locale, place.title),
            place.path,
            translate(locale, place.text),
            names=place.names,
        )
        for place in PLACES
    )

"""The outbox, the letters and their way out, against a real mail server."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import delivery, mail
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.audit import AuditEvent, Happened
from portal.clock import FixedClock, SystemClock
from portal.db import Base, Database
from portal.house import House
from portal.mail import Kind, Letter, LetterRow, LetterState, Purpose, Withheld
from portal.settings import Settings
from portal.tables import TABLES
from tests import servers
from tests.letters import CALENDAR_KINDS, COMPOSERS, CONTEXTS, FRIEND_KINDS, STAFF_KINDS

NOW = datetime(2026, 6, 18, 10, 20, tzinfo=UTC)
MARIA, CARLA, BAKERY = 5, 3, 2
LANGUAGES = ("en", "pt-BR")


def a_house(database: Database, *, smtp_url: str = "", now: datetime = NOW) -> House:
    settings = Settings(
        secret_key=SecretStr("s" * 40),
        base_url="https://portal.larderly.example",
        smtp_url=smtp_url,
        vendor_name="Larderly",
        mail_from="Larderly <hello@larderly.example>",
        postal_address="4 Fictional Quay, Bristol",
    )
    return House(settings, database, FixedClock(now), frozenset())


def create_tables(database: Database) -> None:
    assert TABLES
    Base.metadata.create_all(database.write_engine)


@pytest.fixture
def outbox(database: Database) -> Database:
    """A database with Maria at the bakery and Carla, her consultant; no letter yet."""
    create_tables(database)
    with database.write() as db:
        people: list[Any] = [
            Staff(id=CARLA, email="carla@larderly.example", name="Carla Souza", role=Role.CONSULTANT,
                  phone="+5511987654321", whatsapp="+5511987654321", timezone="America/Sao_Paulo", created_at=NOW),
            Account(id=BAKERY, external_id="moss", name="Moss & Rye <b>Bakery", consultant_id=CARLA, created_at=NOW, created_by="test"),
            Contact(id=MARIA, account_id=BAKERY, name="Maria Lima", email="maria@mossrye.example", language=Language.EN,
                    timezone="Europe/London", is_primary=True, created_at=NOW),
        ]  # fmt: skip
        for person in people:
            db.add(person)
            db.flush()
    return database


def a_letter(key: str, kind: Kind = Kind.CONGRATULATIONS, **changes: Any) -> Letter:
    """A letter of that kind as its room would queue it."""
    if kind in FRIEND_KINDS:
        who: dict[str, Any] = {"to_email": "bea@friends.example"}
    elif kind in STAFF_KINDS:
        who = {"to_email": "carla@larderly.example", "staff_id": CARLA, "account_id": BAKERY}
    else:
        who = {"to_email": "maria@mossrye.example", "contact_id": MARIA, "account_id": BAKERY}
    return replace(Letter(key, kind, language="en", context=CONTEXTS[kind], **who), **changes)


def queued(database: Database, *letters: Letter, now: datetime = NOW) -> None:
    with database.write() as db:
        mail.queue_all(db, letters, now=now)


def row_of(database: Database, key: str) -> LetterRow:
    with database.read() as db:
        return db.scalars(select(LetterRow).where(LetterRow.key == key)).one()


def states(database: Database) -> dict[str, LetterState]:
    with database.read() as db:
        return {row.key: row.state for row in db.scalars(select(LetterRow).order_by(LetterRow.id))}


def deliver(house: House, now: datetime = NOW, **options: Any) -> int:
    return delivery.deliver(house, composers=COMPOSERS, now=now, **options)


# Queueing


def test_a_key_is_queued_once_for_ever(outbox: Database) -> None:
    queued(outbox, a_letter("welcome:1"), a_letter("welcome:2"))
    queued(outbox, a_letter("welcome:1", language="pt-BR"), a_letter("welcome:3"))
    with outbox.read() as db:
        found = db.execute(select(LetterRow.key, LetterRow.language).order_by(LetterRow.id)).all()
        assert [tuple(row) for row in found] == [("welcome:1", "en"), ("welcome:2", "en"), ("welcome:3", "en")]
        assert mail.is_queued(db, "welcome:2")
        assert not mail.is_queued(db, "welcome:4")


def test_a_letter_whose_transaction_fails_was_never_queued(outbox: Database) -> None:
    def fails() -> None:
        with outbox.write() as db:
            mail.queue(db, a_letter("welcome:1"), now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert states(outbox) == {}


def test_instants_and_dates_come_back_as_what_they_were(outbox: Database) -> None:
    context = {"starts_at": NOW, "steps": [{"due_on": NOW.date(), "title": "x"}], "next_on": None, "days": 3}
    queued(outbox, a_letter("x", context=context))
    assert mail.revived(row_of(outbox, "x").context) == context


def test_waiting_letters_are_suppressed_with_a_reason_and_sent_ones_stay_sent(outbox: Database) -> None:
    queued(outbox, a_letter("sent"))
    deliver(a_house(outbox))
    queued(
        outbox,
        a_letter("waiting"),
        a_letter("other", Kind.SIGN_IN),
        a_letter("recorded", suppressed="They were asked."),
    )
    with outbox.write() as db:
        assert mail.suppress(db, why="They answered.", now=NOW, kinds=[Kind.CONGRATULATIONS], contact_id=MARIA) == 1
    assert states(outbox) == {
        "sent": LetterState.SENT,
        "waiting": LetterState.SUPPRESSED,
        "other": LetterState.QUEUED,
        "recorded": LetterState.SUPPRESSED,
    }
    with outbox.read() as db:
        assert [(m.state, m.why) for m in mail.messages(db, account_id=BAKERY)] == [
            (LetterState.SENT, ""),
            (LetterState.SUPPRESSED, "They answered."),
            (LetterState.QUEUED, ""),
            (LetterState.SUPPRESSED, "They were asked."),
        ]
        assert mail.messages(db, journey_id=99) == []
    with pytest.raises(ValueError, match="say which"), outbox.write() as db:
        mail.suppress(db, why="All of them.", now=NOW)


# What people read


class _Text(HTMLParser):
    """The visible text of a page, its links and its language."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.links, self.language = "", [""], ""
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._hidden += tag in ("style", "title")
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag == "html":
            self.language = given["lang"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        self.words += "" if self._hidden else data


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_every_letter_says_what_it_should_in_both_parts(outbox: Database, kind: Kind, language: str) -> None:
    house = a_house(outbox)
    queued(outbox, a_letter("it", kind, language=language))
    with outbox.read() as db:
        row = db.scalars(select(LetterRow)).one()
        message = delivery.compose(db, house, row, composers=COMPOSERS)
    subject = message["Subject"]
    assert 0 < len(subject) <= 45
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    words = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    page = _Text(html)
    assert page.language == language
    assert len(html.encode()) < 15_500, "mail programs cut long mails"
    assert "4 Fictional Quay, Bristol" in page.words
    assert "4 Fictional Quay, Bristol" in words
    because = {"en": "You get this because", "pt-BR": "Você recebe este e-mail porque"}[language]
    assert page.words.count(because) == 1
    assert words.count(because) == 1
    assert "style>" not in html.replace('<style data-css-inline="keep">', "").replace("</style>", "", 1)
    assert {link.split(":")[0] for link in page.links[1:]} <= {"https", "tel", "mailto"}
    refusable = mail.MANNERS[kind].purpose is not Purpose.SERVICE
    assert (mail.unsubscribe_url(house, row) in page.links) is refusable
    assert (mail.unsubscribe_url(house, row) in words) is refusable
    own = [link for link in page.links if link.startswith("https://portal.larderly.example/")]
    for link in own:
        if "nps=" not in link and "csat=" not in link:
            assert link in words, "the plain text has every link too"
    assert ("Carla Souza" in page.words) is ("Carla Souza" in words)


def test_every_sentence_of_the_letters_is_translated(outbox: Database) -> None:
    house = a_house(outbox)
    queued(
        outbox, *(a_letter(f"{kind}:{language}", kind, language=language) for kind in Kind for language in LANGUAGES)
    )
    subjects: dict[str, dict[Kind, str]] = {language: {} for language in LANGUAGES}
    with outbox.read() as db:
        for row in db.scalars(select(LetterRow)):
            shown = delivery.rendered(db, house, row.id, composers=COMPOSERS)
            assert shown is not None
            subjects[row.language][row.kind] = shown.subject
    assert [kind for kind in Kind if subjects["en"][kind] == subjects["pt-BR"][kind]] == []
    assert subjects["en"][Kind.SURVEY_30] == "Maria, how are your first 30 days going?"
    assert subjects["pt-BR"][Kind.SURVEY_30] == "Maria, como foram os primeiros 30 dias?"


def test_peoples_words_are_text_in_the_page_and_themselves_in_plain_text(outbox: Database) -> None:
    house = a_house(outbox)
    queued(
        outbox,
        a_letter("it", Kind.FLAG_OPENED, context=CONTEXTS[Kind.FLAG_OPENED] | {"words": "<script>alert(1)</script>"}),
    )
    with outbox.read() as db:
        shown = delivery.rendered(db, house, 1, composers=COMPOSERS)
    assert shown is not None
    assert shown.html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 1
    assert "<script>" not in shown.html
    assert "Moss &amp; Rye &lt;b&gt;Bakery" in shown.html
    assert "> <script>alert(1)</script>" in shown.text
    assert "Customer: Moss & Rye <b>Bakery\n" in shown.text


def test_headers_name_the_consultant_and_let_people_refuse_surveys_only(outbox: Database) -> None:
    house = a_house(outbox)
    kinds = (Kind.SURVEY_30, Kind.SIGN_IN, Kind.FLAG_OPENED, Kind.REFERRAL_INVITATION)
    queued(outbox, *(a_letter(kind.value, kind) for kind in kinds))
    heads = {}
    with outbox.read() as db:
        for row in db.scalars(select(LetterRow)):
            heads[row.kind] = delivery.compose(db, house, row, composers=COMPOSERS)
        survey = heads[Kind.SURVEY_30]
        link = str(survey["List-Unsubscribe"])
        row = mail.unsubscribe_letter(
            db, house, link.removeprefix("<https://portal.larderly.example/unsubscribe/").rstrip(">")
        )  # type: ignore[assignment]
        assert row.key == "survey_30"
        assert mail.unsubscribe_letter(db, house, f"{row.id}.forged") is None
        assert mail.unsubscribe_letter(db, house, "nonsense") is None
    assert {kind: str(head["From"]) for kind, head in heads.items()} == {
        Kind.SURVEY_30: "Carla Souza via Larderly <hello@larderly.example>",
        Kind.SIGN_IN: "Larderly <hello@larderly.example>",
        Kind.FLAG_OPENED: "Larderly <hello@larderly.example>",
        Kind.REFERRAL_INVITATION: "Maria Lima via Larderly <hello@larderly.example>",
    }
    assert str(survey["Reply-To"]) == "Carla Souza <carla@larderly.example>"
    assert str(survey["To"]) == "Maria Lima <maria@mossrye.example>"
    assert survey["Date"].datetime == NOW
    assert survey["Auto-Submitted"] == "auto-generated"
    assert {kind: head["List-Unsubscribe-Post"] for kind, head in heads.items()} == {
        Kind.SURVEY_30: "List-Unsubscribe=One-Click",
        Kind.SIGN_IN: None,
        Kind.FLAG_OPENED: None,
        Kind.REFERRAL_INVITATION: "List-Unsubscribe=One-Click",
    }
    assert [kind for kind, head in heads.items() if head["Reply-To"]] == [Kind.SURVEY_30]


def test_a_long_unsubscribe_link_reaches_the_mail_program_unharmed(
    outbox: Database, smtp_sink: servers.SmtpSink
) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    far = "https://customers.after-the-sale.a-company-with-quite-a-long-name.example"
    house = replace(house, settings=house.settings.model_copy(update={"base_url": far}))
    queued(outbox, a_letter("it", Kind.SURVEY_30))
    deliver(house)
    got = smtp_sink.wait_for(1)[0].message
    assert got["List-Unsubscribe"] == f"<{mail.unsubscribe_url(house, row_of(outbox, 'it'))}>"
    assert len(got["List-Unsubscribe"]) > 100


@pytest.mark.parametrize("kind", sorted(CALENDAR_KINDS))
def test_meetings_carry_a_calendar_part_and_an_attachment(
    outbox: Database, smtp_sink: servers.SmtpSink, kind: Kind
) -> None:
    queued(outbox, a_letter("it", kind))
    deliver(a_house(outbox, smtp_url=smtp_sink.url))
    got = smtp_sink.wait_for(1)[0].message
    method = {Kind.MEETING_INVITATION: "REQUEST", Kind.MEETING_CANCELLED: "CANCEL"}[kind]
    parts = [part for part in got.walk() if part.get_content_type() == "text/calendar"]
    assert [part.get_param("method") for part in parts] == [method, method]
    assert [part.get_filename() for part in parts] == [None, "invite.ics"]
    assert {part.get_content().replace("\r\n", "\n").splitlines()[2] for part in parts} == {f"METHOD:{method}"}
    structure = [part.get_content_type() for part in got.walk()]
    assert structure == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "text/calendar",
    ]  # fmt: skip


def test_the_scale_is_eleven_links_that_only_choose_a_score(outbox: Database) -> None:
    queued(outbox, a_letter("it", Kind.SURVEY_30))
    with outbox.read() as db:
        shown = delivery.rendered(db, a_house(outbox), 1, composers=COMPOSERS)
    assert shown is not None
    scores = [link for link in _Text(shown.html).links if "nps=" in link]
    assert scores == [f"https://portal.larderly.example/s/1.k3J?nps={n}" for n in range(11)]
    assert [shown.html.count(f'aria-label="{n} out of 10"') for n in range(11)] == [1] * 11


# Delivering


def test_a_letter_leaves_once_and_its_row_and_the_timeline_say_so(
    outbox: Database, smtp_sink: servers.SmtpSink
) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("one"), a_letter("later", due_at=NOW + timedelta(hours=1)))
    assert deliver(house) == 1
    assert deliver(house) == 0
    (got,) = smtp_sink.received
    assert (got.sender, got.recipients) == ("hello@larderly.example", ("maria@mossrye.example",))
    row = row_of(outbox, "one")
    assert (row.sent_at, row.delivered_to, row.subject, row.attempts, row.leased_by) == (
        NOW, "smtp", "Maria, you’re up and running", 1, "",
    )  # fmt: skip
    with outbox.read() as db:
        shown, _ = mail.messages(db, contact_id=MARIA)
        assert shown.message_id == got.message["Message-ID"]
        assert mail.next_due(db) == NOW + timedelta(hours=1)
        events = db.execute(select(AuditEvent.what, AuditEvent.account_id, AuditEvent.detail)).all()
        assert [tuple(event) for event in events] == [
            (Happened.MAIL_SENT, BAKERY, {"letter": row.id, "kind": "congratulations"})
        ]


def test_who_waits_at_the_screen_goes_first(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    queued(outbox, *(a_letter(f"survey:{n}", Kind.SURVEY_30) for n in range(3)))
    queued(
        outbox,
        a_letter("meeting", Kind.MEETING_REMINDER),
        a_letter("sign_in", Kind.SIGN_IN),
        now=NOW + timedelta(minutes=1),
    )
    later = NOW + timedelta(minutes=2)
    assert deliver(a_house(outbox, smtp_url=smtp_sink.url), later, limit=3) == 3
    assert states(outbox) == {
        "survey:0": LetterState.SENT, "survey:1": LetterState.QUEUED, "survey:2": LetterState.QUEUED,
        "meeting": LetterState.SENT, "sign_in": LetterState.SENT,
    }  # fmt: skip
    assert str(smtp_sink.received[0].message["Subject"]) == "Maria, your sign-in link"


def test_a_temporary_refusal_is_tried_again_later_with_the_same_message_id(
    outbox: Database, smtp_sink: servers.SmtpSink
) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("refused"), a_letter("fine"))
    smtp_sink.refuse_next("451 4.3.0 Try again later", times=1)
    assert deliver(house) == 2
    row = row_of(outbox, "refused")
    assert (row.state, row.error, row.try_at) == (
        LetterState.QUEUED, "451 4.3.0 Try again later", NOW + timedelta(minutes=1),
    )  # fmt: skip
    assert states(outbox)["fine"] is LetterState.SENT
    smtp_sink.refuse_next("421 4.3.2 Going down", times=1)
    assert deliver(house, NOW + timedelta(minutes=1)) == 1
    assert row_of(outbox, "refused").try_at == NOW + timedelta(minutes=3)
    first_id = row_of(outbox, "refused").message_id
    assert deliver(house, NOW + timedelta(minutes=3)) == 1
    row = row_of(outbox, "refused")
    assert (row.state, row.error, row.attempts, row.message_id) == (LetterState.SENT, "", 3, first_id)
    assert smtp_sink.received[-1].message["Message-ID"] == f"<{first_id}>"


def test_a_permanent_refusal_fails_at_once_and_staff_can_try_again(
    outbox: Database, smtp_sink: servers.SmtpSink
) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("unknown"))
    smtp_sink.refuse_next("550 5.1.1 No such user")
    deliver(house)
    with outbox.read() as db:
        assert [(m.state, m.error) for m in mail.failures(db)] == [(LetterState.FAILED, "550 5.1.1 No such user")]
        assert mail.next_due(db) is None
        assert db.scalars(select(AuditEvent.what)).all() == [Happened.MAIL_FAILED]
    with outbox.write() as db:
        assert mail.retry(db, 1, now=NOW)
        assert not mail.retry(db, 1, now=NOW)
    deliver(house)
    assert states(outbox) == {"unknown": LetterState.SENT}


def test_the_last_try_fails_with_the_error_in_sight(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("never"))
    smtp_sink.refuse_next("452 4.2.2 Mailbox full", times=delivery.MAX_ATTEMPTS)
    now, tries = NOW, 0
    while deliver(house, now):
        tries += 1
        now = max(now, row_of(outbox, "never").try_at)
    assert tries == delivery.MAX_ATTEMPTS
    assert timedelta(days=4) < now - NOW < timedelta(days=5)
    with outbox.read() as db:
        assert [(m.state, m.error) for m in mail.failures(db)] == [(LetterState.FAILED, "452 4.2.2 Mailbox full")]


def test_without_a_mail_server_nothing_is_lost_and_everything_goes_once_it_is_back(
    outbox: Database, smtp_sink: servers.SmtpSink
) -> None:
    away = a_house(outbox, smtp_url=f"smtp://127.0.0.1:{servers.free_port()}")
    queued(outbox, *(a_letter(f"{n}") for n in range(5)))
    assert deliver(away) == 5
    rows = [row_of(outbox, str(n)) for n in range(5)]
    assert {row.state for row in rows} == {LetterState.QUEUED}
    assert {row.try_at for row in rows} == {NOW + timedelta(minutes=1)}
    assert {row.error.split(":")[0] for row in rows} == {"ConnectionRefusedError"}
    assert {row.unsure_at for row in rows} == {None}, "what never came to a server has not left"
    assert deliver(a_house(outbox, smtp_url=smtp_sink.url), NOW + timedelta(minutes=1)) == 5
    assert set(states(outbox).values()) == {LetterState.SENT}
    assert len({got.message["Message-ID"] for got in smtp_sink.received}) == 5


def test_a_crashing_letter_is_put_aside_and_the_others_go(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(
        outbox,
        a_letter("no words", Kind.IMPORT_REPORT, context={}),
        a_letter("no address", to_email="nobody"),
        a_letter("fine"),
        a_letter("injected", to_email="a@x.example\nBcc: everybody@x.example"),
    )
    assert deliver(house) == 4
    assert states(outbox) == {
        "no words": LetterState.FAILED, "no address": LetterState.FAILED,
        "fine": LetterState.SENT, "injected": LetterState.FAILED,
    }  # fmt: skip
    assert row_of(outbox, "no words").error == "UndefinedError: 'taken' is undefined"
    assert [got.recipients for got in smtp_sink.received] == [("maria@mossrye.example",)]


def test_a_name_cannot_add_a_header(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    with outbox.write() as db:
        db.get_one(Contact, MARIA).name = "Maria\r\nBcc: everybody@x.example"
        db.get_one(Staff, CARLA).name = 'Carla "C" <x@x.example>,\nSouza'
    queued(outbox, a_letter("it"))
    deliver(a_house(outbox, smtp_url=smtp_sink.url))
    got = smtp_sink.wait_for(1)[0]
    assert got.recipients == ("maria@mossrye.example",)
    assert got.message["Bcc"] is None
    assert [a.addr_spec for a in got.message["To"].addresses] == ["maria@mossrye.example"]
    assert [a.addr_spec for a in got.message["From"].addresses] == ["hello@larderly.example"]


def test_a_letter_that_lost_its_reason_is_withheld(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    def too_late(_db: Session, _house: House, _row: LetterRow) -> dict[str, Any]:
        raise Withheld("The survey is closed.")

    queued(outbox, a_letter("it", Kind.SURVEY_30))
    house = a_house(outbox, smtp_url=smtp_sink.url)
    assert delivery.deliver(house, composers={Kind.SURVEY_30: too_late}, now=NOW) == 1
    row = row_of(outbox, "it")
    assert (row.state, row.why) == (LetterState.SUPPRESSED, "The survey is closed.")
    assert smtp_sink.received == []


def test_who_refused_surveys_gets_none_and_still_gets_service_mail(
    outbox: Database, smtp_sink: servers.SmtpSink
) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("30", Kind.SURVEY_30), a_letter("service"))
    deliver(house)
    with outbox.write() as db:
        for _ in range(2):  # a mail program may post twice
            mail.refuse(db, db.scalars(select(LetterRow).where(LetterRow.key == "30")).one(), now=NOW)
            mail.refuse(db, db.scalars(select(LetterRow).where(LetterRow.key == "service")).one(), now=NOW)
    with outbox.read() as db:
        assert mail.refusals(db, "Maria@MossRye.example") == {Purpose.SURVEY}
    queued(outbox, a_letter("60", Kind.SURVEY_60), a_letter("sign_in", Kind.SIGN_IN))
    deliver(house)
    assert states(outbox)["60"] is LetterState.SUPPRESSED
    assert states(outbox)["sign_in"] is LetterState.SENT
    with outbox.write() as db:
        mail.allow_again(db, "maria@mossrye.example", Purpose.SURVEY)
    queued(outbox, a_letter("90", Kind.SURVEY_90))
    deliver(house)
    assert states(outbox)["90"] is LetterState.SENT


def test_a_friends_address_is_forgotten_and_their_refusal_kept(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("first", Kind.REFERRAL_INVITATION))
    deliver(house)
    assert smtp_sink.received[0].recipients == ("bea@friends.example",)
    assert row_of(outbox, "first").to_email == ""
    with outbox.write() as db:
        mail.refuse(db, db.scalars(select(LetterRow)).one(), now=NOW)
        everything = [str(row) for table in Base.metadata.sorted_tables for row in db.execute(select(table))]
    assert not any("bea@friends" in row for row in everything)
    queued(outbox, a_letter("second", Kind.REFERRAL_INVITATION))
    deliver(house)
    assert states(outbox)["second"] is LetterState.SUPPRESSED


def test_without_a_mail_server_set_the_mailbox_keeps_the_letters(outbox: Database) -> None:
    house = a_house(outbox)
    queued(outbox, a_letter("one"), a_letter("two", Kind.SIGN_IN))
    assert deliver(house) == 2
    with outbox.read() as db:
        assert [(one.subject, one.state) for one in mail.mailbox(db)] == [
            ("Maria, your sign-in link", LetterState.SENT),
            ("Maria, you’re up and running", LetterState.SENT),
        ]
        shown = delivery.rendered(db, house, 2, composers=COMPOSERS)
        assert shown is not None
        assert "https://portal.larderly.example/sign-in/17.k3J" in _Text(shown.html).links
        assert delivery.rendered(db, house, 99, composers=COMPOSERS) is None

        def used(_db: Session, _house: House, _row: LetterRow) -> dict[str, Any]:
            raise Withheld("The link was used.")

        ended = delivery.rendered(db, house, 2, composers={Kind.SIGN_IN: used})
        assert ended is not None
        assert (ended.subject, ended.html, ended.ended) == ("Maria, your sign-in link", "", "The link was used.")


def test_no_link_that_opens_anything_is_stored(outbox: Database) -> None:
    house = a_house(outbox)
    queued(outbox, *(a_letter(kind.value, kind) for kind in Kind))
    while deliver(house):
        pass
    with outbox.read() as db:
        everything = [str(row) for table in Base.metadata.sorted_tables for row in db.execute(select(table))]
        secrets = [mail.unsubscribe_url(house, row).rpartition("/")[2] for row in db.scalars(select(LetterRow))]
    assert not any("k3J" in row or secret in row for row in everything for secret in secrets)


# Whoever dies


def test_taken_letters_are_free_again_when_their_worker_died(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    class Died(BaseException):
        pass

    def dies(_db: Session, _house: House, _row: LetterRow) -> dict[str, Any]:
        raise Died

    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, a_letter("one", Kind.SIGN_IN), a_letter("two", Kind.SIGN_IN))
    with pytest.raises(Died):
        delivery.deliver(house, composers={Kind.SIGN_IN: dies}, now=NOW)
    with outbox.read() as db:
        assert mail.in_hand(db) == 2
    assert deliver(house) == 0
    assert deliver(house, NOW + delivery.LEASE - timedelta(seconds=1)) == 0
    assert deliver(house, NOW + delivery.LEASE) == 2
    with outbox.read() as db:
        assert mail.in_hand(db) == 0
    assert {row_of(outbox, key).unsure_at for key in ("one", "two")} == {NOW + delivery.LEASE}, "who knows if they left"


def test_a_letter_whose_server_fell_silent_may_have_left(outbox: Database) -> None:
    queued(outbox, a_letter("one"))
    with servers.smtp_sink(servers.FallsSilent()) as silent:
        assert deliver(a_house(outbox, smtp_url=silent.url)) == 1
        assert len(silent.received) == 1
    row = row_of(outbox, "one")
    assert (row.state, row.unsure_at, row.try_at) == (LetterState.QUEUED, NOW, NOW + timedelta(minutes=1))


def test_stopping_gives_back_what_was_not_tried(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    house = a_house(outbox, smtp_url=smtp_sink.url)
    queued(outbox, *(a_letter(f"{n}") for n in range(4)))
    assert deliver(house, stopping=lambda: len(smtp_sink.received) == 2) == 2
    assert [row_of(outbox, str(n)).attempts for n in range(4)] == [1, 1, 0, 0]
    assert deliver(house) == 2
    assert len(smtp_sink.received) == 4


def test_two_workers_send_each_letter_once(outbox: Database, smtp_sink: servers.SmtpSink) -> None:
    houses = [a_house(outbox, smtp_url=smtp_sink.url), a_house(Database(str_url(outbox)), smtp_url=smtp_sink.url)]
    together = threading.Barrier(2)
    failures: list[BaseException] = []

    def work(house: House, rounds: int) -> None:
        try:
            for n in range(rounds):
                if house is houses[0]:
                    queued(outbox, *(a_letter(f"{n}:{m}") for m in range(6)))
                together.wait(timeout=30)
                while deliver(house, limit=2):
                    pass
                together.wait(timeout=30)
        except BaseException as failure:
            failures.append(failure)
            together.abort()

    threads = [threading.Thread(target=work, args=(house, 15)) for house in houses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    houses[1].database.close()
    assert failures == []
    assert Counter(Counter(got.message["Message-ID"] for got in smtp_sink.received).values()) == {1: 90}
    assert set(states(outbox).values()) == {LetterState.SENT}


def str_url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


class _Holding(servers.SmtpSink):
    """Takes the third message and doesn't say so: the moment between the sending and the mark."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = threading.Event()
        self.go_on = threading.Event()

    async def handle_DATA(self, server: SMTP, session: SmtpSession, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        if len(self.received) == 3 and not self.go_on.is_set():
            self.holds.set()
            await asyncio.get_running_loop().run_in_executor(None, self.go_on.wait)
        return answer


@pytest.fixture
def holding() -> Iterator[_Holding]:
    sink = _Holding()
    with servers.smtp_sink(sink):
        yield sink
        sink.go_on.set()


def test_a_worker_killed_between_sending_and_marking_loses_nothing_and_repeats_one_mail(
    outbox: Database, holding: _Holding, tmp_path: Path
) -> None:
    real_now = SystemClock().now()
    queued(outbox, *(a_letter(f"{n}") for n in range(6)), now=real_now)
    killed = a_worker_process(outbox, tmp_path, smtp_url=holding.url)
    assert holding.holds.wait(timeout=60), "the worker sent its first letters"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    holding.go_on.set()
    assert Counter(states(outbox).values()) == {LetterState.SENT: 2, LetterState.QUEUED: 4}
    later = SystemClock().now() + delivery.LEASE
    house = a_house(outbox, smtp_url=holding.url, now=later)
    assert deliver(house, later) == 4
    assert set(states(outbox).values()) == {LetterState.SENT}
    times_each = Counter(got.message["Message-ID"] for got in holding.received)
    assert sorted(times_each.values()) == [1, 1, 1, 1, 1, 2]


def a_worker_process(database: Database, folder: Path, *, smtp_url: str) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    environment |= {
        "PORTAL_DATABASE_URL": str_url(database),
        "PORTAL_DATA_DIR": str(folder),
        "PORTAL_SECRET_KEY": "s" * 40,
        "PORTAL_SMTP_URL": smtp_url,
        "PYTHONPATH": str(servers.ROOT),
    }
    return subprocess.Popen([sys.executable, "-m", "portal.cli", "worker"], env=environment, cwd=folder)


def test_the_worker_ends_cleanly_when_it_is_told_to(
    outbox: Database, smtp_sink: servers.SmtpSink, tmp_path: Path
) -> None:
    queued(outbox, a_letter("one"), now=SystemClock().now())
    process = a_worker_process(outbox, tmp_path, smtp_url=smtp_sink.url)
    smtp_sink.wait_for(1, timeout_seconds=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert states(outbox) == {"one": LetterState.SENT}

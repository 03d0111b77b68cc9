"""Who gets a mail about a message, which lines go together, and what kind of sender a mail has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.messages import rules
from portal.messages.rules import Became, Incoming, Line, Person

NOON = datetime(2026, 6, 22, 12, 0, tzinfo=UTC)


def lines(*seconds: int) -> list[Line]:
    return [Line(n, NOON + timedelta(seconds=after)) for n, after in enumerate(seconds, 1)]


@pytest.mark.parametrize(
    ("seconds", "message_id", "run"),
    [
        ((0,), 1, (1,)),
        ((0, 30, 80), 1, (1, 2, 3)),
        ((0, 30, 80), 3, (1, 2, 3)),
        ((0, 61), 1, (1,)),
        ((0, 61), 2, (2,)),
        ((0, 20, 200, 230), 4, (3, 4)),
        ((0, 50, 100, 150, 200, 250, 300, 350), 8, (8,)),
        ((0, 50, 100, 150, 200, 250, 300, 350), 7, (1, 2, 3, 4, 5, 6, 7)),
        ((0,), 9, (9,)),
    ],
)
def test_lines_written_in_a_row_go_together(seconds: tuple[int, ...], message_id: int, run: tuple[int, ...]) -> None:
    assert rules.run_of(lines(*seconds), message_id) == run


def person(number: int, *, primary: bool = False, email: bool = True, days_ago: int | None = None) -> Person:
    wrote_at = NOON - timedelta(days=days_ago) if days_ago is not None else None
    return Person(number, primary, email, wrote_at)


@pytest.mark.parametrize(
    ("people", "chosen"),
    [
        ([person(1, primary=True), person(2)], (1,)),
        ([person(1, primary=True), person(2, days_ago=3)], (2,)),
        ([person(1, primary=True, days_ago=29), person(2, days_ago=3)], (1, 2)),
        ([person(1, primary=True), person(2, days_ago=31)], (1,)),
        ([person(1, primary=True, email=False), person(2)], (2,)),
        ([person(1, primary=True, email=False)], ()),
        ([], ()),
    ],
)
def test_our_messages_go_to_whoever_takes_part(people: list[Person], chosen: tuple[int, ...]) -> None:
    assert rules.who_is_written_to(people, NOON) == chosen


def incoming(**changes: Any) -> Incoming:
    known: dict[str, Any] = {
        "headers": {},
        "content_type": "text/plain",
        "envelope_from": "maria@acme.example",
        "from_address": "maria@acme.example",
        "message_id": "<1@acme.example>",
    }
    return Incoming(**{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "became"),
    [
        ({}, Became.MESSAGE),
        ({"headers": {"auto-submitted": "no"}}, Became.MESSAGE),
        ({"headers": {"auto-submitted": "auto-replied"}}, Became.AUTOMATIC),
        ({"headers": {"auto-submitted": "Auto-Generated; owner-email=x"}}, Became.AUTOMATIC),
        ({"headers": {"precedence": "bulk"}}, Became.AUTOMATIC),
        ({"headers": {"precedence": "Auto_Reply"}}, Became.AUTOMATIC),
        ({"headers": {"precedence": "list"}}, Became.AUTOMATIC),
        ({"headers": {"precedence": "first-class"}}, Became.MESSAGE),
        ({"headers": {"x-autoreply": "yes"}}, Became.AUTOMATIC),
        ({"headers": {"x-auto-response-suppress": "All"}}, Became.AUTOMATIC),
        ({"headers": {"list-id": "<x>"}}, Became.AUTOMATIC),
        ({"headers": {"return-path": "<>"}}, Became.AUTOMATIC),
        ({"envelope_from": ""}, Became.AUTOMATIC),
        ({"envelope_from": "<>"}, Became.AUTOMATIC),
        ({"envelope_from": None}, Became.MESSAGE),
        ({"content_type": "multipart/report"}, Became.BOUNCE),
        ({"headers": {"x-failed-recipients": "a@b"}}, Became.BOUNCE),
        ({"headers": {"subject": "Automatic reply: Hello"}}, Became.AUTOMATIC),
        ({"headers": {"subject": "Resposta automática: Olá"}}, Became.AUTOMATIC),
        ({"headers": {"subject": "Out of Office"}}, Became.AUTOMATIC),
        ({"headers": {"subject": "Ausência temporária"}}, Became.AUTOMATIC),
        ({"headers": {"subject": "Re: Out of office hours at the shop"}}, Became.MESSAGE),
        ({"headers": {"subject": "The automatic doors"}}, Became.MESSAGE),
        ({"from_address": "mailer-daemon@acme.example"}, Became.AUTOMATIC),
        ({"from_address": "noreply@acme.example"}, Became.AUTOMATIC),
        ({"from_address": "hello@onward.example"}, Became.LOOP),
    ],
)
def test_only_people_write_messages(changes: dict[str, Any], became: Became) -> None:
    assert rules.what_sent_it(incoming(**changes), our_address="hello@onward.example") is became


@pytest.mark.parametrize(
    ("results", "spoofed"),
    [
        ([], False),
        (["elsewhere.example; dmarc=fail header.from=acme.example"], False),
        (["mx.onward.example; dmarc=fail (p=none) header.from=acme.example"], True),
        (["mx.onward.example; dmarc=pass header.from=acme.example"], False),
        (["mx.onward.example; dkim=pass header.d=acme.example"], False),
        (["mx.onward.example; dkim=pass header.d=evil.example"], True),
        (["mx.onward.example; spf=pass smtp.mailfrom=acme.example"], False),
        (["mx.onward.example; spf=fail smtp.mailfrom=acme.example; dkim=none"], True),
        (["evil.example; dmarc=pass", "mx.onward.example; dmarc=fail"], True),
    ],
)
def test_our_own_mail_server_may_say_that_a_sender_is_forged(results: list[str], spoofed: bool) -> None:
    assert rules.is_spoofed(results, trusted="mx.onward.example", domain="acme.example") is spoofed
    assert not rules.is_spoofed(results, trusted="", domain="acme.example")

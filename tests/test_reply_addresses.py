"""Reply addresses: signed, short enough, indifferent to case, with an end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.reply_addresses import ANSWERED_WITHIN, Answering, Expired, read_address, reply_address

SECRET, DOMAIN = "a secret for tests", "Reply.Onward.example"
NOW = datetime(2026, 6, 22, 12, 0, tzinfo=UTC)
IDS = st.integers(min_value=1, max_value=2**62)


@given(IDS, IDS, st.booleans())
def test_an_address_says_who_answers_however_it_is_written(account: int, person: int, is_contact: bool) -> None:
    who = Answering(account, person, None) if is_contact else Answering(account, None, person)
    address = reply_address(SECRET, DOMAIN, who, now=NOW)
    assert len(address.partition("@")[0]) <= 64
    assert address == address.lower()
    for written in (address, address.upper(), f"<{address}>", f" {address} "):
        assert read_address(SECRET, DOMAIN, written, now=NOW) == who


def test_it_ends() -> None:
    who = Answering(7, contact_id=3)
    address = reply_address(SECRET, DOMAIN, who, now=NOW)
    assert read_address(SECRET, DOMAIN, address, now=NOW + ANSWERED_WITHIN) == who
    assert read_address(SECRET, DOMAIN, address, now=NOW + ANSWERED_WITHIN + timedelta(days=1)) == Expired(who)


ADDRESS = reply_address(SECRET, DOMAIN, Answering(7, contact_id=3), now=NOW)


@pytest.mark.parametrize(
    "forged",
    [
        ADDRESS.replace("c7-", "c8-"),
        ADDRESS.replace("+c", "+s"),
        ADDRESS.replace("@reply.onward.example", "@onward.example"),
        ADDRESS.replace("reply+", ""),
        ADDRESS[:-1],
        "reply+c7-3-zzz-" + "a" * 26 + "@reply.onward.example",
        "",
        "@",
        "reply+@reply.onward.example",
        "\x00",
        "réply+c7@reply.onward.example",
    ],
)
def test_nothing_else_is_ours(forged: str) -> None:
    assert read_address(SECRET, DOMAIN, forged, now=NOW) is None


def test_another_secret_or_no_domain_opens_nothing() -> None:
    assert read_address("another", DOMAIN, ADDRESS, now=NOW) is None
    assert read_address(SECRET, "", ADDRESS, now=NOW) is None

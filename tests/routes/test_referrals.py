"""Referring, the friend's pages and the staff's, as people (and mail scanners) use them."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal import links
from portal.db import Database
from portal.mail import Kind, LetterRow, MailRefusal
from portal.referrals import letters
from portal.referrals.models import Invitation, Referral, ReferralLink
from portal.referrals.shipped import load_shipped_programme
from tests.routes.conftest import NOON, Cast

SECRET = "a secret for tests that nobody needs to keep"
FRIEND = {"name": "Priya Nair", "company": "Saltmarsh Café", "email": "priya@saltmarsh.example", "agree": "true"}
INVITE = {"name": "Priya Nair", "email": "priya@saltmarsh.example", "note": "Have a look!", "language": "en"}


@pytest.fixture
def maria(database: Database, cast: Cast, signed_in: Callable[..., TestClient]) -> TestClient:
    with database.write() as db:
        load_shipped_programme(db, now=NOON)
    return signed_in(contact_id=cast.maria)


def path_of(database: Database, kind: type[ReferralLink] | type[Invitation] | type[Referral]) -> str:
    with database.read() as db:
        row = db.scalars(select(kind).order_by(kind.id.desc()).limit(1)).one()
        way, purpose = {
            ReferralLink: ("/r/", letters.LINK),
            Invitation: ("/r/i/", letters.INVITATION),
            Referral: ("/r/confirm/", letters.CONFIRMATION),
        }[kind]
        return way + links.seal(SECRET, purpose, row.id, row.nonce)


def count(database: Database, table: object) -> int:
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]


def test_the_terms_are_read_before_there_is_a_link(maria: TestClient, database: Database) -> None:
    page = maria.get("/refer").text
    assert "Get my link" in page and "never for an address alone" in page and 'id="sl"' not in page
    assert count(database, ReferralLink) == 0
    assert maria.post("/refer/link").status_code == 303
    page = maria.get("/refer").text
    assert f'value="http://testserver{path_of(database, ReferralLink)}"' in page
    assert "<svg" in page and 'class="qr"' in page and "https://wa.me/?text=We%20work%20with%20" in page


def test_a_friend_comes_by_the_link_and_is_seen_once_the_address_is_proven(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    maria.post("/refer/link")
    friend, link = browser(), path_of(database, ReferralLink)
    page = friend.get(link)
    assert page.status_code == 200 and "Maria Souza invited you" in page.text and "maria@lumen" not in page.text
    assert friend.post(link, data=FRIEND).headers["location"] == "/r/sent"
    assert friend.get("/r/sent").status_code == 200
    assert "Priya" not in maria.get("/refer").text
    confirm = path_of(database, Referral)
    assert friend.get(confirm).status_code == 200
    assert friend.post(confirm, data={"first_name": "priya"}).headers["location"] == "/r/thanks"
    assert friend.get("/r/thanks").status_code == 200
    assert "Priya Nair" in maria.get("/refer").text and "priya@" not in maria.get("/refer").text
    assert "You’re all set" in friend.get(confirm).text


def test_a_scanner_that_opens_and_presses_everything_changes_nothing(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    maria.post("/refer/invitations", data=INVITE)
    maria.post("/refer/link")
    scanner = browser()
    scanner.post(path_of(database, ReferralLink), data=FRIEND)
    for way in (path_of(database, Invitation), path_of(database, Referral)):
        page = scanner.get(way)
        assert page.status_code == 200
        for action, form in re.findall(
            r'<form[^>]*method="post" action="(/r/[^"]+)"(.*?)</form>', page.text, re.DOTALL
        ):
            filled = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*type="(?:text|hidden)"[^>]*value="([^"]*)"', form))
            assert scanner.post(action, data=filled).status_code == 422
    with database.read() as db:
        assert db.scalars(select(Referral.accepted_at)).all() == [None]
        assert db.scalars(select(Invitation.refused_at)).all() == [None]
        assert db.scalars(select(MailRefusal.purpose)).all() == []


def test_an_invitation_by_mail_is_answered_or_refused_for_good(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    sent = maria.post("/refer/invitations", data=INVITE)
    assert (sent.status_code, sent.headers["location"]) == (303, "/refer#friends")
    door = path_of(database, Invitation)
    friend = browser()
    assert 'value="Priya Nair"' in friend.get(door).text
    assert friend.post(f"{door}/no-contact", data={"sure": "true"}).headers["location"] == "/r/no-contact"
    assert friend.get("/r/no-contact").status_code == 200
    assert "we won’t" in friend.get(door).text
    again = maria.post("/refer/invitations", data=INVITE)
    assert again.status_code == 422 and "They asked us not to write to them" in again.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"email": "maria@lumen.example"}, "That’s your own address."),
        ({"email": "joao@lumen.example"}, "They work at your company."),
        ({"email": "sofia@verdant.example"}, "They are our customer already."),
        ({"email": "nonsense"}, "Please enter an e"),
        ({"note": "Win at https://prize.example now"}, "Please leave links out."),
        ({"name": "www.prize.example"}, "Please leave links out."),
        ({"note": "x" * 501}, "Please shorten this to 500 characters."),
        ({"language": "klingon"}, "Please choose one from the list."),
        ({"name": "\u202etxt"}, "invisible control characters"),
    ],
)
def test_a_wrong_invitation_keeps_what_was_typed_and_says_why(
    maria: TestClient, database: Database, changed: dict[str, str], words: str
) -> None:
    page = maria.post("/refer/invitations", data={**INVITE, **changed})
    assert page.status_code == 422 and words in page.text
    if "name" not in changed:
        assert 'value="Priya Nair"' in page.text
    assert (count(database, Invitation), count(database, LetterRow)) == (0, 0)


def test_the_public_form_says_the_same_whoever_it_is_asked_about(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    maria.post("/refer/link")
    link = path_of(database, ReferralLink)
    for email in ("sofia@verdant.example", "joao@lumen.example", "nobody@elsewhere.example"):
        answer = browser().post(link, data={**FRIEND, "email": email})
        assert (answer.status_code, answer.headers["location"]) == (303, "/r/sent")
    with database.read() as db:
        assert len(db.scalars(select(LetterRow).where(LetterRow.kind == Kind.REFERRAL_CONFIRMATION)).all()) == 3


def test_a_customer_who_confirms_is_told_plainly(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    maria.post("/refer/link")
    friend = browser()
    friend.post(path_of(database, ReferralLink), data={**FRIEND, "email": "sofia@verdant.example"})
    confirm = path_of(database, Referral)
    for answer in (friend.post(confirm, data={"first_name": "Priya"}), friend.get(confirm)):
        assert answer.status_code == 409 and "You are our customer already" in answer.text


def test_without_a_yes_nothing_is_kept(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    maria.post("/refer/link")
    page = browser().post(path_of(database, ReferralLink), data={**FRIEND, "agree": ""})
    assert page.status_code == 422 and "We need your yes" in page.text and 'value="Priya Nair"' in page.text
    assert count(database, Referral) == 0


def test_twenty_tries_an_hour_from_one_place(
    maria: TestClient, database: Database, browser: Callable[[], TestClient]
) -> None:
    maria.post("/refer/link")
    link, friend = path_of(database, ReferralLink), browser()
    said = [friend.post(link, data={**FRIEND, "email": f"f{n}@elsewhere.example"}).status_code for n in range(21)]
    assert said == [303] * 20 + [429]


HOSTILE = [
    "",
    "x",
    "1.x",
    "999.aaaa",
    "1." + "A" * 27,
    "%00",
    "a" * 250,
    "1.%2e%2e",
    "💩",
    "0.0",
    "99999999999999999999.x",
    "-1.x",
]


@pytest.mark.parametrize("token", HOSTILE)
@pytest.mark.parametrize("way", ["/r/", "/r/i/", "/r/confirm/"])
def test_a_token_that_nobody_made_is_a_friendly_404(
    maria: TestClient, browser: Callable[[], TestClient], way: str, token: str
) -> None:
    stranger = browser()
    assert stranger.get(way + token).status_code == 404
    if token:
        assert stranger.post(way + token, data=FRIEND).status_code == 404


@pytest.mark.parametrize(
    "text",
    ["\x00", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "=1+1", "<script>", "é" * 3000, "{{7*7}}"],
)
def test_hostile_words_are_text_or_refused_and_never_a_crash(
    maria: TestClient, database: Database, browser: Callable[[], TestClient], text: str
) -> None:
    maria.post("/refer/link")
    link = path_of(database, ReferralLink)
    for field in FRIEND:
        assert browser().post(link, data={**FRIEND, field: text}).status_code in (303, 422)
    for field in INVITE:
        assert maria.post(
            "/refer/invitations", data={**INVITE, "email": f"{field}@x.example", field: text}
        ).status_code in (303, 422)
    assert "<script>" not in maria.get("/refer").text.replace("<script src=", "")


# Staff


@pytest.fixture
def accepted(maria: TestClient, database: Database, browser: Callable[[], TestClient]) -> int:
    maria.post("/refer/link")
    friend = browser()
    friend.post(path_of(database, ReferralLink), data=FRIEND)
    friend.post(path_of(database, Referral), data={"first_name": "Priya"})
    return 1


def test_staff_take_a_friend_from_yes_to_the_reward(
    accepted: int, maria: TestClient, cast: Cast, signed_in: Callable[..., TestClient]
) -> None:
    carla, rui = signed_in(staff_id=cast.carla), signed_in(staff_id=cast.rui)
    page = carla.get("/staff/referrals").text
    assert "Priya Nair" in page and "priya@saltmarsh.example" in page and "Maria Souza" in page
    assert carla.post("/staff/referrals/1/reward").status_code == 403
    assert rui.post("/staff/referrals/1/reward").status_code == 409
    for verb in ("qualify", "win"):
        assert carla.post(f"/staff/referrals/1/{verb}").status_code == 303
    assert "A manager gives the rewards." in carla.get("/staff/referrals").text
    assert rui.post("/staff/referrals/1/reward").status_code == 303
    assert "Joined, reward added" in maria.get("/refer").text


def test_a_rejection_needs_a_reason_that_the_customer_never_reads(
    accepted: int, maria: TestClient, cast: Cast, signed_in: Callable[..., TestClient]
) -> None:
    carla = signed_in(staff_id=cast.carla)
    empty = carla.post("/staff/referrals/1/reject", data={"why": " "})
    assert empty.status_code == 422 and "Please fill this in." in empty.text
    assert carla.post("/staff/referrals/1/reject", data={"why": "A competitor"}).status_code == 303
    assert "A competitor" in carla.get("/staff/referrals").text
    page = maria.get("/refer").text
    assert "Not this time" in page and "A competitor" not in page


@pytest.mark.parametrize(
    "query", ["?before=x", "?before=" + "9" * 40, "?before=-1", "?whose=mine", "?whose=%00", "?before=%C3%28"]
)
def test_an_odd_query_is_no_crash(accepted: int, cast: Cast, signed_in: Callable[..., TestClient], query: str) -> None:
    assert signed_in(staff_id=cast.carla).get("/staff/referrals" + query).status_code == 200


def test_the_list_shows_fifty_at_a_time(
    accepted: int, database: Database, cast: Cast, signed_in: Callable[..., TestClient]
) -> None:
    with database.write() as db:
        one = db.scalars(select(Referral)).one()
        kept = {c.name: getattr(one, c.name) for c in Referral.__table__.columns if c.name != "id"}
        db.add_all(Referral(**{**kept, "address_hash": f"hash {n}", "name": f"Friend {n}"}) for n in range(60))
    page = signed_in(staff_id=cast.carla).get("/staff/referrals").text
    assert page.count('id="referral-') == 50
    older = re.search(r'href="(/staff/referrals\?before=\d+)"', page)
    assert older is not None
    assert signed_in(staff_id=cast.carla).get(older[1]).text.count('id="referral-') == 11

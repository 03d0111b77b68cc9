"""Signing in by a mailed link: convenient for who asked, useless for scanners, strangers and second comers."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal import auth
from portal.accounts.models import Contact
from portal.audit import AuditEvent, Happened
from portal.auth import BrowserSession, SignInLink
from portal.clock import FixedClock
from portal.db import Database
from portal.mail import LetterRow
from portal.settings import Settings
from tests.routes.conftest import Cast, SignIn

Browser = Callable[[], TestClient]


class Mails:
    """What the mailbox of an address would show: the link and the code of the latest sign-in mail."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.secret = database, settings.secret_key.get_secret_value()

    def _link(self, email: str) -> SignInLink:
        with self.database.read() as db:
            row = db.scalars(select(LetterRow).where(LetterRow.to_email == email).order_by(LetterRow.id.desc())).first()
            assert row is not None
            return db.get_one(SignInLink, row.context["link_id"])

    def path(self, email: str) -> str:
        return auth.link_path(self.secret, self._link(email))

    def code(self, email: str) -> str:
        return auth.mail_code(self.secret, self._link(email))


@pytest.fixture
def mails(database: Database, settings: Settings) -> Mails:
    return Mails(database, settings)


MARIA = "maria@lumen.example"


def ask(browser: TestClient, email: str = MARIA, **more: str) -> None:
    answer = browser.post("/sign-in", data={"email": email, **more})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/sent")


def shown_code(browser: TestClient) -> str:
    found = re.search(r'<b class="num">(\d{3}) (\d{3})</b>', browser.get("/sign-in/sent").text)
    assert found
    return "".join(found.groups())


def is_signed_in(browser: TestClient) -> bool:
    return browser.get("/sign-in").status_code == 303


def test_the_link_signs_in_with_one_click_where_it_was_asked_for(
    cast: Cast, browser: Browser, mails: Mails, database: Database
) -> None:
    marias = browser()
    ask(marias, "  Maria@Lumen.example ")
    opened = marias.get(mails.path(MARIA))
    assert "Sign in as maria@lumen.example." in opened.text
    assert not is_signed_in(marias)
    answer = marias.post(mails.path(MARIA))
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert is_signed_in(marias)
    with database.read() as db:
        assert db.scalar(select(BrowserSession.contact_id)) == cast.maria
        event = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.SIGNED_IN)).one()
        assert (event.by, event.account_id, event.detail) == (f"contact:{cast.maria}", cast.lumen, {"way": "sign_in"})


def test_a_scanner_that_opens_and_presses_everything_changes_nothing(
    cast: Cast, browser: Browser, mails: Mails
) -> None:
    marias, scanner = browser(), browser()
    ask(marias)
    for _ in range(10):
        assert scanner.get(mails.path(MARIA)).status_code == 200
        assert scanner.post(mails.path(MARIA)).status_code == 422
    assert not is_signed_in(scanner)
    marias.post(mails.path(MARIA))
    assert is_signed_in(marias)


def test_elsewhere_the_link_wants_the_digits_of_the_asking_browser(cast: Cast, browser: Browser, mails: Mails) -> None:
    laptop, phone = browser(), browser()
    ask(laptop, next="/plan")
    assert "You asked for this link in another browser." in phone.get(mails.path(MARIA)).text
    mailed = phone.post(mails.path(MARIA), data={"code": mails.code(MARIA)})
    assert (mailed.status_code, "That isn’t the code on the other screen." in mailed.text) == (422, True)
    right = shown_code(laptop)
    answer = phone.post(mails.path(MARIA), data={"code": f" {right[:3]}-{right[3:]} "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/plan")
    assert is_signed_in(phone)
    assert not is_signed_in(laptop)


def test_the_code_of_the_mail_signs_in_where_it_was_asked_for(cast: Cast, browser: Browser, mails: Mails) -> None:
    laptop = browser()
    ask(laptop)
    wrong = laptop.post("/sign-in/code", data={"code": shown_code(laptop)})
    assert (wrong.status_code, "That isn’t the code from the mail." in wrong.text) == (422, True)
    assert laptop.post("/sign-in/code", data={"code": mails.code(MARIA)}).status_code == 303
    assert is_signed_in(laptop)


def test_five_wrong_codes_close_the_link(cast: Cast, browser: Browser, mails: Mails) -> None:
    laptop = browser()
    ask(laptop)
    right = mails.code(MARIA)
    wrong = "000000" if right != "000000" else "000001"
    answers = [laptop.post("/sign-in/code", data={"code": wrong}).status_code for _ in range(5)]
    assert answers == [422, 422, 422, 422, 410]
    assert "The wrong code was typed too often" in laptop.post("/sign-in/code", data={"code": right}).text
    assert laptop.post(mails.path(MARIA)).status_code == 410
    assert not is_signed_in(laptop)


def test_an_unknown_address_looks_the_same_and_gets_no_mail(cast: Cast, browser: Browser, database: Database) -> None:
    known, unknown = browser(), browser()
    ask(known)
    ask(unknown, "nobody@lumen.example")
    pages = [
        re.sub(r"\d{3} \d{3}", "", one.get("/sign-in/sent").text.replace("nobody@", "maria@"))
        for one in (known, unknown)
    ]
    assert pages[0] == pages[1]
    with database.read() as db:
        assert db.scalars(select(LetterRow.to_email)).all() == [MARIA]


def test_guessing_the_code_of_an_unknown_address_opens_nothing(
    cast: Cast, browser: Browser, database: Database, settings: Settings
) -> None:
    visitor = browser()
    ask(visitor, "nobody@lumen.example")
    with database.read() as db:
        link = db.scalars(select(SignInLink)).one()
    code = auth.mail_code(settings.secret_key.get_secret_value(), link)
    assert visitor.post("/sign-in/code", data={"code": code}).status_code == 410
    assert not is_signed_in(visitor)


def test_a_link_works_once_and_for_ten_minutes(cast: Cast, browser: Browser, mails: Mails, clock: FixedClock) -> None:
    marias = browser()
    ask(marias)
    path = mails.path(MARIA)
    marias.post(path)
    again = marias.get(path)
    assert (again.status_code, "It was used already" in again.text) == (410, True)
    late = browser()
    ask(late)
    clock.set(clock.now() + timedelta(minutes=10))
    assert late.post(mails.path(MARIA)).status_code == 410
    assert not is_signed_in(late)


def test_a_newer_link_kills_the_older(cast: Cast, browser: Browser, mails: Mails) -> None:
    marias = browser()
    ask(marias)
    older = mails.path(MARIA)
    ask(marias)
    assert "You asked for a newer one." in marias.get(older).text
    assert marias.post(mails.path(MARIA)).status_code == 303


@pytest.mark.parametrize("token", ["1.forged", "x", "999.k3Jx0vN2mA9sQ4tR7uW1yZ5bC8d", "1." + "a" * 190, "..%2e"])
def test_a_forged_link_opens_nothing(cast: Cast, browser: Browser, token: str) -> None:
    ask(browser())
    assert browser().get(f"/sign-in/{token}").status_code == 410
    assert browser().post(f"/sign-in/{token}", data={"code": "000000"}).status_code == 410


def test_an_old_link_sends_a_fresh_one(cast: Cast, browser: Browser, mails: Mails, clock: FixedClock) -> None:
    marias = browser()
    ask(marias, next="/plan")
    old = mails.path(MARIA)
    clock.set(clock.now() + timedelta(hours=1))
    page = marias.get(old)
    token = old.rpartition("/")[2]
    assert f'<input type="hidden" name="token" value="{token}">' in page.text
    marias.post("/sign-in/fresh", data={"token": token})
    assert mails.path(MARIA) != old
    assert marias.post(mails.path(MARIA)).headers["location"] == "/plan"


def test_a_new_session_replaces_the_old_one(cast: Cast, browser: Browser, mails: Mails, database: Database) -> None:
    marias = browser()
    for _ in range(2):
        ask(marias)
        marias.post(mails.path(MARIA))
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(BrowserSession)) == 1


def test_staff_start_at_their_board_and_win_over_a_contact_of_the_same_address(
    cast: Cast, browser: Browser, mails: Mails, database: Database
) -> None:
    with database.write() as db:
        db.get_one(Contact, cast.joao).email = "carla@onward.example"
    for wanted, lands in (
        ("", "/staff/pipeline"),
        ("/plan", "/staff/pipeline"),
        ("/staff/customers?q=x", "/staff/customers?q=x"),
    ):
        carlas = browser()
        ask(carlas, "carla@onward.example", next=wanted)
        assert carlas.post(mails.path("carla@onward.example")).headers["location"] == lands


def test_staff_who_type_the_address_come_to_their_board(cast: Cast, signed_in: SignIn) -> None:
    answer = signed_in(staff_id=cast.carla).get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/staff/pipeline")


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/staff/pipeline", "javascript:x", "plan", "/a\nb"],
)
def test_nobody_is_sent_elsewhere_after_signing_in(cast: Cast, browser: Browser, mails: Mails, wanted: str) -> None:
    marias = browser()
    ask(marias, next=wanted)
    assert marias.post(mails.path(MARIA)).headers["location"] == "/"


def test_a_disabled_person_is_a_stranger(
    cast: Cast, browser: Browser, signed_in: SignIn, mails: Mails, database: Database, clock: FixedClock
) -> None:
    marias, inside = browser(), signed_in(contact_id=cast.maria)
    ask(marias)
    with database.write() as db:
        db.get_one(Contact, cast.maria).disabled_at = clock.now()
    assert not is_signed_in(inside)
    assert marias.post(mails.path(MARIA)).status_code == 410
    assert not is_signed_in(marias)


def test_the_welcome_link_is_for_who_knows_where_it_went(
    cast: Cast, browser: Browser, database: Database, settings: Settings, clock: FixedClock
) -> None:
    with database.write() as db:
        link = auth.welcome_link(db, cast.maria, now=clock.now())
    path = auth.link_path(settings.secret_key.get_secret_value(), link)
    clock.set(clock.now() + timedelta(days=6))
    scanner, marias = browser(), browser()
    assert "maria@" not in scanner.get(path).text
    assert scanner.post(path).status_code == 422
    wrong = scanner.post(path, data={"email": "joao@lumen.example"})
    assert (wrong.status_code, "The invitation went to another address." in wrong.text) == (422, True)
    assert marias.post(path, data={"email": "MARIA@lumen.example "}).headers["location"] == "/"
    assert is_signed_in(marias)
    assert scanner.post(path, data={"email": MARIA}).status_code == 410


def test_too_many_mails_to_one_address_are_refused_for_a_while(
    cast: Cast, browser: Browser, database: Database, clock: FixedClock
) -> None:
    for _ in range(5):
        ask(browser())
    answer = browser().post("/sign-in", data={"email": MARIA})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")
    assert "A little slower, please" in answer.text
    ask(browser(), "sofia@verdant.example")
    clock.set(clock.now() + timedelta(minutes=15))
    ask(browser())
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(LetterRow)) == 7


def test_too_many_mails_asked_for_by_one_client_are_refused(cast: Cast, browser: Browser) -> None:
    for number in range(30):
        ask(browser(), f"somebody{number}@lumen.example")
    assert browser().post("/sign-in", data={"email": MARIA}).status_code == 429


@pytest.mark.parametrize(
    ("email", "sentence"),
    [
        ("", "Please fill this in."),
        ("maria", "Please enter an email address, such as maria@company.example."),
        ("maria@lumen.example\x00", "Please remove the invisible control characters."),
        ("m" * 300 + "@lumen.example", "Please shorten this to 254 characters."),
    ],
)
def test_a_wrong_address_is_said_beside_the_field(browser: Browser, email: str, sentence: str) -> None:
    answer = browser().post("/sign-in", data={"email": email})
    assert answer.status_code == 422
    assert re.search(rf'id="email-e">.*{re.escape(sentence)}', answer.text)


def test_a_person_of_two_accounts_goes_on_at_the_other(cast: Cast, signed_in: SignIn, database: Database) -> None:
    with database.write() as db:
        db.get_one(Contact, cast.sofia).email = MARIA
    marias = signed_in(contact_id=cast.maria)
    assert marias.post("/current-account", data={"contact": cast.joao}).status_code == 404
    assert marias.post("/current-account", data={"contact": "x"}).status_code == 404
    assert marias.post("/current-account", data={"contact": cast.sofia}).headers["location"] == "/"
    with database.read() as db:
        assert db.scalars(select(BrowserSession.contact_id)).all() == [cast.sofia]


def test_signing_out_ends_this_session_or_all_of_them(cast: Cast, signed_in: SignIn, database: Database) -> None:
    laptop, phone, tablet = (signed_in(contact_id=cast.maria) for _ in range(3))
    joaos = signed_in(contact_id=cast.joao)
    assert laptop.post("/sign-out").headers["location"] == "/sign-in"
    assert [is_signed_in(one) for one in (laptop, phone, tablet, joaos)] == [False, True, True, True]
    assert "You are signed out on every device." in _follow(
        phone, phone.post("/sign-out/everywhere").headers["location"]
    )
    assert [is_signed_in(one) for one in (laptop, phone, tablet, joaos)] == [False, False, False, True]


def _follow(browser: TestClient, path: str) -> str:
    return browser.get(path).text


def test_the_mail_says_link_and_code_until_the_link_ends(
    cast: Cast, browser: Browser, mails: Mails, database: Database, onward: object
) -> None:
    marias = browser()
    house = marias.app.state.wiring.house  # type: ignore[attr-defined]
    ask(marias)
    path, code = mails.path(MARIA), mails.code(MARIA)
    with database.read() as db:
        row = db.scalars(select(LetterRow)).one()
        assert auth.sign_in_words(db, house, row) == {"sign_in_url": f"http://testserver{path}", "code": code}
    marias.post(path)
    with database.read() as db, pytest.raises(auth.Withheld):
        auth.sign_in_words(db, house, db.scalars(select(LetterRow)).one())


def test_after_signing_in_every_page_speaks_their_language(cast: Cast, browser: Browser, mails: Mails) -> None:
    joaos = browser()
    ask(joaos, "joao@lumen.example")
    joaos.post(mails.path("joao@lumen.example"))
    assert "Não encontramos isso" in joaos.get("/nowhere").text


def test_a_mail_goes_out_though_all_earlier_links_were_tidied_away(
    browser: Browser, cast: Cast, clock: FixedClock, database: Database
) -> None:
    ask(browser())
    clock.set(clock.now() + timedelta(days=41))
    with database.write() as db:
        assert auth.forget_what_ended(db, clock.now()) > 0
    ask(browser())
    with database.read() as db:
        letters = db.scalars(select(LetterRow).where(LetterRow.to_email == MARIA).order_by(LetterRow.id)).all()
        links = db.scalars(select(SignInLink.id)).all()
    assert [letter.context["link_id"] for letter in letters[1:]] == list(links)

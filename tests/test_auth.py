"""Links, sessions, limits and tokens, on both databases; races by many rounds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from portal import auth
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.auth import ApiToken, BrowserSession, Limit, RateCount, Scope, SignInLink, TooMany
from portal.db import Database
from portal.errors import NotFound, Refused

NOON = datetime(2026, 6, 23, 15, 0, tzinfo=UTC)
MARIA = "maria@lumen.example"
SECRET = "a secret for tests"

Result = TypeVar("Result")


class People:
    maria: int
    maria_elsewhere: int
    joao: int
    carla: int


@pytest.fixture
def people(database: Database) -> People:
    made = People()
    with database.write() as db:
        lumen, verdant = (
            Account(external_id=name, name=name, created_at=NOON, created_by="system") for name in ("Lumen", "Verdant")
        )
        carla = Staff(email="carla@onward.example", name="Carla", role=Role.CONSULTANT, timezone="UTC", created_at=NOON)
        db.add_all([lumen, verdant, carla])
        db.flush()

        def contact(account: Account, email: str, *, is_primary: bool) -> Contact:
            person = Contact(
                account_id=account.id,
                name=email,
                email=email,
                language=Language.EN,
                timezone="UTC",
                is_primary=is_primary,
                created_at=NOON,
            )
            db.add(person)
            db.flush()
            return person

        made.maria = contact(lumen, MARIA, is_primary=True).id
        made.joao = contact(lumen, "joao@lumen.example", is_primary=False).id
        made.maria_elsewhere = contact(verdant, MARIA, is_primary=True).id
        made.carla = carla.id
    return made


def at_once(times: int, act: Callable[[], Result]) -> list[Result]:
    """What came of it when so many did it at the same moment."""
    start = Barrier(times)

    def go() -> Result:
        start.wait()
        return act()

    with ThreadPoolExecutor(times) as threads:
        return [future.result() for future in [threads.submit(go) for _ in range(times)]]


# Links


def new_link(database: Database) -> int:
    with database.write() as db:
        who = auth.addressee(db, MARIA)
        return auth.ask_for_link(db, MARIA, who, browser="b", next_path="", now=NOON).id


def test_of_many_who_use_a_link_at_once_one_gets_in(database: Database, people: People) -> None:
    for _ in range(10):
        link_id = new_link(database)

        def use(link_id: int = link_id) -> bool:
            with database.write() as db:
                return auth.use_link(db, db.get_one(SignInLink, link_id), now=NOON)

        assert sorted(at_once(8, use)) == [False] * 7 + [True]


def test_guessing_at_once_gains_no_tries(database: Database, people: People) -> None:
    link_id = new_link(database)

    def guess() -> bool:
        with database.write() as db:
            link = db.get_one(SignInLink, link_id)
            return auth.try_once(db, link, typed="wrong", expected="right", now=NOON)

    at_once(12, guess)
    with database.write() as db:
        link = db.get_one(SignInLink, link_id)
        assert (link.tries, link.ended_why) == (auth.MAX_TRIES, auth.LinkEnd.WORN_OUT)
        assert not auth.try_once(db, link, typed="right", expected="right", now=NOON)


def test_the_codes_of_mail_and_page_differ_and_are_six_digits(database: Database, people: People) -> None:
    link_id = new_link(database)
    with database.read() as db:
        link = db.get_one(SignInLink, link_id)
        codes = [auth.mail_code(SECRET, link), auth.page_code(SECRET, link), auth.mail_code("another", link)]
    assert [len(code) for code in codes] == [6, 6, 6]
    assert all(code.isdigit() for code in codes)
    assert len(set(codes)) == 3


def test_the_newest_of_several_contacts_signs_in_and_staff_win(database: Database, people: People) -> None:
    with database.write() as db:
        assert auth.addressee(db, " MARIA@lumen.example").contact_id == people.maria_elsewhere
        db.get_one(Contact, people.maria_elsewhere).disabled_at = NOON
        db.flush()
        assert auth.addressee(db, MARIA).contact_id == people.maria
        db.get_one(Contact, people.joao).email = "carla@onward.example"
        db.flush()
        assert auth.addressee(db, "carla@onward.example")[:2] == (None, people.carla)
        assert not auth.addressee(db, "nobody@lumen.example").is_known


# Sessions


def test_what_is_stored_opens_nothing(database: Database, people: People) -> None:
    with database.write() as db:
        token = auth.open_session(db, contact_id=people.maria, way="test", now=NOON)
    with database.read() as db:
        stored = db.scalars(select(BrowserSession.token_hash)).one()
        assert auth.find_session(db, token, now=NOON) is not None
        assert auth.find_session(db, stored, now=NOON) is None
        assert auth.find_session(db, "", now=NOON) is None


@pytest.mark.parametrize(
    ("is_staff", "idle", "absolute"),
    [(False, timedelta(hours=12), timedelta(days=30)), (True, timedelta(minutes=30), timedelta(hours=12))],
)
def test_sessions_end_by_idling_and_at_the_latest(
    database: Database, people: People, is_staff: bool, idle: timedelta, absolute: timedelta
) -> None:
    who = {"staff_id": people.carla} if is_staff else {"contact_id": people.maria}
    blink = timedelta(seconds=1)
    with database.write() as db:
        token = auth.open_session(db, **who, way="test", now=NOON)

    def lives(now: datetime) -> bool:
        with database.read() as db:
            return auth.find_session(db, token, now=now) is not None

    assert [lives(NOON + idle - blink), lives(NOON + idle)] == [True, False]
    now = NOON
    while now + idle - blink < NOON + absolute:
        now += idle - blink
        with database.write() as db:
            found = auth.find_session(db, token, now=now)
            assert found is not None
            auth.keep_awake(db, found.person.session_id, now=now)
    assert [lives(NOON + absolute - blink), lives(NOON + absolute)] == [True, False]


def test_disabling_ends_what_is_open_at_once(database: Database, people: People) -> None:
    with database.write() as db:
        tokens = [
            auth.open_session(db, contact_id=people.maria, way="test", now=NOON),
            auth.open_session(db, staff_id=people.carla, way="test", now=NOON),
        ]
        db.get_one(Contact, people.maria).disabled_at = NOON
        db.get_one(Staff, people.carla).disabled_at = NOON
    with database.read() as db:
        assert [auth.find_session(db, token, now=NOON) for token in tokens] == [None, None]


def test_ending_a_persons_sessions_leaves_the_others(database: Database, people: People) -> None:
    with database.write() as db:
        marias = auth.open_session(db, contact_id=people.maria, way="test", now=NOON)
        joaos = auth.open_session(db, contact_id=people.joao, way="test", now=NOON)
        auth.end_sessions(db, contact_id=people.maria)
    with database.read() as db:
        assert auth.find_session(db, marias, now=NOON) is None
        assert auth.find_session(db, joaos, now=NOON) is not None


def test_a_person_of_several_accounts_switches_between_theirs_only(database: Database, people: People) -> None:
    with database.write() as db:
        token = auth.open_session(db, contact_id=people.maria, way="test", now=NOON)
        found = auth.find_session(db, token, now=NOON)
        assert found is not None and isinstance(found.person, auth.Customer)
        me = found.person
        assert auth.accounts_of(db, me) == [(people.maria, "Lumen"), (people.maria_elsewhere, "Verdant")]
        with pytest.raises(NotFound):
            auth.switch_account(db, me, people.joao)
        auth.switch_account(db, me, people.maria_elsewhere)
    with database.read() as db:
        found = auth.find_session(db, token, now=NOON)
        assert found is not None and isinstance(found.person, auth.Customer)
        assert (found.person.contact_id, found.person.account_name) == (people.maria_elsewhere, "Verdant")


# Limits

LIMIT = Limit("tests", 3, timedelta(minutes=10))


def spent(database: Database, whose: str, now: datetime) -> int | None:
    """Whether it was allowed; else after how many seconds to come back."""
    try:
        with database.write() as db:
            auth.spend(db, LIMIT, whose, now=now)
    except TooMany as too_many:
        return too_many.retry_after
    return None


def test_a_limit_opens_again_when_its_window_is_over(database: Database, people: People) -> None:
    minute = timedelta(minutes=1)
    assert [spent(database, "a", NOON + n * minute) for n in range(5)] == [None, None, None, 420, 360]
    assert spent(database, "b", NOON) is None
    assert [spent(database, "a", NOON + LIMIT.per + n * minute) for n in range(4)] == [None, None, None, 420]


def test_a_limit_holds_however_many_come_at_once(database: Database, people: People) -> None:
    allowed = at_once(12, lambda: spent(database, "a", NOON))
    assert sorted(one is None for one in allowed) == [False] * 9 + [True] * 3


def test_limits_keep_no_address(database: Database, people: People) -> None:
    spent(database, MARIA, NOON)
    with database.read() as db:
        assert "maria" not in db.scalars(select(RateCount.key)).one()


# Tokens


def test_a_token_works_until_it_is_revoked(database: Database, people: People) -> None:
    with database.write() as db:
        token = auth.create_token(db, "crm", scope=Scope.WRITE, by="cli", now=NOON)
        with pytest.raises(Refused):
            auth.create_token(db, "crm", scope=Scope.READ, by="cli", now=NOON)
    with database.write() as db:
        client = auth.find_token(db, token)
        assert client is not None and (client.name, client.scope, client.by) == ("crm", Scope.WRITE, "api:crm")
        assert token not in db.scalars(select(ApiToken.token_hash)).one()
        auth.revoke_token(db, "crm", by="cli", now=NOON)
        assert auth.find_token(db, token) is None
        with pytest.raises(NotFound):
            auth.revoke_token(db, "crm", by="cli", now=NOON)


# Identities


def test_an_identity_belongs_to_one_of_the_staff(database: Database, people: People) -> None:
    with database.write() as db:
        for _ in range(2):
            auth.link_identity(db, issuer="https://id.example", subject="17", staff_id=people.carla, now=NOON)
        assert auth.staff_of_identity(db, issuer="https://id.example", subject="17") == people.carla
        assert auth.staff_of_identity(db, issuer="https://other.example", subject="17") is None
        db.get_one(Staff, people.carla).disabled_at = NOON
        db.flush()
        assert auth.staff_of_identity(db, issuer="https://id.example", subject="17") is None


# Housekeeping


def test_what_ended_long_ago_is_forgotten(database: Database, people: People) -> None:
    new_link(database)
    spent(database, "a", NOON)
    with database.write() as db:
        auth.open_session(db, contact_id=people.maria, way="test", now=NOON)
    later = NOON + timedelta(days=31)
    with database.write() as db:
        auth.open_session(db, contact_id=people.joao, way="test", now=later)
        assert auth.forget_what_ended(db, later) == 3
    with database.read() as db:
        left = [db.scalar(select(func.count()).select_from(table)) for table in (SignInLink, RateCount, BrowserSession)]
    assert left == [0, 0, 1]

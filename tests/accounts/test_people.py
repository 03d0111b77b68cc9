"""Colleagues on both databases: invited, joined once, gone at once; rights handed on; a new address, a start, a request."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import auth, links, mail
from portal.accounts import people, people_queries
from portal.accounts.models import Account, Contact
from portal.accounts.people import Joining, MainContactStays, NewColleague, NoLongerOpen
from portal.accounts.people_models import AddressChange, ColleagueInvitation, ContactRight
from portal.accounts.rules import Frequency, Language, NotInvited, Standing, StartStep, Wishes
from portal.audit import AuditEvent, Happened
from portal.auth import BrowserSession, TooMany
from portal.db import Database
from portal.errors import NotFound
from portal.house import House
from portal.mail import Kind, LetterRow, Purpose
from tests import cast, factories
from tests.cast import MONDAY, Cast

ROUNDS = 40


@pytest.fixture
def house(database: Database) -> House:
    return factories.house(database, MONDAY, most_contacts="5")


@pytest.fixture
def who(database: Database, house: House) -> Cast:
    with database.write() as db:
        return cast.put_on_stage(db, house)


def invite(db: Session, house: House, who: Cast, name: str = "Lia Costa", email: str = "") -> NotInvited | None:
    address = email or f"{name.split()[0].lower()}@customer{who.padaria}.example"
    new = NewColleague(name, address, Language.PT_BR)
    by = f"contact:{who.maria}"
    return people.invite(db, house, new, account_id=who.padaria, by=by, inviter_name="Maria Lima", now=MONDAY)


def the_invitation(db: Session) -> ColleagueInvitation:
    return db.scalars(select(ColleagueInvitation).order_by(ColleagueInvitation.id.desc())).first() or pytest.fail(
        "nobody was invited"
    )


def joining(email: str, name: str = "Lia Costa") -> Joining:
    return Joining(email, name, "Bakes", Language.PT_BR, "America/Recife")


def happened(db: Session, account_id: int) -> list[str]:
    rows = select(AuditEvent.what).where(AuditEvent.account_id == account_id).order_by(AuditEvent.id)
    return [str(what) for what in db.scalars(rows)]


# Inviting


def test_an_invitation_is_a_letter_in_their_language_and_on_the_timeline(
    database: Database, house: House, who: Cast
) -> None:
    with database.write() as db:
        assert invite(db, house, who) is None
    with database.read() as db:
        letter = db.scalars(select(LetterRow)).one()
        assert (letter.kind, letter.language, letter.account_id) == (Kind.COLLEAGUE_INVITATION, "pt-BR", who.padaria)
        assert people_queries.pending(db, who.padaria)[0].name == "Lia Costa"
        assert people_queries.pending(db, who.floricultura) == ()
        assert happened(db, who.padaria) == [Happened.COLLEAGUE_INVITED]


@pytest.mark.parametrize(
    ("email", "why"),
    [
        ("maria.lima@{own}", NotInvited.ALREADY_HERE),
        ("lia@gmail.com", NotInvited.OTHER_DOMAIN),
        ("sofia.reis@{other}", NotInvited.OTHER_DOMAIN),
        ("known@{own}", NotInvited.ELSEWHERE),
        ("no@{own}", NotInvited.NO_CONTACT),
    ],
)
def test_a_refusal_says_why_and_sends_nothing(
    database: Database, house: House, who: Cast, email: str, why: NotInvited
) -> None:
    own, other = f"customer{who.padaria}.example", f"customer{who.floricultura}.example"
    with database.write() as db:
        factories.contact(db, who.floricultura, "Known", now=MONDAY, email=f"known@{own}")
        people.refuse(db, f"no@{own}", Purpose.MARKETING, now=MONDAY)
        assert invite(db, house, who, email=email.format(own=own, other=other)) is why
        assert db.scalars(select(LetterRow)).all() == []
        assert happened(db, who.padaria) == [Happened.COLLEAGUE_NOT_INVITED]


def test_an_account_has_room_for_so_many_and_sends_so_many_a_day(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        assert [invite(db, house, who, name) for name in ("Ada", "Bia", "Cid", "Dan")] == [None] * 3 + [NotInvited.FULL]
    with database.write() as db:
        for _ in range(16):
            invite(db, house, who, "Eva")
        with pytest.raises(TooMany):
            invite(db, house, who, "Eva")


def test_sending_again_ends_the_first_link(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        invite(db, house, who)
        row = the_invitation(db)
        first = people_queries.join_path(house, row).rpartition("/")[2]
        people.invite_again(db, invitation_id=row.id, account_id=who.padaria, by="staff:1", now=MONDAY)
        second = people_queries.join_path(house, row).rpartition("/")[2]
        assert people_queries.invitation_of(db, house, first) is None
        assert people_queries.invitation_of(db, house, second) is row
        waiting = db.scalars(select(LetterRow).where(LetterRow.suppressed_at.is_(None))).all()
        assert [letter.key for letter in waiting] == [people.letter_key(row.id, 2)]


def test_a_foreign_accounts_invitation_is_nobody_elses(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        invite(db, house, who)
        number = the_invitation(db).id
        for act in (people.withdraw, people.invite_again):
            with pytest.raises(NotFound):
                act(db, invitation_id=number, account_id=who.floricultura, by=f"contact:{who.sofia}", now=MONDAY)
        assert people.is_open(the_invitation(db), MONDAY)


# Joining


def test_joining_makes_a_contact_with_a_start_and_a_welcome_of_their_own(
    database: Database, house: House, who: Cast
) -> None:
    with database.write() as db:
        invite(db, house, who)
        row = the_invitation(db)
        lia = people.join(db, invitation_id=row.id, joining=joining(row.email), now=MONDAY)
        person = db.get_one(Contact, lia)
        assert (person.account_id, person.email, person.job_title, person.is_primary) == (
            who.padaria,
            row.email,
            "Bakes",
            False,
        )
        progress = people_queries.progress_of(db, lia)
        assert progress is not None and progress.next_step is StartStep.PLAN
        welcome = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.WELCOME_LINK)).one()
        assert (welcome.contact_id, welcome.context["inviter_name"]) == (lia, "Maria Lima")
        assert "lia costa" in db.get_one(Account, who.padaria).search
        assert [m.name for m in people_queries.team(db, who.padaria)] == ["Maria Lima", "João Lima", "Lia Costa"]


@pytest.mark.parametrize("ended", ["used", "withdrawn", "late", "declined", "churned"])
def test_a_link_that_ended_opens_nothing(database: Database, house: House, who: Cast, ended: str) -> None:
    now = MONDAY
    with database.write() as db:
        invite(db, house, who)
        row = the_invitation(db)
        match ended:
            case "used":
                people.join(db, invitation_id=row.id, joining=joining(row.email), now=MONDAY)
            case "withdrawn":
                people.withdraw(db, invitation_id=row.id, account_id=who.padaria, by="staff:1", now=MONDAY)
            case "declined":
                people.decline(db, invitation_id=row.id, never_again=False, now=MONDAY)
            case "churned":
                account = db.get_one(Account, who.padaria)
                account.churned_on, account.churn_reason = MONDAY.date(), "moved"
                db.flush()
            case _:
                now = MONDAY + people.INVITATION_LASTS
        before = db.scalar(select(func.count()).select_from(Contact))
        with pytest.raises(NoLongerOpen):
            people.join(db, invitation_id=row.id, joining=joining(row.email), now=now)
        assert db.scalar(select(func.count()).select_from(Contact)) == before


def test_five_wrong_addresses_end_the_link(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        invite(db, house, who)
        row = the_invitation(db)
        right = [people.right_address(db, row, f"guess{n}@customer.example") for n in range(auth.MAX_TRIES)]
        assert right == [False] * auth.MAX_TRIES
        assert not people.right_address(db, row, row.email)
        assert not people.is_open(row, MONDAY)


def test_of_two_who_join_at_once_one_does(database: Database, house: House, who: Cast) -> None:
    """Forty invitations, each taken by two at the same moment: one contact each, the other is told."""
    for n in range(ROUNDS):
        with database.write() as db:
            row = ColleagueInvitation(
                account_id=who.padaria,
                email=f"new{n}@customer.example",
                name=f"New {n}",
                language=Language.EN,
                nonce=links.new_nonce(),
                invited_by="staff:1",
                inviter_name="Maria",
                created_at=MONDAY,
                sent_at=MONDAY,
                expires_at=MONDAY + people.INVITATION_LASTS,
            )
            db.add(row)
            db.flush()
            number, email = row.id, row.email
        together, outcomes = threading.Barrier(2), list[str]()

        def take(
            number: int = number,
            email: str = email,
            together: threading.Barrier = together,
            outcomes: list[str] = outcomes,
        ) -> None:
            together.wait()
            try:
                with database.write() as db:
                    people.join(db, invitation_id=number, joining=joining(email), now=MONDAY)
                outcomes.append("in")
            except NoLongerOpen:
                outcomes.append("told")

        takers = [threading.Thread(target=take) for _ in range(2)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        assert sorted(outcomes) == ["in", "told"]
        with database.read() as db:
            assert db.scalar(select(func.count()).where(Contact.email == email)) == 1


def test_who_was_removed_can_be_invited_back(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        email = db.get_one(Contact, who.joao).email or ""
        people.remove(db, contact_id=who.joao, account_id=who.padaria, by=f"contact:{who.maria}", now=MONDAY)
        assert invite(db, house, who, "João Lima", email) is None
        again = people.join(db, invitation_id=the_invitation(db).id, joining=joining(email, "João Lima"), now=MONDAY)
        assert (again, db.get_one(Contact, who.joao).disabled_at) == (who.joao, None)


def test_unanswered_invitations_are_forgotten_with_their_addresses(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        invite(db, house, who)
        late = MONDAY + people.INVITATION_LASTS + people.FORGOTTEN_AFTER
        assert people.forget_unanswered(db, late) == 0
        assert people.forget_unanswered(db, late + timedelta(seconds=1)) == 1
        assert db.scalars(select(ColleagueInvitation)).all() == []


# Leaving and rights


def test_removing_ends_sessions_letters_rights_and_their_invitations_at_once(
    database: Database, house: House, who: Cast
) -> None:
    with database.write() as db:
        auth.open_session(db, contact_id=who.joao, way="test", now=MONDAY)
        auth.open_session(db, contact_id=who.maria, way="test", now=MONDAY)
        people.allow_inviting(db, contact_id=who.joao, account_id=who.padaria, by="staff:1", now=MONDAY)
        new = NewColleague("Lia", f"lia@customer{who.padaria}.example", Language.EN)
        by = f"contact:{who.joao}"
        people.invite(db, house, new, account_id=who.padaria, by=by, inviter_name="João", now=MONDAY)
        mail.queue(db, mail.Letter("w", Kind.WELCOME, "j@x.example", "en", contact_id=who.joao), now=MONDAY)
        people.remove(db, contact_id=who.joao, account_id=who.padaria, by=f"contact:{who.maria}", now=MONDAY)
        assert db.scalars(select(BrowserSession.contact_id)).all() == [who.maria]
        assert db.scalars(select(LetterRow).where(LetterRow.suppressed_at.is_(None))).all() == []
        assert people_queries.pending(db, who.padaria) == ()
        assert db.scalars(select(ContactRight).where(ContactRight.revoked_at.is_(None))).all() == []
        assert [m.id for m in people_queries.team(db, who.padaria)] == [who.maria]


def test_the_main_contact_goes_only_after_handing_over(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        with pytest.raises(MainContactStays):
            people.remove(db, contact_id=who.maria, account_id=who.padaria, by="staff:1", now=MONDAY)
        people.hand_over(db, contact_id=who.joao, account_id=who.padaria, by=f"contact:{who.maria}", now=MONDAY)
        people.remove(db, contact_id=who.maria, account_id=who.padaria, by=f"contact:{who.maria}", now=MONDAY)
        assert [(m.id, m.is_primary) for m in people_queries.team(db, who.padaria)] == [(who.joao, True)]


def test_nothing_can_be_done_to_a_foreign_accounts_people(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        for act in (people.remove, people.allow_inviting, people.stop_inviting, people.hand_over):
            with pytest.raises(NotFound):
                act(db, contact_id=who.joao, account_id=who.floricultura, by=f"contact:{who.sofia}", now=MONDAY)


def test_leave_to_invite_is_given_once_and_taken_back(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        for _ in range(2):
            people.allow_inviting(db, contact_id=who.joao, account_id=who.padaria, by="staff:1", now=MONDAY)
        assert people_queries.standing_of(db, who.joao) is Standing.INVITER
        people.stop_inviting(db, contact_id=who.joao, account_id=who.padaria, by="staff:1", now=MONDAY)
        assert people_queries.standing_of(db, who.joao) is Standing.COLLEAGUE
        assert happened(db, who.padaria) == [Happened.INVITING_CHANGED] * 2


# Wishes, start, address, being forgotten


def test_wishes_are_kept_and_everybody_has_some(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        mine = Wishes("America/Sao_Paulo", frequency=Frequency.MONTHLY, weekdays=frozenset({1, 3}))
        for _ in range(2):
            people.wish(db, contact_id=who.maria, wishes=mine, by=f"contact:{who.maria}", now=MONDAY)
        found = people_queries.wishes_of(db, [who.maria, who.joao])
        assert found[who.maria] == mine
        assert found[who.joao].frequency is Frequency.USUAL


def test_a_topic_switched_off_is_the_row_that_the_link_in_a_mail_writes(
    database: Database, house: House, who: Cast
) -> None:
    with database.write() as db:
        email = db.get_one(Contact, who.maria).email or ""
        of_maria = {
            "email": email,
            "account_id": who.padaria,
            "contact_id": who.maria,
            "by": "contact:1",
            "now": MONDAY,
        }
        people.choose_topics(db, wanted=frozenset(mail.TOPICS) - {Purpose.SURVEY}, **of_maria)  # type: ignore[arg-type]
        assert mail.refusals(db, email) == {Purpose.SURVEY}
        people.choose_topics(db, wanted=frozenset(mail.TOPICS), **of_maria)  # type: ignore[arg-type]
        assert mail.refusals(db, email) == set()


def test_a_step_counts_once_and_only_for_who_has_a_start(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        people.take_step(db, who.maria, StartStep.PLAN, now=MONDAY)
        assert people_queries.progress_of(db, who.maria) is None
        people.begin_start(db, who.joao, now=MONDAY)
        for _ in range(2):
            people.take_step(db, who.joao, StartStep.PLAN, now=MONDAY)
        progress = people_queries.progress_of(db, who.joao)
        assert progress is not None and progress.count == (1, 3)


def test_a_new_address_counts_once_confirmed_and_takes_refusals_along(
    database: Database, house: House, who: Cast
) -> None:
    with database.write() as db:
        old = db.get_one(Contact, who.maria).email or ""
        people.refuse(db, old, Purpose.NEWS, now=MONDAY)
        people.ask_for_address(db, contact_id=who.maria, new_email="maria@home.example", now=MONDAY)
        assert db.get_one(Contact, who.maria).email == old
        assert sorted(db.scalars(select(LetterRow.to_email))) == sorted([old, "maria@home.example"])
        change = db.scalars(select(AddressChange)).one()
        people.confirm_address(db, change_id=change.id, now=MONDAY)
        assert db.get_one(Contact, who.maria).email == "maria@home.example"
        assert mail.refusals(db, "maria@home.example") == {Purpose.NEWS}
        with pytest.raises(NotFound):
            people.confirm_address(db, change_id=change.id, now=MONDAY)


def test_an_address_of_a_colleague_or_of_ours_cant_be_taken(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        for taken in (db.get_one(Contact, who.joao).email or "", "carla@onward.example"):
            with pytest.raises(people.AddressNotUsable):
                people.ask_for_address(db, contact_id=who.maria, new_email=taken, now=MONDAY)


def test_asking_to_be_forgotten_reaches_the_administrator_once(database: Database, house: House, who: Cast) -> None:
    with database.write() as db:
        for _ in range(2):
            people.ask_to_be_forgotten(db, contact_id=who.joao, words="Please", now=MONDAY)
        letter = db.scalars(select(LetterRow)).one()
        assert (letter.kind, letter.staff_id) == (Kind.ERASURE_ASKED, who.ana)
        assert [wish.name for wish in people_queries.erasure_wishes(db)] == ["João Lima"]
        people.settle_erasure(db, request_id=people_queries.erasure_wishes(db)[0].id, by="staff:1", now=MONDAY)
        assert people_queries.erasure_wishes(db) == ()

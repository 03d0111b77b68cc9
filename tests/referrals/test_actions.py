"""Inviting, leaving details, confirming, deciding, forgetting: on both databases, also all at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal import auth, mail
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.audit import AuditEvent, Happened
from portal.delivery import deliver, rendered
from portal.errors import NotFound
from portal.house import House
from portal.mail import Kind, LetterRow, LetterState
from portal.referrals import actions, letters, queries, rules
from portal.referrals.actions import Details, Friend, NotPossible, TooManyToday
from portal.referrals.models import Invitation, Referral, ReferralLink, ReferredAddress
from portal.referrals.rules import Move, Refusal, Step
from tests.referrals.conftest import NOON, Cast

PRIYA = "priya@saltmarsh.example"


def friend(email: str = PRIYA, name: str = "Priya Nair", note: str = "Have a look!") -> Friend:
    return Friend(name, email, note, Language.EN)


def details(email: str = PRIYA, name: str = "Priya Nair") -> Details:
    return Details(name, "Saltmarsh Café", email, "I agree.", Language.EN)


def invite(house: House, contact_id: int, email: str = PRIYA, *, after: timedelta = timedelta()) -> Refusal | None:
    with house.database.write() as db:
        return actions.invite(db, house, contact_id, friend=friend(email), now=NOON + after)


def leave(
    house: House,
    cast: Cast,
    email: str = PRIYA,
    *,
    by: int | None = None,
    invitation_id: int | None = None,
    client: str = "x",
) -> None:
    with house.database.write() as db:
        link = actions.make_link(db, by or cast.maria, account_id=cast.lumen, now=NOON)
        actions.leave_details(
            db, house, link_id=link.id, details=details(email), client=client, now=NOON, invitation_id=invitation_id
        )


def accept(house: House, referral_id: int, *, after: timedelta = timedelta(hours=1)) -> Refusal | None:
    with house.database.write() as db:
        return actions.accept(db, house, referral_id, now=NOON + after)


def move(house: House, to: Move, *, why: str = "") -> None:
    with house.database.write() as db:
        actions.move(
            db, db.scalars(select(Referral.id)).one(), to=to, by="staff:1", now=NOON + timedelta(days=1), why=why
        )


def count(house: House, table: Any, *where: Any) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.count()).select_from(table).where(*where)) or 0


# Inviting


def test_an_invitation_is_one_letter_with_the_friends_words_and_no_link(house: House, cast: Cast) -> None:
    assert invite(house, cast.maria) is None
    with house.database.read() as db:
        [row] = db.scalars(select(LetterRow))
        assert (row.kind, row.to_email, row.account_id, row.contact_id) == (Kind.REFERRAL_INVITATION, PRIYA, None, None)
        assert row.context == {
            "friend_name": "Priya Nair", "referrer_name": "Maria Souza", "referrer_company": "Lumen", "note": "Have a look!",
        }  # fmt: skip
        [told] = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.REFERRAL_INVITED))
        assert (told.account_id, told.contact_id, told.detail) == (cast.lumen, cast.maria, {"invitation": 1})


def test_once_sent_only_the_hash_of_the_address_is_left(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    with house.database.read() as db:
        letter_id = db.scalars(select(LetterRow.id)).one()
        written = rendered(db, house, letter_id, composers=letters.COMPOSERS)
        door = db.scalars(select(Invitation)).one()
        assert written is not None and house.url(letters.invitation_path(house, door)) in written.text
        assert "Your first month is free." in written.text
    assert deliver(house, composers=letters.COMPOSERS, now=NOON) == 1
    with house.database.read() as db:
        row = db.scalars(select(LetterRow)).one()
        assert (row.state, row.to_email) == (LetterState.SENT, "")
        everything = [
            str(row.__dict__) for kind in (LetterRow, Invitation, ReferredAddress) for row in db.scalars(select(kind))
        ]
        assert [text for text in everything if PRIYA in text] == []


def test_who_can_not_be_invited_is_refused_and_nothing_is_written(house: House, cast: Cast) -> None:
    for email, reason in (
        ("maria@lumen.example", Refusal.ONESELF),
        ("joao@lumen.example", Refusal.COLLEAGUE),
        ("sofia@verdant.example", Refusal.CUSTOMER),
    ):
        assert invite(house, cast.maria, email) is reason
    assert (count(house, Invitation), count(house, LetterRow), count(house, ReferredAddress)) == (0, 0, 0)


def test_one_mail_for_an_address_for_ever_whoever_asks(house: House, cast: Cast) -> None:
    assert invite(house, cast.maria) is None
    assert invite(house, cast.maria) is Refusal.ALREADY_REFERRED
    assert invite(house, cast.sofia, PRIYA.upper().lower()) is Refusal.ALREADY_REFERRED
    with house.database.write() as db:
        actions.forget_unaccepted(db, NOON + timedelta(days=31))
    assert invite(house, cast.sofia, after=timedelta(days=400)) is Refusal.ALREADY_REFERRED
    assert count(house, LetterRow) == 1


def test_somebody_who_left_us_may_be_invited_back(house: House, cast: Cast) -> None:
    with house.database.write() as db:
        gone = update(Account).where(Account.id == cast.verdant)
        db.execute(gone.values(churned_on=NOON.date(), churn_reason="price"))
    assert invite(house, cast.maria, "sofia@verdant.example") is None


def test_twenty_invitations_a_day_and_not_one_more(house: House, cast: Cast) -> None:
    for number in range(20):
        assert invite(house, cast.maria, f"friend{number}@elsewhere.example") is None
    with pytest.raises(TooManyToday):
        invite(house, cast.maria, after=timedelta(hours=23))
    assert invite(house, cast.maria, after=timedelta(days=1)) is None


def test_of_many_who_invite_one_friend_at_once_the_first_keeps_them(house: House, cast: Cast) -> None:
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda person: invite(house, person), [cast.maria, cast.sofia] * 10))
    assert Counter(said) == {None: 1, Refusal.ALREADY_REFERRED: 19}
    assert (count(house, Invitation), count(house, LetterRow)) == (1, 1)


def test_twenty_a_day_holds_for_forty_at_once(house: House, cast: Cast) -> None:
    def send(number: int) -> bool:
        try:
            return invite(house, cast.maria, f"friend{number}@elsewhere.example") is None
        except TooManyToday:
            return False

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(send, range(40))) == 20


# The friend


def test_details_wait_for_the_proof_of_the_address(house: House, cast: Cast) -> None:
    leave(house, cast)
    with house.database.read() as db:
        referral = db.scalars(select(Referral)).one()
        assert (rules.step(referral.facts), referral.consent) == ((Step.OPENED, NOON), "I agree.")
        letter = db.scalars(select(LetterRow)).one()
        assert (letter.kind, letter.to_email, letter.key) == (
            Kind.REFERRAL_CONFIRMATION,
            PRIYA,
            "referral_confirmation:1:1",
        )
        assert queries.friends(db, cast.maria).listed == []
        assert queries.accepted(db) == []
    assert accept(house, 1) is None
    with house.database.read() as db:
        [shown] = queries.friends(db, cast.maria).listed
        assert (shown.name, shown.company, shown.step) == ("Priya Nair", "Saltmarsh Café", Step.ACCEPTED)
        [listed] = queries.accepted(db)
        assert (listed.email, listed.referrer, listed.moves) == (
            PRIYA,
            "Maria Souza",
            (Move.QUALIFY, Move.WIN, Move.REJECT),
        )
        told = db.execute(select(AuditEvent.by, AuditEvent.account_id, AuditEvent.detail).order_by(AuditEvent.id)).all()
        assert told[-1] == ("friend:1", cast.lumen, {"referral": 1})


def test_fifty_who_accept_one_invitation_at_once_leave_one(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    everybody = [PRIYA, "other@saltmarsh.example"] * 25

    def answer(turn: int) -> None:
        try:
            leave(house, cast, everybody[turn], invitation_id=1, client=f"client {turn}")
        except auth.TooMany:
            pass  # three mails a day for an address

    with ThreadPoolExecutor(25) as pool:
        list(pool.map(answer, range(50)))
        assert count(house, Referral) == 1
        with house.database.read() as db:
            referral_id = db.scalars(select(Referral.id)).one()
        assert set(pool.map(lambda _: accept(house, referral_id), range(50))) == {None}
    assert count(house, AuditEvent, AuditEvent.what == Happened.REFERRAL_ACCEPTED) == 1
    assert count(house, ReferredAddress, ReferredAddress.accepted_at.is_not(None)) == 1


def test_one_address_that_confirms_for_two_referrers_at_once_counts_once(house: House, cast: Cast) -> None:
    leave(house, cast)
    with house.database.write() as db:
        link = actions.make_link(db, cast.sofia, account_id=cast.verdant, now=NOON)
        actions.leave_details(db, house, link_id=link.id, details=details(), client="y", now=NOON)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda referral_id: accept(house, referral_id), [1, 2]))
    assert Counter(said) == {None: 1, Refusal.ALREADY_REFERRED: 1}
    assert count(house, Referral, Referral.accepted_at.is_not(None)) == 1


def test_whoever_invited_first_keeps_the_friend_who_comes_by_another_link(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    with house.database.write() as db:
        link = actions.make_link(db, cast.sofia, account_id=cast.verdant, now=NOON)
        actions.leave_details(db, house, link_id=link.id, details=details(), client="y", now=NOON)
    assert accept(house, 1) is Refusal.ALREADY_REFERRED
    leave(house, cast, invitation_id=1)
    assert accept(house, 2) is None


def test_after_thirty_days_without_an_answer_another_may_bring_the_friend(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    with house.database.write() as db:
        assert actions.forget_unaccepted(db, NOON + timedelta(days=29)) == 0
        assert actions.forget_unaccepted(db, NOON + timedelta(days=31)) == 1
        assert actions.forget_unaccepted(db, NOON + timedelta(days=31)) == 0
    with house.database.write() as db:
        link = actions.make_link(db, cast.sofia, account_id=cast.verdant, now=NOON)
        actions.leave_details(db, house, link_id=link.id, details=details(), client="y", now=NOON + timedelta(days=31))
    assert accept(house, 1, after=timedelta(days=32)) is None


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("maria@lumen.example", Refusal.ONESELF),
        ("joao@lumen.example", Refusal.COLLEAGUE),
        ("sofia@verdant.example", Refusal.CUSTOMER),
    ],
)
def test_the_reason_is_told_only_once_the_address_is_proven(
    house: House, cast: Cast, email: str, reason: Refusal
) -> None:
    leave(house, cast, email)
    assert count(house, LetterRow) == 1
    assert (accept(house, 1), accept(house, 1)) == (reason, reason)
    assert count(house, Referral, Referral.accepted_at.is_not(None)) == 0


def test_who_wants_no_contact_is_never_written_to_by_anybody(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    deliver(house, composers=letters.COMPOSERS, now=NOON)
    with house.database.write() as db:
        actions.refuse_contact(db, 1, now=NOON)
    with house.database.write() as db:
        db.execute(ReferredAddress.__table__.delete())  # type: ignore[attr-defined]
    assert invite(house, cast.sofia) is Refusal.NO_CONTACT
    leave(house, cast)
    assert count(house, LetterRow, LetterRow.kind == Kind.REFERRAL_CONFIRMATION) == 0


def test_an_invitation_that_still_waits_is_stopped_by_no_contact(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    with house.database.write() as db:
        actions.refuse_contact(db, 1, now=NOON)
    assert deliver(house, composers=letters.COMPOSERS, now=NOON) == 0


def test_details_left_twice_replace_each_other_and_kill_the_older_link(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    leave(house, cast, "typo@saltmarsh.example", invitation_id=1)
    with house.database.read() as db:
        older = letters.confirmation_path(house, db.scalars(select(Referral)).one()).rpartition("/")[2]
    leave(house, cast, PRIYA, invitation_id=1)
    with house.database.read() as db:
        assert db.scalars(select(Referral)).one().email == PRIYA
        with pytest.raises(NotFound):
            queries.to_confirm(db, house, older)
    # Of the two letters only the later one leaves.
    deliver(house, composers=letters.COMPOSERS, now=NOON)
    with house.database.read() as db:
        assert sorted((row.key, row.state) for row in db.scalars(select(LetterRow))) == [
            ("referral_confirmation:1:1", LetterState.SUPPRESSED),
            ("referral_confirmation:1:2", LetterState.SENT),
            ("referral_invitation:1", LetterState.SENT),
        ]


def test_details_after_acceptance_change_nothing(house: House, cast: Cast) -> None:
    leave(house, cast)
    accept(house, 1)
    leave(house, cast)
    assert (count(house, Referral), count(house, LetterRow)) == (1, 1)


def test_three_confirmations_a_day_for_an_address(house: House, cast: Cast) -> None:
    for _ in range(3):
        leave(house, cast)
    with pytest.raises(auth.TooMany):
        leave(house, cast)


def test_the_link_of_who_has_left_leads_nowhere(house: House, cast: Cast) -> None:
    with house.database.write() as db:
        link = actions.make_link(db, cast.maria, account_id=cast.lumen, now=NOON)
        token = letters.link_path(house, link).rpartition("/")[2]
        assert queries.shared_door(db, house, token).referrer == "Maria Souza"
        db.execute(update(Contact).where(Contact.id == cast.maria).values(disabled_at=NOON))
    with house.database.read() as db, pytest.raises(NotFound):
        queries.shared_door(db, house, token)


def test_a_token_of_one_purpose_opens_no_other(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    with house.database.read() as db:
        link = db.scalars(select(ReferralLink)).one()
        token = letters.link_path(house, link).rpartition("/")[2]
        for opening in (queries.invited_door, queries.to_confirm):
            with pytest.raises(NotFound):
                opening(db, house, token)


# Deciding


def test_a_friend_goes_from_yes_to_the_reward(house: House, cast: Cast) -> None:
    leave(house, cast)
    accept(house, 1)
    for to in (Move.QUALIFY, Move.QUALIFY, Move.WIN, Move.QUALIFY, Move.REWARD, Move.WIN, Move.REWARD):
        move(house, to)
    with house.database.read() as db:
        assert queries.friends(db, cast.maria).rewarded == 1
        moved = db.scalars(
            select(AuditEvent.detail).where(AuditEvent.what == Happened.REFERRAL_MOVED).order_by(AuditEvent.id)
        )
        assert [told["to"] for told in moved] == ["qualified", "won", "rewarded"]


def test_a_win_alone_is_enough(house: House, cast: Cast) -> None:
    leave(house, cast)
    accept(house, 1)
    move(house, Move.WIN)
    with house.database.read() as db:
        assert [row.step for row in queries.accepted(db)] == [Step.WON]


def test_a_rejected_friend_stays_so_and_the_reason_stays_with_staff(house: House, cast: Cast) -> None:
    leave(house, cast)
    accept(house, 1)
    move(house, Move.REJECT, why="Too small")
    for to in (Move.QUALIFY, Move.WIN, Move.REWARD):
        with pytest.raises(NotPossible):
            move(house, to)
    with house.database.read() as db:
        assert [row.why for row in queries.accepted(db)] == ["Too small"]
        assert "Too small" not in str(queries.friends(db, cast.maria))


@pytest.mark.parametrize("to", Move)
def test_nobody_decides_on_a_friend_who_has_not_said_yes(house: House, cast: Cast, to: Move) -> None:
    leave(house, cast)
    with pytest.raises(NotFound):
        move(house, to)


# Forgetting


def test_after_thirty_days_nothing_of_the_friend_is_left_but_a_hash(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    leave(house, cast, "own@saltmarsh.example", invitation_id=1)
    with house.database.write() as db:
        assert actions.forget_unaccepted(db, NOON + timedelta(days=31)) == 2
    with house.database.read() as db:
        rows = [row for kind in (Invitation, Referral, LetterRow, ReferredAddress) for row in db.scalars(select(kind))]
        known = [str(row.__dict__) for row in rows]
        assert [text for text in known if "saltmarsh" in text.lower() or "Priya" in text] == []
        assert {row.state for row in rows if isinstance(row, LetterRow)} == {LetterState.SUPPRESSED}
        brought = queries.friends(db, cast.maria)
        assert (brought.listed, brought.forgotten) == ([], 1)
        token = letters.invitation_path(house, db.scalars(select(Invitation)).one()).rpartition("/")[2]
        with pytest.raises(NotFound):
            queries.invited_door(db, house, token)


def test_who_has_accepted_is_not_forgotten(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    leave(house, cast, invitation_id=1)
    accept(house, 1)
    with house.database.write() as db:
        assert actions.forget_unaccepted(db, NOON + timedelta(days=365)) == 0


def test_a_mail_that_came_back_is_shown_to_the_referrer(house: House, cast: Cast) -> None:
    invite(house, cast.maria)
    with house.database.write() as db:
        mail.changed(db, update(LetterRow).values(failed_at=NOON, error="550"))
    with house.database.read() as db:
        assert [(each.name, each.mail_came_back) for each in queries.friends(db, cast.maria).listed] == [
            ("Priya Nair", True)
        ]

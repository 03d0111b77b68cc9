"""A mailbox of answers on a real IMAP server (Dovecot): seen once stored, twice fetched and once written, and what is wrong
with it stands where people look."""

import threading

import pytest
from pydantic import SecretStr

from portal import cli
from portal.house import House
from portal.messages import imap, inbound, queries
from portal.messages.imap import MailboxTrouble
from portal.worker import TIMETABLE, Worker
from tests import servers
from tests.messages.conftest import Stage
from tests.servers import Mailbox


def with_mailbox(stage: Stage, url: str) -> House:
    return stage.with_settings(imap_url=SecretStr(url))


def poll(stage: Stage, house: House) -> int:
    return imap.poll(house, stage.now, lambda: False)


def trouble(stage: Stage) -> str:
    with stage.database.read() as db:
        return queries.imap_trouble(db)


def test_answers_in_the_mailbox_become_messages_and_are_seen(stage: Stage, mailbox: Mailbox) -> None:
    house = with_mailbox(stage, mailbox.url)
    mailbox.deliver(stage.a_mail("Um"))
    mailbox.deliver(stage.a_mail("Dois", X_Original_To=stage.address(), To="undisclosed-recipients:;"))
    mailbox.deliver(stage.a_mail("Spam", to="info@onward.example"))
    assert poll(stage, house) == 3
    assert sorted(stage.texts()) == ["Dois", "Um"]
    assert mailbox.flags() == ["S", "S", "FS"]
    assert poll(stage, house) == 0  # not yet due
    stage.later(minutes=1)
    assert poll(stage, house) == 0
    assert trouble(stage) == ""


def test_the_worker_asks_the_mailbox(stage: Stage, mailbox: Mailbox) -> None:
    mailbox.deliver(stage.a_mail("Oi"))
    Worker(with_mailbox(stage, mailbox.url), TIMETABLE).run_until_idle(stage.now)
    assert (stage.texts(), stage.to_answer()) == (["Oi"], [False])


def test_a_mail_stored_but_not_marked_is_one_message(
    stage: Stage, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies after storing it leaves it unseen: it is fetched again."""
    mail = stage.a_mail("Oi")
    mailbox.deliver(mail)
    inbound.receive(stage.house, mail.as_bytes(), to=None, envelope_from=None, now=stage.now)
    assert poll(stage, with_mailbox(stage, mailbox.url)) == 1
    assert (stage.texts(), mailbox.flags()) == (["Oi"], ["S"])


def test_while_the_database_is_away_mails_stay_unseen(
    stage: Stage, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.deliver(stage.a_mail("Oi"))
    house = with_mailbox(stage, mailbox.url)
    stage.database.write_engine.dispose()
    elsewhere = House(house.settings, _Away(), house.clock, frozenset())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="away"):
        imap.fetch(elsewhere, stage.now)
    assert stage.texts() == []
    assert imap.fetch(house, stage.now) == 1
    assert stage.texts() == ["Oi"]


class _Away:
    """A database that can't be reached: fakes stand at the edge only."""

    def write(self) -> object:
        raise RuntimeError("away")


def test_two_workers_at_one_mailbox_write_each_message_once(stage: Stage, mailbox: Mailbox) -> None:
    for number in range(12):
        mailbox.deliver(stage.a_mail(f"Mail {number}"))
    house = with_mailbox(stage, mailbox.url)
    # Both past the lease, as when one was slow: only the mails themselves keep them apart.
    threads = [threading.Thread(target=imap.fetch, args=(house, stage.now)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stage.texts()) == sorted(f"Mail {number}" for number in range(12))
    assert mailbox.flags() == ["S"] * 12


def test_one_worker_at_a_time_asks(stage: Stage, mailbox: Mailbox) -> None:
    mailbox.deliver(stage.a_mail("Oi"))
    house = with_mailbox(stage, mailbox.url)
    done: list[int] = []
    threads = [threading.Thread(target=lambda: done.append(poll(stage, house))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, 1]


@pytest.mark.parametrize("wrong", ["password", "folder", "nobody listens"])
def test_what_is_wrong_with_the_mailbox_is_told_and_tried_again_later(
    stage: Stage, mailbox: Mailbox, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = {
        "password": mailbox.url.replace("secret", "guess"),
        "folder": mailbox.url.replace("/INBOX", "/Nowhere"),
        "nobody listens": f"imap://maria:guess@127.0.0.1:{servers.free_port()}/INBOX?starttls=off",
    }[wrong]
    house = with_mailbox(stage, url)
    assert poll(stage, house) == 0
    told = trouble(stage)
    assert told
    assert "guess" not in told
    with stage.database.read() as db:
        assert (imap.next_due(db) - stage.now).total_seconds() == 60
    stage.later(minutes=1)
    poll(stage, house)
    with stage.database.read() as db:
        assert (imap.next_due(db) - stage.now).total_seconds() == 120
    with pytest.raises(MailboxTrouble):
        imap.check(house)
    assert cli._check_answers(house) == cli.REFUSED
    assert "the mailbox can't be read" in capsys.readouterr().out
    # Set right again, the trouble is gone.
    stage.later(minutes=2)
    mailbox.deliver(stage.a_mail("Oi"))
    assert poll(stage, with_mailbox(stage, mailbox.url)) == 1
    assert trouble(stage) == ""


def test_a_mail_that_is_too_large_is_left_for_a_person(
    stage: Stage, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "ROOM_FOR_MAIL", 2000)
    mailbox.deliver(stage.a_mail("x" * 5000))
    mailbox.deliver(stage.a_mail("Oi"))
    assert poll(stage, with_mailbox(stage, mailbox.url)) == 2
    assert (stage.texts(), sorted(mailbox.flags())) == (["Oi"], ["FS", "S"])


def test_without_a_mailbox_nothing_is_asked(stage: Stage) -> None:
    assert poll(stage, stage.house) == 0
    with stage.database.read() as db:
        assert imap.next_due(db) < stage.now

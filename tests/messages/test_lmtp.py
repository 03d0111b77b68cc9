"""The door for answers, over LMTP and for real: each recipient hears for itself, and only after it is stored."""

import contextlib
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from portal.clock import SystemClock
from portal.messages.lmtp import LmtpServer
from portal.reply_addresses import ANSWERED_WITHIN
from tests.messages.conftest import DOMAIN, Stage


@contextlib.contextmanager
def door(stage: Stage) -> Iterator[smtplib.LMTP]:
    """The server, and a mail server that is connected to it."""
    server = LmtpServer(stage.house, host="127.0.0.1", port=0)
    server.start()
    try:
        with smtplib.LMTP("127.0.0.1", server.port, timeout=30) as client:
            yield client
    finally:
        server.stop()


def answers(client: smtplib.LMTP, recipients: list[str], content: bytes) -> list[int]:
    """What the server says to each recipient after the mail was sent."""
    client.ehlo_or_helo_if_needed()
    client.mail("maria@mail.example")
    for recipient in recipients:
        assert client.rcpt(recipient)[0] == 250
    client.putcmd("data")
    assert client.getreply()[0] == 354
    client.send(content.replace(b"\n", b"\r\n") + b"\r\n.\r\n")
    return [client.getreply()[0] for _ in recipients]


def test_an_answer_is_a_message_once_it_is_acknowledged(stage: Stage) -> None:
    with door(stage) as client:
        assert client.send_message(stage.a_mail(), "maria@mail.example", [stage.address()]) == {}
        assert stage.texts() == ["Sim, pode ser!"]
        client.send_message(stage.a_mail(), "maria@mail.example", [stage.address().upper()])
    assert stage.texts() == ["Sim, pode ser!"]


def test_each_recipient_has_an_answer_of_its_own(stage: Stage) -> None:
    recipients = [stage.address(), stage.address(contact_id=stage.cast.joao)]
    with door(stage) as client:
        assert answers(client, recipients, stage.a_mail().as_bytes()) == [250, 250]
    # It is from Maria: as João's it is kept aside.
    assert (stage.texts(), stage.became()) == (["Sim, pode ser!"], ["message", "unknown_sender"])


@pytest.mark.parametrize("wrong", ["somebody@onward.example", f"reply+c1-1-fff-{'a' * 26}@{DOMAIN}", f"info@{DOMAIN}"])
def test_an_address_that_we_never_gave_out_is_refused_at_once(stage: Stage, wrong: str) -> None:
    with door(stage) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.send_message(stage.a_mail(), "maria@mail.example", [wrong])
    assert refused.value.recipients[wrong][0] == 550


def test_an_address_whose_time_is_over_says_so(stage: Stage) -> None:
    address = stage.address()
    stage.clock.set(stage.now + ANSWERED_WITHIN + timedelta(days=2))
    with door(stage) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.send_message(stage.a_mail(), "maria@mail.example", [address])
    assert b"expired" in refused.value.recipients[address][1]


def test_while_the_database_is_away_the_mail_is_brought_again(stage: Stage) -> None:
    engine = stage.database.write_engine

    def refuse(*_whatever: object) -> None:
        raise OperationalError("BEGIN", {}, Exception("the database is away"))

    with door(stage) as client:
        event.listen(engine, "before_cursor_execute", refuse)
        assert answers(client, [stage.address()], stage.a_mail().as_bytes()) == [451]
        event.remove(engine, "before_cursor_execute", refuse)
        assert answers(client, [stage.address()], stage.a_mail().as_bytes()) == [250]
    assert stage.texts() == ["Sim, pode ser!"]


def test_a_server_that_dies_between_storing_and_answering_loses_and_repeats_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    """The mail server heard nothing, so it brings the mail again."""
    stage.clock.set(SystemClock().now())  # a process of its own has the machine's
    script = tmp_path / "dying.py"
    script.write_text(
        "import os, sys\n"
        "from portal.messages import inbound\n"
        "store = inbound.receive\n"
        "def dying(*args, **values):\n"
        "    store(*args, **values)\n"
        "    os._exit(9)\n"
        "inbound.receive = dying\n"
        "from portal.cli import main\n"
        "sys.exit(main(['lmtp', '--port', '0']))\n"
    )
    environ = {
        "PATH": "/usr/bin:/bin",
        "PORTAL_DATABASE_URL": stage.house.settings.database_url,
        "PORTAL_SECRET_KEY": stage.house.secret,
        "PORTAL_REPLY_DOMAIN": DOMAIN,
        "PORTAL_DATA_DIR": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
    }
    with subprocess.Popen([sys.executable, script], env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().split(":")[1].split(".")[0])
            with smtplib.LMTP("127.0.0.1", port, timeout=30) as client, pytest.raises(smtplib.SMTPServerDisconnected):
                answers(client, [stage.address()], stage.a_mail().as_bytes())
            assert process.wait(timeout=30) == 9
        finally:
            process.kill()
    assert stage.texts() == ["Sim, pode ser!"]
    with door(stage) as client:
        assert answers(client, [stage.address()], stage.a_mail().as_bytes()) == [250]
    assert stage.texts() == ["Sim, pode ser!"]
    assert stage.to_answer() == [False]

"""A thread: who writes, who is told, who has read what; and what the journey hears of it."""

from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import pytest
from sqlalchemy import select

from portal import media
from portal.accounts.models import Contact
from portal.audit import AuditEvent, Happened
from portal.errors import NotFound
from portal.journeys.models import JourneyRow
from portal.mail import Kind, LetterRow, LetterState
from portal.messages import actions, letters, queries
from portal.messages.models import Message
from tests.messages.conftest import DOMAIN, Stage
from tests.servers import SmtpSink


def journey(stage: Stage) -> JourneyRow:
    with stage.database.read() as db:
        return db.get_one(JourneyRow, stage.journey)


def unread(stage: Stage, contact_id: int) -> int:
    with stage.database.read() as db:
        return queries.reachable(db, account_id=stage.cast.padaria, contact_id=contact_id).unread


def unread_of_carla(stage: Stage) -> int:
    with stage.database.read() as db:
        return queries.count_unread_threads(db, stage.cast.carla)


def test_a_message_is_first_contact_and_something_to_answer_once(stage: Stage) -> None:
    assert journey(stage).first_contact_at is None
    stage.write("Olá!")
    stage.later(minutes=5)
    stage.write("E mais uma coisa.")
    assert (journey(stage).first_contact_at is not None, journey(stage).worked_at) == (True, stage.now)
    assert stage.to_answer() == [False]
    stage.write("Good morning!", staff_id=stage.cast.carla)
    assert stage.to_answer() == [True]
    stage.write("Obrigada!")
    assert stage.to_answer() == [True, False]


def test_the_same_form_sent_twice_is_one_message(stage: Stage) -> None:
    assert stage.write("Olá!", key="form:1") == stage.write("Olá!", key="form:1")
    assert stage.texts() == ["Olá!"]


def test_strangers_and_people_without_access_write_nowhere(stage: Stage) -> None:
    with pytest.raises(NotFound):
        stage.write("Let me in", contact_id=stage.cast.sofia)
    with stage.database.write() as db:
        db.get_one(Contact, stage.cast.joao).disabled_at = stage.now
    with pytest.raises(NotFound):
        stage.write("Still here", contact_id=stage.cast.joao)
    assert stage.texts() == []


def test_everybody_has_read_as_far_as_they_have(stage: Stage) -> None:
    stage.write("One", staff_id=stage.cast.carla)
    last = stage.write("Two", staff_id=stage.cast.carla)
    assert (unread(stage, stage.cast.maria), unread(stage, stage.cast.joao)) == (2, 2)
    with stage.database.write() as db:
        actions.mark_read(db, account_id=stage.cast.padaria, up_to=last, contact_id=stage.cast.maria, now=stage.now)
    with stage.database.write() as db:
        actions.mark_read(db, account_id=stage.cast.padaria, up_to=last - 1, contact_id=stage.cast.maria, now=stage.now)
    assert (unread(stage, stage.cast.maria), unread(stage, stage.cast.joao), unread_of_carla(stage)) == (0, 2, 0)
    stage.write("Três")
    assert (unread(stage, stage.cast.maria), unread(stage, stage.cast.joao), unread_of_carla(stage)) == (0, 3, 1)
    with stage.database.write() as db:
        actions.mark_read(db, account_id=stage.cast.padaria, up_to=2**40, staff_id=stage.cast.carla, now=stage.now)
    assert unread_of_carla(stage) == 0


def body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def test_lines_typed_in_a_row_go_in_one_mail_to_whoever_takes_part(stage: Stage, smtp_sink: SmtpSink) -> None:
    house = stage.with_settings(smtp_url=smtp_sink.url)
    for text in ("The price file is fixed.", "Could you check one order?"):
        stage.write(text, staff_id=stage.cast.carla)
        stage.later(seconds=40)
    stage.deliver(house)
    kinds = [one for one in smtp_sink.received if "escreveu" in str(one.message["Subject"])]
    assert kinds == []
    stage.later(seconds=30)
    stage.deliver(house)
    (received,) = [one for one in smtp_sink.received if "escreveu" in str(one.message["Subject"])]
    assert received.recipients == (stage.email(stage.cast.maria),)
    assert "The price file is fixed." in body(received.message)
    assert "Could you check one order?" in body(received.message)
    assert f"@{DOMAIN}" in str(received.message["Reply-To"])
    with stage.database.read() as db:
        page = queries.thread(db, stage.cast.padaria, staff_id=stage.cast.carla)
    assert [[(c.reader, c.state) for c in line.copies] for line in page.lines] == [
        [("Maria Lima", LetterState.SENT)],
        [("Maria Lima", LetterState.SENT)],
    ]


def test_what_was_read_meanwhile_is_not_mailed(stage: Stage) -> None:
    last = stage.write("Hello!", staff_id=stage.cast.carla)
    with stage.database.write() as db:
        actions.mark_read(db, account_id=stage.cast.padaria, up_to=last, contact_id=stage.cast.maria, now=stage.now)
    stage.later(minutes=2)
    stage.deliver()
    with stage.database.read() as db:
        row = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.MESSAGE_TO_CUSTOMER)).one()
    assert (row.state, row.why) == (LetterState.SUPPRESSED, letters.READ)


def test_the_consultant_is_told_by_mail_and_can_answer_it(stage: Stage, smtp_sink: SmtpSink) -> None:
    stage.write("O caixa não conta.")
    stage.later(minutes=2)
    stage.deliver(stage.with_settings(smtp_url=smtp_sink.url))
    (told,) = [one for one in smtp_sink.received if one.recipients == (stage.staff_email(stage.cast.carla),)]
    assert "O caixa não conta." in body(told.message)
    assert stage.address(staff_id=stage.cast.carla) in str(told.message["Reply-To"])
    assert told.message["Auto-Submitted"] == "auto-generated"


def test_every_message_is_in_the_history(stage: Stage) -> None:
    stage.write("Olá!")
    stage.write("Hello!", staff_id=stage.cast.carla)
    with stage.database.read() as db:
        found = db.execute(
            select(AuditEvent.what, AuditEvent.by, AuditEvent.account_id)
            .where(AuditEvent.what.in_((Happened.MESSAGE_RECEIVED, Happened.MESSAGE_SENT)))
            .order_by(AuditEvent.id)
        ).all()
    assert [tuple(row) for row in found] == [
        (Happened.MESSAGE_RECEIVED, f"contact:{stage.cast.maria}", stage.cast.padaria),
        (Happened.MESSAGE_SENT, f"staff:{stage.cast.carla}", stage.cast.padaria),
    ]


def test_many_who_write_at_once_are_all_heard_in_order(stage: Stage) -> None:
    people = [{"contact_id": stage.cast.maria}, {"contact_id": stage.cast.joao}, {"staff_id": stage.cast.carla}]
    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(lambda n: stage.write(f"Number {n}", **people[n % 3]), range(18)))
    with stage.database.read() as db:
        rows = db.execute(select(Message.id, Message.at).order_by(Message.id)).all()
    assert (len(set(ids)), [row.at for row in rows]) == (18, sorted(row.at for row in rows))
    assert len(stage.to_answer()) - sum(stage.to_answer()) <= 1


def test_files_go_with_their_account(stage: Stage) -> None:
    file = media.Harmless("list.csv", "text/csv", b"a;b")
    with stage.database.write() as db:
        draft = actions.Draft(
            account_id=stage.cast.padaria, contact_id=stage.cast.maria, text="Look", key="1", files=[file]
        )
        actions.post(db, stage.house, draft, now=stage.now)
    with stage.database.write() as db:
        assert actions.forget_files(db, stage.cast.floricultura) == 0
        assert actions.forget_files(db, stage.cast.padaria) == 1
    with stage.database.read() as db:
        assert (db.scalars(select(media.MediumBytes.medium_id)).all(), stage.texts()) == ([], ["Look"])

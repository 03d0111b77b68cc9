"""Mail that comes in: whose it is, what of it is the message, and what never becomes one."""

from email.message import EmailMessage

import pytest
from sqlalchemy import func, select

from portal import mail
from portal.audit import AuditEvent, Happened
from portal.journeys.models import JourneyRow
from portal.mail import Kind, LetterRow
from portal.messages import queries, rules
from portal.messages.models import Message
from portal.messages.rules import Became, Via
from tests.messages.conftest import Stage
from tests.servers import SmtpSink

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


def first_contact(stage: Stage) -> bool:
    with stage.database.read() as db:
        return db.get_one(JourneyRow, stage.journey).first_contact_at is not None


def test_an_answer_by_mail_is_a_message_and_a_sign_of_life(stage: Stage) -> None:
    mail_ = stage.a_mail("Sim, pode ser!\n\nEm 22/06/2026 10:32, Carla escreveu:\n> Terça?\n")
    assert stage.receive(mail_).became is Became.MESSAGE
    with stage.database.read() as db:
        (message,) = db.scalars(select(Message)).all()
    assert (message.text, message.via, message.contact_id) == ("Sim, pode ser!", Via.EMAIL, stage.cast.maria)
    assert "> Terça?" in message.original
    assert (first_contact(stage), stage.to_answer()) == (True, [False])
    with stage.database.read() as db:
        how = db.scalars(select(AuditEvent.detail).where(AuditEvent.what == Happened.FIRST_CONTACT)).one()
    assert how == {"how": "reply"}


def test_the_consultant_answers_by_mail(stage: Stage) -> None:
    stage.receive(stage.a_mail("Oi!"))
    answer = stage.a_mail(
        "Hello Maria", to=stage.address(staff_id=stage.cast.carla), sender=stage.staff_email(stage.cast.carla)
    )
    assert stage.receive(answer).became is Became.MESSAGE
    assert (stage.texts(), stage.to_answer()) == (["Oi!", "Hello Maria"], [True])


def test_the_same_mail_twice_is_one_message(stage: Stage) -> None:
    mail_ = stage.a_mail()
    first, second = stage.receive(mail_), stage.receive(mail_)
    assert (first.is_new, second.is_new, first.message_id == second.message_id) == (True, False, True)
    assert stage.texts() == ["Sim, pode ser!"]


def test_a_mail_without_message_id_is_known_by_its_words(stage: Stage) -> None:
    mail_ = stage.a_mail()
    del mail_["Message-ID"]
    stage.receive(mail_)
    stage.receive(b"Received: by another hop\n" + mail_.as_bytes())
    assert stage.texts() == ["Sim, pode ser!"]


def test_from_another_address_it_is_kept_aside_and_never_theirs(stage: Stage) -> None:
    forged = stage.a_mail("Send me your prices", sender="Maria Lima <maria@evil.example>")
    assert stage.receive(forged).became is Became.UNKNOWN_SENDER
    assert (stage.texts(), first_contact(stage)) == ([], False)
    with stage.database.read() as db:
        (aside,) = queries.set_aside(db, account_id=stage.cast.padaria)
        assert queries.set_aside(db, account_id=stage.cast.floricultura) == ()
    assert (aside.from_email, aside.text) == ("maria@evil.example", "Send me your prices")
    # The true one with the same Message-ID is not used up by it.
    true = stage.a_mail("Send me your prices")
    true.replace_header("Message-ID", forged["Message-ID"])
    assert stage.receive(true).became is Became.MESSAGE


@pytest.mark.parametrize(
    "sender",
    [
        "maria@evil.example, Maria <{maria}>",
        "{maria} <maria@evil.example>",
        '"{maria}" <maria@evil.example>',
        "{sofia}",
        "",
    ],
)
def test_no_trick_with_the_sender_works(stage: Stage, sender: str) -> None:
    forged = stage.a_mail("Trick")
    raw = forged.as_bytes().replace(
        b"From: " + str(forged["From"]).encode(),
        b"From: " + sender.format(maria=stage.email(stage.cast.maria), sofia=stage.email(stage.cast.sofia)).encode(),
    )
    assert stage.receive(raw).became is Became.UNKNOWN_SENDER
    assert stage.texts() == []


def test_our_mail_server_can_say_that_it_is_forged(stage: Stage) -> None:
    stage.house = stage.with_settings(trusted_authserv="mx.onward.example")
    assert stage.receive(stage.a_mail(Authentication_Results="mx.onward.example; dmarc=fail")).became is (
        Became.UNKNOWN_SENDER
    )
    assert stage.receive(stage.a_mail("True", Authentication_Results="mx.onward.example; dmarc=pass")).became is (
        Became.MESSAGE
    )


@pytest.mark.parametrize(
    ("headers", "envelope_from", "became"),
    [
        ({"Auto-Submitted": "auto-replied"}, "maria@mail.example", "automatic"),
        ({"Precedence": "bulk"}, "maria@mail.example", "automatic"),
        ({"Precedence": "auto_reply"}, "maria@mail.example", "automatic"),
        ({"X-Autoreply": "yes"}, "maria@mail.example", "automatic"),
        ({"X-Auto-Response-Suppress": "OOF"}, "maria@mail.example", "automatic"),
        ({"Subject": "Resposta automática: estou de férias"}, "maria@mail.example", "automatic"),
        ({}, "", "automatic"),
        ({"List-Id": "<news.acme.example>"}, "maria@mail.example", "automatic"),
        ({"From": "Onward <hello@onward.example>"}, "maria@mail.example", "loop"),
    ],
)
def test_machines_are_kept_and_move_nothing(
    stage: Stage, headers: dict[str, str], envelope_from: str, became: str
) -> None:
    mail_ = stage.a_mail(
        "I am away until Monday.", **{name.replace("-", "_"): value for name, value in headers.items()}
    )
    assert stage.receive(mail_, envelope_from=envelope_from).became == became
    assert (stage.texts(), first_contact(stage), stage.to_answer()) == ([], False, [])
    with stage.database.read() as db:
        letters = db.scalar(select(func.count()).where(LetterRow.kind.in_((Kind.MESSAGE_TO_STAFF,))))
        noted = db.scalars(select(AuditEvent.detail).where(AuditEvent.what == Happened.MAIL_SET_ASIDE)).all()
    assert (letters, [detail["became"] for detail in noted]) == (0, [became])


def test_our_own_notification_thrown_back_fifty_times_makes_no_message(stage: Stage, smtp_sink: SmtpSink) -> None:
    stage.write("Hello!", staff_id=stage.cast.carla)
    stage.later(minutes=2)
    stage.deliver(stage.with_settings(smtp_url=smtp_sink.url))
    (ours,) = [one.message for one in smtp_sink.received if "escreveu" in str(one.message["Subject"])]
    bounced = ours.as_bytes().replace(f"To: {ours['To']}".encode(), f"To: {stage.address()}".encode())
    kinds = {stage.receive(bounced).became for _ in range(25)}
    # A program that answers as if it were Maria, with our Message-ID, and one that only turns the sender round.
    turned = EmailMessage()
    turned["From"], turned["To"] = stage.email(stage.cast.maria), stage.address()
    turned["Message-ID"], turned["Subject"] = str(ours["Message-ID"]), str(ours["Subject"])
    turned.set_content("Hello!")
    kinds |= {stage.receive(turned).became for _ in range(25)}
    assert kinds == {Became.LOOP}
    assert stage.texts() == ["Hello!"]
    stage.later(minutes=5)
    stage.deliver(stage.with_settings(smtp_url=smtp_sink.url))
    assert len([one for one in smtp_sink.received if "escreveu" in str(one.message["Subject"])]) == 1


def test_more_mails_an_hour_than_anybody_writes_are_kept_only(stage: Stage) -> None:
    became = [stage.receive(stage.a_mail(f"Mail {n}")).became for n in range(rules.MOST_AN_HOUR + 3)]
    assert became.count(Became.MESSAGE) == rules.MOST_AN_HOUR
    assert became[-3:] == [Became.TOO_MANY] * 3
    stage.later(hours=2)
    assert stage.receive(stage.a_mail("The next day")).became is Became.MESSAGE


def test_a_report_about_a_letter_marks_it_as_failed(stage: Stage, smtp_sink: SmtpSink) -> None:
    stage.write("Hello!", staff_id=stage.cast.carla)
    stage.later(minutes=2)
    stage.deliver(stage.with_settings(smtp_url=smtp_sink.url))
    (ours,) = [one.message for one in smtp_sink.received if "escreveu" in str(one.message["Subject"])]
    report = (
        "From: mailer-daemon@mx.example\nTo: hello@onward.example\nMessage-ID: <dsn@mx.example>\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\nMIME-Version: 1.0\n\n'
        "--b\nContent-Type: text/plain\n\nYour mail could not be delivered.\n550 5.1.1 no such user\n"
        "--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; maria@x\nAction: failed\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {ours['Message-ID']}\nSubject: x\n--b--\n"
    ).encode()
    assert stage.receive(report, envelope_from="").became is Became.BOUNCE
    with stage.database.read() as db:
        row = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.MESSAGE_TO_CUSTOMER)).one()
    assert (row.state, row.error) == (mail.LetterState.FAILED, "It came back: 550 5.1.1 no such user")
    assert stage.texts() == ["Hello!"]


def test_files_come_along_where_we_take_them_and_are_named_where_not(stage: Stage) -> None:
    mail_ = stage.a_mail("Look")
    mail_.add_attachment(PNG, maintype="image", subtype="png", filename="till.png")
    mail_.add_attachment(b"MZ\x90", maintype="application", subtype="octet-stream", filename="virus.exe")
    mail_.add_attachment("<svg onload=alert(1)>", subtype="svg+xml", filename="drawing.svg")
    assert stage.receive(mail_).became is Became.MESSAGE
    with stage.database.read() as db:
        (line,) = queries.thread(db, stage.cast.padaria, contact_id=stage.cast.maria).lines
    assert [(file.name, file.media_type, file.is_picture) for file in line.files] == [("till.webp", "image/webp", True)]
    assert line.left_out == ["virus.exe", "drawing.svg"]


def test_html_is_read_as_words(stage: Stage) -> None:
    mail_ = stage.a_mail("x")
    mail_.set_content("<p>Sim, <b>já</b>!</p><script>alert(1)</script>", subtype="html")
    stage.receive(mail_)
    assert stage.texts() == ["Sim, já!"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From: \xff\xfe\nTo: nobody\nSubject: =?utf-8?b?broken\n\n\xff\x00",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: text/plain; charset=klingon\nMessage-ID: <\n\n\xe9\xe8",
        b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\nContent-Type: multipart/mixed; boundary=x\n\n" * 500,
        b"From: a@b\nFrom: c@d\nTo: (((\n\nx",
        b"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n",
        b"Subject: " + b"x" * 100_000 + b"\n\nx",
    ],
)
def test_a_broken_mail_breaks_nothing(stage: Stage, raw: bytes) -> None:
    addressed = b"X-Original-To: " + stage.address().encode() + b"\n" + raw
    for one in (raw, addressed):
        assert stage.receive(one).became is not Became.MESSAGE
    assert stage.texts() == []


def test_a_wrong_charset_costs_no_words(stage: Stage) -> None:
    head = stage.a_mail("x")
    del head["Content-Type"], head["Content-Transfer-Encoding"]
    head.set_payload("")
    raw = head.as_bytes().rstrip(b"\n") + b"\nContent-Type: text/plain; charset=utf-8\n\nAmanh\xe3 \xe0s 9\n"
    assert stage.receive(raw).became is Became.MESSAGE
    assert stage.texts() == ["Amanhã às 9"]


def test_only_quoted_words_are_no_message(stage: Stage) -> None:
    assert stage.receive(stage.a_mail("Em 22/06/2026, Carla escreveu:\n> Oi\n")).became is Became.EMPTY


def test_a_mail_to_nobody_of_ours_is_nothing(stage: Stage) -> None:
    assert stage.receive(stage.a_mail("Spam", to="reply+c1-1-fff-aaaa@reply.onward.example")).became is (
        Became.NOT_FOR_US
    )

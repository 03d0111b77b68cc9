"""What the demo's people did lately beside their customers' journeys: faces, a calendar of one's own, tags, words to quote,
times that were offered, a survey with questions of its own, and what a mail scanner answered. All through the real actions.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import islice

from PIL import Image, ImageDraw
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import words
from portal.accounts import portraits
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language
from portal.clock import at_local, local_date, next_business_day
from portal.errors import Refused
from portal.house import House
from portal.journeys import cases
from portal.journeys.models import Flag
from portal.meetings import actions as meetings
from portal.meetings import own_calendar
from portal.meetings.diary import slots
from portal.meetings.rules import MeetingKind
from portal.messages import actions as messages
from portal.surveys import actions as surveys
from portal.surveys import quoting, rounds, sketching
from portal.surveys.actions import FromForm, Sending
from portal.surveys.models import AnswerRow, Invitation, Quote
from portal.surveys.narrowing import COUNTED
from portal.surveys.rounds import Segment
from portal.surveys.rules import (
    NO_WORDS,
    Answers,
    Option,
    Provenance,
    Question,
    QuestionKind,
    Reader,
    Shown,
    ShownAs,
    SurveyPurpose,
    Wording,
)

EN, PT = Language.EN, Language.PT_BR


# Faces


@dataclass(frozen=True)
class Drawn:
    """A picture that somebody brings along, as `portal.media` takes it."""

    name: str
    content: bytes


_BACKS = ("#f3d9b1", "#cfe3d4", "#d9d6ee", "#f2cfc4", "#cfe0ec", "#e9e0c4", "#dcd0df", "#d3e5df")
_TOPS = ("#1f5c4d", "#8a4b2f", "#3b4a86", "#a5643a", "#5d3b62", "#2f6b7a", "#7a5a1e", "#44543a")
_SKINS = ("#e8b894", "#c98d63", "#9a6342", "#f0cbb0", "#7b4c33", "#d9a57e")
_HAIRS = ("#2c211c", "#5a3a22", "#1d1d24", "#8f5a2c", "#3c2f2f", "#6d6a68")


def face(n: int) -> Drawn:
    """A head and shoulders of soft shapes, nobody's; another one for each number."""
    side = 512
    picture = Image.new("RGB", (side, side), _BACKS[n % len(_BACKS)])
    draw = ImageDraw.Draw(picture)
    skin, hair, top = _SKINS[n % len(_SKINS)], _HAIRS[n * 5 % len(_HAIRS)], _TOPS[n * 3 % len(_TOPS)]
    is_long = n % 2 == 0
    if is_long:
        draw.rounded_rectangle((134, 110, 378, 400), 120, fill=hair)
    else:
        draw.ellipse((150, 92, 362, 300), fill=hair)
    draw.rounded_rectangle((214, 290, 298, 420), 42, fill=_darker(skin))
    draw.ellipse((66, 372, 446, 760), fill=top)
    draw.ellipse((206, 356, 306, 420), fill=_darker(skin))
    draw.ellipse((166, 124, 346, 344), fill=skin)
    draw.chord((160, 100, 352, 300), 190 + n % 3 * 8, 350 - n % 4 * 6, fill=hair)
    for x in (218, 294):
        draw.ellipse((x - 9, 226, x + 9, 246), fill="#2a2320")
    draw.arc((218, 240, 294, 304), 25, 155, fill="#2a2320", width=7)
    made = io.BytesIO()
    picture.resize((side, side)).save(made, "PNG")
    return Drawn(f"face-{n}.png", made.getvalue())


def _darker(colour: str) -> str:
    return "#" + "".join(f"{int(colour[i : i + 2], 16) * 88 // 100:02x}" for i in (1, 3, 5))


def put_on_faces(db: Session, house: House, *, visited: Sequence[str], now: datetime) -> None:
    """Those whom customers meet have a picture, and the main people of the visited companies; the rest have initials."""
    colleagues: Sequence[Contact | Staff] = db.scalars(select(Staff).order_by(Staff.id)).all()
    customers: Sequence[Contact | Staff] = db.scalars(
        select(Contact)
        .join(Account, Account.id == Contact.account_id)
        .where(Account.external_id.in_(visited), Contact.is_primary)
        .order_by(Contact.id)
    ).all()
    for n, person in enumerate([*colleagues, *customers]):
        by = f"{'staff' if isinstance(person, Staff) else 'contact'}:{person.id}"
        portraits.wear(db, house, person, face(n), by=by, now=now)


# A calendar of one's own

_ENTRIES = (
    # The day of the week, from, until: what keeps a consultant busy besides their customers. Only the times are kept.
    ("MO", time(9), time(10)),
    ("WE", time(13), time(14, 30)),
    ("FR", time(15), time(17)),
)
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def bring_calendars(db: Session, house: House, staff_ids: Sequence[int], *, now: datetime) -> None:
    """Two consultants keep a calendar elsewhere, and one day off. What it says is brought along: its address is invented,
    and nobody asks there."""
    for staff_id in staff_ids:
        person = db.get_one(Staff, staff_id)
        address = f"https://calendar.larderly.example/{person.email.partition('@')[0]}/private.ics"
        own_calendar.set_address(db, house, staff_id=staff_id, address=address, now=now - timedelta(days=30))
        feed = _feed(local_date(now, person.timezone) - timedelta(days=7), person.timezone)
        own_calendar.take_in(db, staff_id=staff_id, content=feed, now=now - timedelta(minutes=6))
        day_off = next_business_day(local_date(now, person.timezone) + timedelta(days=12))
        meetings.set_exception(db, staff_id=staff_id, day=day_off, spans=[], now=now)


def _feed(since: date, zone: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Larderly//Calendar//EN"]
    for n, (weekday, opens, closes) in enumerate(_ENTRIES):
        day = since
        while _DAYS[day.weekday()] != weekday:
            day += timedelta(days=1)
        lines += [
            "BEGIN:VEVENT",
            f"UID:{n}@calendar.larderly.example",
            f"DTSTAMP:{day:%Y%m%d}T000000Z",
            f"DTSTART;TZID={zone}:{day:%Y%m%d}T{opens:%H%M%S}",
            f"DTEND;TZID={zone}:{day:%Y%m%d}T{closes:%H%M%S}",
            f"RRULE:FREQ=WEEKLY;BYDAY={weekday}",
            "SUMMARY:Busy",
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


# What was said, sorted and quoted

_TAGS: Mapping[str, tuple[str, ...]] = {
    "Stock counts": ("counting",),
    "waste": ("waste",),
    "reports": ("reports",),
    "ordering": ("ordering",),
    "price file": ("import", "units"),
    "tills": ("tills",),
    "menu": ("menu", "handover"),
    "allergen": ("allergens",),
    "inventário": ("contagem",),
    "jogamos menos": ("desperdício",),
    "relatórios": ("relatórios",),
    "pedidos": ("pedidos",),
    "tabela de preços": ("importação", "unidades"),
    "caixas": ("caixas",),
    "cardápio": ("cardápio",),
    "alergênicos": ("alergênicos",),
}
"""What a comment with these words is about, as the manager tags it."""
_LENT: Mapping[Language, tuple[ShownAs | None, ...]] = {
    EN: (ShownAs.FIRST_NAME_AND_COMPANY, None),
    PT: (ShownAs.NAME_AND_COMPANY, None),
}
"""What those who were asked for their words said: under which name; None: nothing yet."""
_WORTH_QUOTING = 40


def sort_comments(db: Session, *, by: str, now: datetime) -> None:
    """The manager has read the comments and tagged most of them."""
    for answer_id, comment in db.execute(
        select(AnswerRow.id, AnswerRow.comment).where(COUNTED, AnswerRow.comment != "").order_by(AnswerRow.id)
    ).all():
        for tag in (tag for part, tags in _TAGS.items() if part in comment for tag in tags):
            quoting.tag_comment(db, answer_id=answer_id, tag=tag, by=by, now=now - timedelta(days=1))


def ask_for_words(db: Session, house: House, *, by: str, now: datetime) -> dict[int, ShownAs]:
    """Asks some happy customers for their words; gives the requests that they say yes to, and under which name."""
    agreed: dict[int, ShownAs] = {}
    for language, said in _LENT.items():
        happy = db.execute(
            select(AnswerRow.id, AnswerRow.comment)
            .join(Contact, Contact.id == AnswerRow.contact_id)
            .where(
                COUNTED, AnswerRow.csat == 5, AnswerRow.nps >= 9, AnswerRow.comment != "", Contact.language == language
            )
            .order_by(AnswerRow.id)
        ).all()
        their_words: set[str] = set()
        waiting = list(said)
        for answer_id, comment in happy:
            if not waiting or comment in their_words or len(comment) < _WORTH_QUOTING:
                continue
            try:
                quoting.ask_for_words(db, house, answer_id=answer_id, words=comment, by=by, now=now - timedelta(days=8))
            except Refused:
                continue  # asked about another answer just before, or something is wrong there by now
            their_words.add(comment)
            shown_as = waiting.pop(0)
            if shown_as is not None:
                agreed[db.scalars(select(Quote.id).where(Quote.answer_id == answer_id)).one()] = shown_as
    return agreed


def lend_words(db: Session, house: House, agreed: Mapping[int, ShownAs], *, now: datetime) -> None:
    """They follow the mail's link and agree to what stands there."""
    for quote_id, shown_as in agreed.items():
        language = db.get_one(Contact, db.get_one(Quote, quote_id).contact_id).language
        consent = words.translate(language, quoting.CONSENT, vendor=house.settings.vendor_name)
        quoting.allow(db, quote_id=quote_id, shown_as=shown_as, consent=consent, now=now - timedelta(days=6))


# Times that were offered

_OFFERS = {
    EN: "That’s not how it should be, and I’d like to see it with you. Half an hour is enough.",
    PT: "Não era para ser assim, e quero ver isso com você. Meia hora basta.",
}
_LEADS = {EN: ("Times that suit me:", "Pick one here: "), PT: ("Horários que servem para mim:", "Escolha um aqui: ")}


def offer_times(db: Session, house: House, *, now: datetime) -> None:
    """One open case of each language has been answered, with three times to choose from."""
    waiting = dict(_OFFERS)
    for flag in db.scalars(
        select(Flag).where(Flag.closed_at.is_(None), Flag.contact_id.is_not(None)).order_by(Flag.id)
    ):
        person = db.get_one(Contact, flag.contact_id)
        staff_id = db.get_one(Account, flag.account_id).consultant_id
        if person.language not in waiting or staff_id is None:
            continue
        free = slots(db, staff_id, MeetingKind.DOUBT, now=now, zone=person.timezone, holidays=house.holidays)
        starts = [slot.starts_at for slot in free[4:20:7]]
        if not starts:
            continue
        lead, link = _LEADS[person.language]
        told = [f"– {words.day_hour_in(moment, person.timezone, person.language)}" for moment in starts]
        text = "\n".join([waiting.pop(person.language), "", lead, *told, f"{link}{house.url('/offered-times')}"])
        by, at = f"staff:{staff_id}", max(flag.opened_at, now - timedelta(hours=4))
        draft = messages.Draft(account_id=flag.account_id, staff_id=staff_id, text=text, key=f"demo:offer:{flag.id}")
        message_id = messages.post(db, house, draft, now=at)
        cases.offer_times(
            db, flag_id=flag.id, contact_id=person.id, starts=starts, message_id=message_id, by=by, now=at
        )
        cases.act_on_flag(db, flag_id=flag.id, how="reply", by=by, now=at)


# A survey with questions of its own

_SURVEY = Wording("How you count and order", "Como vocês contam e pedem")
_QUESTIONS = (
    Question("csat", QuestionKind.CSAT, Wording("How satisfied are you with the stock count?", "O quanto você está satisfeito com a contagem de estoque?")),
    Question(
        "q_easy",
        QuestionKind.RATING,
        Wording("How easy is ordering from the phone?", "O quanto é fácil pedir pelo celular?"),
        low_label=Wording("hard", "difícil"),
        high_label=Wording("very easy", "muito fácil"),
    ),
    Question(
        "q_with",
        QuestionKind.CHOICE,
        Wording("What do you count with, most of the time?", "Com o que vocês contam, na maior parte das vezes?"),
        options=(
            Option("phone", Wording("A phone", "Um celular")),
            Option("tablet", Wording("A tablet", "Um tablet")),
            Option("paper", Wording("Paper, typed in later", "Papel, digitado depois")),
        ),
    ),
    Question(
        "q_weekly",
        QuestionKind.YES_NO,
        Wording("Would a weekly summary by e-mail help you?", "Um resumo semanal por e-mail ajudaria você?"),
    ),
    Question("comment", QuestionKind.TEXT, Wording("What should we build next?", "O que devemos fazer em seguida?"), hint=NO_WORDS),
)  # fmt: skip
_WISHES = {
    EN: ("Scanning with the camera, please.", "", "Let two people count the same shelf.", "", "A printable list by supplier."),
    PT: ("Ler o código com a câmera.", "", "Duas pessoas contando a mesma prateleira.", "", "Uma lista por fornecedor para imprimir."),
}  # fmt: skip
_STAGES = ("good_hands", "follow_up_90", "follow_up_60")


def write_survey(db: Session, *, by: str, now: datetime) -> str:
    """The administrator writes a survey of their own and publishes it; gives its key."""
    key = sketching.begin(db, name=_SURVEY, purpose=SurveyPurpose.OTHER, by=by, now=now)
    begun = sketching.sketch(db, key)
    assert begun is not None  # noqa: S101 - it was begun in the line before
    form = replace(begun.form, questions=_QUESTIONS, minutes=2)
    sketching.publish(db, key, saves=sketching.save(db, form, saves=begun.saves, by=by, now=now), by=by, now=now)
    return key


def send_survey(db: Session, house: House, key: str, *, by: str, now: datetime) -> None:
    """To those who have used it for a while, a stage at a time."""
    for stage in _STAGES:
        segment = Segment(stage=stage)
        size = rounds.size_of(db, segment)
        if size.people:
            rounds.send(
                db, house, key=f"demo:{stage}", survey_key=key, segment=segment, size=size, shown=size.people, is_sure=True,
                by=by, now=now,
            )  # fmt: skip


def said_of_ordering(n: int, language: Language) -> Answers:
    """What the n-th of those who answer says."""
    others = {"q_easy": (5, 4, 4, 3, 5, 2)[n % 6], "q_with": ("phone", "tablet", "phone", "paper")[n % 4]}
    wishes = _WISHES[language]
    return Answers(
        csat=(5, 4, 4, 3, 5)[n % 5], comment=wishes[n % len(wishes)], others={**others, "q_weekly": n % 3 != 1}
    )


# What a machine answered


def let_a_scanner_answer(db: Session, house: House, *, visited: Sequence[str], now: datetime) -> None:
    """A mail scanner has followed every score of two mails and pressed the button: set aside, with its evidence."""
    for language, score in ((EN, 0), (PT, 10)):
        for n, invitation in enumerate(_unanswered(db, language, visited, now=now)):
            at = max(invitation.sent_at or now, now - timedelta(hours=5 + n))
            seen = Shown(at=at - timedelta(seconds=1), nonce=f"demo-{invitation.id}", reader=Reader.BROWSER, filled="")
            surveys.take(
                db,
                house,
                invitation_id=invitation.id,
                answers=Answers(nps=score),
                sending=Sending(
                    Provenance.MAIL_LINK,
                    f"contact:{invitation.contact_id}",
                    form=FromForm(seen, untouched=True, scores_opened=11),
                    evidence={"browser": "LinkScan/4.2 (mail gateway)"},
                ),
                now=at,
            )


def _unanswered(db: Session, language: Language, visited: Sequence[str], *, now: datetime) -> Iterator[Invitation]:
    answered = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id).exists()
    found = db.scalars(
        select(Invitation)
        .join(Contact, Contact.id == Invitation.contact_id)
        .join(Account, Account.id == Invitation.account_id)
        .where(
            Invitation.day.is_not(None) | Invitation.occasion.startswith("hand:"),
            Invitation.sent_at.is_not(None),
            Invitation.expires_at > now,
            Contact.language == language,
            Account.external_id.not_in(visited),
            ~answered,
        )
        .order_by(Invitation.id.desc())
    ).all()
    return islice(found, 1)


def when_asked(today: datetime) -> datetime:
    """When the survey goes out: long enough ago that most have answered, and no later mail had to give way to it."""
    return at_local((today - timedelta(days=25)).date(), time(10), "Europe/London")

"""One person's data in one file: a page to read and the same for machines. Rooms give what is theirs; nobody else's is in it."""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from portal.accounts import people_queries
from portal.audit import AuditEvent
from portal.deps import Ask
from portal.journeys.queries import told_us
from portal.learning.models import Tutorial, TutorialProgress
from portal.meetings import queries as meetings
from portal.messages.models import Message
from portal.referrals import queries as referrals
from portal.surveys.models import AnswerRow, Quote
from portal.templating import render


class Whose(NamedTuple):
    """Whose data it is."""

    contact_id: int
    account_id: int
    name: str


def collected(ask: Ask, me: Whose) -> dict[str, Any]:
    """Everything, by what it is; plain values."""
    own = people_queries.own_data(ask.db, me.contact_id)
    answers = ask.db.execute(
        select(
            AnswerRow.submitted_at,
            AnswerRow.day,
            AnswerRow.csat,
            AnswerRow.nps,
            AnswerRow.comment,
            AnswerRow.wants_help,
            AnswerRow.others,
            AnswerRow.evidence,
            AnswerRow.superseded_at,
        )
        .where(AnswerRow.contact_id == me.contact_id)
        .order_by(AnswerRow.id)
    )
    lessons = ask.db.execute(
        select(Tutorial.slug, TutorialProgress.started_at, TutorialProgress.finished_at, TutorialProgress.helped)
        .join(Tutorial, Tutorial.id == TutorialProgress.tutorial_id)
        .where(TutorialProgress.contact_id == me.contact_id)
        .order_by(Tutorial.slug)
    )
    happened = ask.db.execute(
        select(AuditEvent.at, AuditEvent.what)
        .where(AuditEvent.contact_id == me.contact_id, AuditEvent.account_id == me.account_id)
        .order_by(AuditEvent.at, AuditEvent.id)
        .limit(5_000)
    )
    messages = ask.db.execute(
        select(Message.at, Message.via, Message.text).where(Message.contact_id == me.contact_id).order_by(Message.id)
    )
    quotes = ask.db.execute(
        select(Quote.words, Quote.asked_at, Quote.consented_at, Quote.declined_at, Quote.withdrawn_at)
        .where(Quote.contact_id == me.contact_id)
        .order_by(Quote.id)
    )
    check_ins = meetings.check_ins(ask.db, contact_id=me.contact_id, account_id=me.account_id, now=ask.now)
    friends = referrals.friends(ask.db, me.contact_id)
    return {
        "person": dict(own.person),
        "preferences": dict(own.wishes),
        "mails_switched_off": list(own.mails_refused),
        "start": dict(own.start),
        "letters": [dict(one) for one in own.letters],
        "sessions": [dict(one) for one in own.sessions],
        "answers": [dict(one._mapping) for one in answers],
        "messages": [dict(one._mapping) for one in messages],
        "quotes": [dict(one._mapping) for one in quotes],
        "told_us": [dict(one._asdict()) for one in told_us(ask.db, me.contact_id)],
        "check_ins": [
            {"title": one.title, "starts": one.starts_at, "ends": one.ends_at, "agenda": one.agenda}
            for one in (*check_ins.ahead, *check_ins.behind)
            if one.contact_id == me.contact_id
        ],
        "lessons": [
            {"lesson": slug, "started": started, "finished": finished, "helped": helped}
            for slug, started, finished, helped in lessons
        ],
        "friends": [{"name": one.name, "step": str(one.step), "at": one.at} for one in friends.listed],
        "history": [{"at": at, "what": str(what)} for at, what in happened],
    }


def archive(ask: Ask, me: Whose) -> bytes:
    """`my-data.html` and `my-data.json` in one zip."""
    data = _plain(collected(ask, me))
    page = render(
        "customer/own_data.html",
        ask.locale,
        {"data": data, "zone": ask.zone, "now": ask.now, "vendor": ask.settings.vendor_name, "name": me.name},
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("my-data.html", page)
        made.writestr("my-data.json", json.dumps(data, ensure_ascii=False, indent=2))
    return packed.getvalue()


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime() | date():
            return value.isoformat()
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)

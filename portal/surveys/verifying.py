"""Answers that were set aside: asking the person whether one is theirs, and what becomes of it. And what is half typed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.models import Contact
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.mail import Kind, Letter, LetterRow, Purpose, Withheld
from portal.surveys.actions import counted_answer
from portal.surveys.models import AnswerRow, Draft, Invitation, Quarantine
from portal.surveys.paths import sealed_path
from portal.surveys.rules import QuarantineEnd
from portal.text import FORBIDDEN

_TYPED = {"csat": 10, "nps": 10, "comment": 10_000, "wants_help": 10}
"""What a draft keeps, and how much of it."""


def _waiting(db: Session, answer_id: int) -> tuple[AnswerRow, Quarantine]:
    """An answer that was set aside and about which nobody has decided yet, held. Errors: NotFound; Refused if it's over."""
    found = db.execute(
        select(AnswerRow, Quarantine)
        .join(Quarantine, Quarantine.answer_id == AnswerRow.id)
        .where(AnswerRow.id == answer_id)
        .with_for_update(of=Quarantine)
    ).first()
    if found is None:
        raise NotFound
    answer, quarantine = found
    if quarantine.ended_at is not None:
        raise Refused(N_("Somebody has settled this one already."))
    return answer, quarantine


def ask_to_confirm(db: Session, *, answer_id: int, by: str, now: datetime) -> None:
    """Mails the person what came in their name and asks whether it is theirs; at most once a day.

    Errors: NotFound; Refused where it is settled, or where they can't be asked by mail.
    """
    answer, quarantine = _waiting(db, answer_id)
    person = db.get_one(Contact, answer.contact_id)
    if not person.email or person.disabled_at is not None:
        raise Refused(N_("There is no address to ask at. Call them instead."))
    if mail.refusing(db, [person.email], Purpose.SURVEY):
        raise Refused(N_("They asked not to get such mails. Call them instead."))
    quarantine.asked_at, quarantine.asked_by = now, by
    db.flush()
    mail.queue(
        db,
        Letter(
            key=f"survey_confirm:{answer_id}:{now.date().isoformat()}",
            kind=Kind.SURVEY_CONFIRM,
            to_email=person.email,
            language=person.language,
            account_id=answer.account_id,
            journey_id=answer.journey_id,
            contact_id=answer.contact_id,
            context={"answer_id": answer_id, "days": answer.day},
        ),
        now=now,
    )
    event = Event(Happened.SURVEY_CONFIRM_ASKED, by, now, answer.account_id, answer.journey_id, answer.contact_id)
    audit.note(db, event._replace(detail={"answer": answer_id, "day": answer.day}))


def discard(db: Session, *, answer_id: int, by: str, now: datetime) -> None:
    """It is nobody's: it stays on file, and nobody is asked about it any more. Errors: NotFound; Refused if it's settled."""
    answer, _ = _waiting(db, answer_id)
    end = {"ended_at": now, "ended_by": by, "how": QuarantineEnd.DISCARDED}
    db.execute(update(Quarantine).where(Quarantine.answer_id == answer_id).values(**end))
    event = Event(Happened.SURVEY_DISCARDED, by, now, answer.account_id, answer.journey_id, answer.contact_id)
    audit.note(db, event._replace(detail={"answer": answer_id, "day": answer.day}))


def compose_confirm(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """What came in their name, and the page where they say whether it is theirs. Errors: Withheld where it is settled."""
    found = db.execute(
        select(AnswerRow, Quarantine, Invitation)
        .join(Quarantine, Quarantine.answer_id == AnswerRow.id)
        .join(Invitation, Invitation.id == AnswerRow.invitation_id)
        .where(AnswerRow.id == row.context["answer_id"])
    ).first()
    if found is None:
        raise Withheld(N_("The survey was withdrawn."))
    answer, quarantine, invitation = found
    if quarantine.ended_at is not None or counted_answer(db, invitation.id) is not None:
        raise Withheld(N_("They answered before the mail went out."))
    if invitation.expires_at is not None and invitation.expires_at <= house.clock.now():
        raise Withheld(N_("The survey closed before the mail went out."))
    return {
        "confirm_url": house.url(f"{sealed_path(house, invitation.id, invitation.nonce)}/confirm"),
        "csat": answer.csat,
        "nps": answer.nps,
        "wants_help": bool(answer.wants_help),
        "words": answer.comment,
    }


COMPOSERS: dict[Kind, mail.Composer] = {Kind.SURVEY_CONFIRM: compose_confirm}


# What is half typed


def keep_draft(
    db: Session, *, invitation_id: int, typed: Mapping[str, str], others: Mapping[str, Any] | None = None, now: datetime
) -> None:
    """Keeps what stands in the form now, over what stood there before. It is no answer, and no sign of life.

    `others`: answers to further questions, by field."""
    kept: dict[str, Any] = {
        name: FORBIDDEN.sub("", typed[name])[:most] for name, most in _TYPED.items() if typed.get(name)
    }
    kept |= others or {}
    if not kept:
        db.execute(delete(Draft).where(Draft.invitation_id == invitation_id))
        return
    new = insert_for(db, Draft.__table__).values(invitation_id=invitation_id, typed=kept, saved_at=now)
    written = {"typed": new.excluded.typed, "saved_at": new.excluded.saved_at}
    db.execute(new.on_conflict_do_update(index_elements=["invitation_id"], set_=written))


def forget_drafts(db: Session, now: datetime) -> int:
    """What was half typed into surveys that have closed goes; gives how many."""
    closed = select(Invitation.id).where(Invitation.expires_at < now)
    count = db.scalar(select(func.count()).select_from(Draft).where(Draft.invitation_id.in_(closed))) or 0
    if count:
        db.execute(delete(Draft).where(Draft.invitation_id.in_(closed)))
    return count

"""What administrators do with surveys: write the next version as a sketch, publish it, drop it, retire a survey, try one.

A published version never changes: invitations keep the one they asked, and `stored.known_form` keeps it in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.models import Staff
from portal.audit import Event, Happened
from portal.db import insert_for, rows_of
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.mail import Kind, Letter, LetterRow, Withheld
from portal.surveys import sketch_rules
from portal.surveys.models import AnswerRow, Invitation, RetiredSurvey, Survey, SurveySketch
from portal.surveys.rules import QuestionKind, SurveyForm, SurveyPurpose, Then, Verdict, Wording
from portal.surveys.sketch_rules import Scores
from portal.surveys.stored import form_from, stored_form, survey_form

QUARTER = timedelta(days=90)


class SavedMeanwhile(Refused):
    """Somebody else saved it since; what was typed must not be lost, nor theirs overwritten unseen."""

    def __init__(self) -> None:
        super().__init__(N_("Somebody saved this survey while you were writing."))


class NotReady(Refused):
    """It can't be asked yet: something is missing."""

    status = 422

    def __init__(self) -> None:
        super().__init__(N_("Something is still missing. It is listed on the page."))


class Sketch(NamedTuple):
    """What is being written, and what it was begun from."""

    form: SurveyForm
    version_from: int | None
    saves: int
    saved_at: datetime
    saved_by: str


class Version(NamedTuple):
    id: int
    number: int
    created_at: datetime
    form: SurveyForm
    running: int
    """How many people it still waits for."""


class Listed(NamedTuple):
    """A survey as the list shows it; `form` is what is asked now, or the sketch where nothing is yet."""

    key: str
    form: SurveyForm
    version: int | None
    """The newest one; None: never published."""
    running: int
    sketch: Sketch | None
    retired_at: datetime | None

    @property
    def missing(self) -> list[str]:
        return sketch_rules.languages_missing(self.sketch.form if self.sketch else self.form)


# What there is


def listed(db: Session, now: datetime) -> list[Listed]:
    """Every survey, those that only are a sketch among them. Four statements."""
    versions: dict[str, list[Survey]] = {}
    for row in db.scalars(select(Survey).order_by(Survey.key, Survey.version)):
        versions.setdefault(row.key, []).append(row)
    sketches = {row.key: _sketch(row) for row in db.scalars(select(SurveySketch))}
    retired = {row.key: row.retired_at for row in db.scalars(select(RetiredSurvey))}
    waiting = _running(db, now)
    found = []
    for key in sorted({*versions, *sketches}):
        rows = versions.get(key, [])
        form = survey_form(rows[-1]) if rows else sketches[key].form
        running = sum(waiting.get(row.id, 0) for row in rows)
        found.append(
            Listed(key, form, rows[-1].version if rows else None, running, sketches.get(key), retired.get(key))
        )
    return found


def _running(db: Session, now: datetime) -> dict[int, int]:
    """How many people each version still waits for."""
    counts = and_(
        AnswerRow.invitation_id == Invitation.id, AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None)
    )
    open_ones = (
        select(Invitation.survey_id, func.count())
        .where(
            Invitation.sent_at.is_not(None), Invitation.expires_at > now, ~select(AnswerRow.id).where(counts).exists()
        )
        .group_by(Invitation.survey_id)
    )
    return {survey_id: n for survey_id, n in rows_of(db, open_ones)}


def versions(db: Session, key: str, now: datetime) -> list[Version]:
    """All of a survey, the newest first."""
    rows = db.scalars(select(Survey).where(Survey.key == key).order_by(Survey.version.desc())).all()
    waiting = _running(db, now) if rows else {}
    return [Version(row.id, row.version, row.created_at, survey_form(row), waiting.get(row.id, 0)) for row in rows]


def sketch(db: Session, key: str) -> Sketch | None:
    row = db.get(SurveySketch, key)
    return _sketch(row) if row is not None else None


def _sketch(row: SurveySketch) -> Sketch:
    return Sketch(form_from(row.form), row.version_from, row.saves, row.saved_at, row.saved_by)


def retired_at(db: Session, key: str) -> datetime | None:
    return db.scalar(select(RetiredSurvey.retired_at).where(RetiredSurvey.key == key))


def form_to_try(db: Session, key: str) -> SurveyForm:
    """The sketch where there is one, else what is asked now. Errors: NotFound."""
    written = sketch(db, key)
    if written is not None:
        return written.form
    row = db.scalars(select(Survey).where(Survey.key == key).order_by(Survey.version.desc()).limit(1)).first()
    if row is None:
        raise NotFound
    return survey_form(row)


def said_lately(db: Session, survey_ids: Sequence[int], now: datetime) -> dict[Scores, int]:
    """How many of the last quarter's counted answers gave which scores. One statement."""
    said = (AnswerRow.csat, AnswerRow.nps, AnswerRow.wants_help)
    query = (
        select(*said, func.count())
        .join(Invitation, Invitation.id == AnswerRow.invitation_id)
        .where(
            AnswerRow.quarantined_at.is_(None),
            AnswerRow.superseded_at.is_(None),
            AnswerRow.submitted_at >= now - QUARTER,
            Invitation.survey_id.in_(survey_ids),
        )
        .group_by(*said)
    )
    return {(csat, nps, None if h is None else bool(h)): n for csat, nps, h, n in rows_of(db, query)}


# Writing


def begin(db: Session, *, name: Wording, purpose: SurveyPurpose, by: str, now: datetime) -> str:
    """A new survey as an empty sketch; gives its key."""
    taken = {*db.scalars(select(Survey.key)), *db.scalars(select(SurveySketch.key))}
    key = sketch_rules.key_for(name.en or name.pt, taken)
    does = {
        Verdict.DISSATISFIED: (Then.FLAG,),
        Verdict.NEUTRAL: (),
        Verdict.SATISFIED: (),
        Verdict.PROMOTER: (),
    }
    form = SurveyForm(0, key, name, (), minutes=1, purpose=purpose, does=does)
    save(db, form, saves=0, by=by, now=now)
    return key


def save(db: Session, form: SurveyForm, *, saves: int, version_from: int | None = None, by: str, now: datetime) -> int:
    """The sketch as it is typed now; gives its count of saves.

    `saves`: the count the writer started from, 0 where there was no sketch yet. Errors: SavedMeanwhile.
    """
    form = replace(form, does=sketch_rules.settled_does(form))
    values = {"form": stored_form(form), "saves": saves + 1, "saved_at": now, "saved_by": by}
    if saves == 0:
        newest = db.scalar(select(func.max(Survey.version)).where(Survey.key == form.key))
        values |= {"key": form.key, "version_from": version_from or newest}
        added = insert_for(db, SurveySketch.__table__).values(values).on_conflict_do_nothing()
        is_saved = db.execute(added.returning(SurveySketch.key)).first() is not None
    else:
        this_one = and_(SurveySketch.key == form.key, SurveySketch.saves == saves)
        changed = update(SurveySketch).where(this_one).values(values).returning(SurveySketch.key)
        is_saved = db.execute(changed).first() is not None
    if not is_saved:
        raise SavedMeanwhile
    _note(db, Happened.SURVEY_SKETCHED, form.key, by=by, now=now, save=saves + 1)
    return saves + 1


def publish(db: Session, key: str, *, saves: int, by: str, now: datetime) -> int:
    """The sketch becomes the next version: whoever is asked from now on gets it. Gives its number.

    Errors: NotFound without a sketch; SavedMeanwhile; NotReady.
    """
    row = db.scalars(select(SurveySketch).where(SurveySketch.key == key).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    if row.saves != saves:
        raise SavedMeanwhile
    form = form_from(row.form)
    if sketch_rules.missing(form):
        raise NotReady
    number = (db.scalar(select(func.max(Survey.version)).where(Survey.key == key)) or 0) + 1
    db.execute(insert(Survey).values(**stored_form(form), version=number, created_at=now))
    db.execute(delete(SurveySketch).where(SurveySketch.key == key))
    _note(db, Happened.SURVEY_PUBLISHED, key, by=by, now=now, version=number)
    return number


def drop(db: Session, key: str, *, by: str, now: datetime) -> None:
    """The sketch goes; what is asked stays as it is. A second time changes nothing."""
    gone = db.execute(delete(SurveySketch).where(SurveySketch.key == key).returning(SurveySketch.key)).first()
    if gone is not None:
        _note(db, Happened.SURVEY_SKETCH_DROPPED, key, by=by, now=now)


def retire(db: Session, key: str, *, by: str, now: datetime) -> None:
    """It is sent no more; who was asked already can still answer. A second time changes nothing. Errors: NotFound."""
    if db.scalar(select(Survey.id).where(Survey.key == key).limit(1)) is None:
        raise NotFound
    row = {"key": key, "retired_at": now, "retired_by": by}
    new = insert_for(db, RetiredSurvey.__table__).values(row).on_conflict_do_nothing()
    if db.execute(new.returning(RetiredSurvey.key)).first() is not None:
        _note(db, Happened.SURVEY_RETIRED, key, by=by, now=now)


def revive(db: Session, key: str, *, by: str, now: datetime) -> None:
    """It is sent again. A second time changes nothing."""
    back = db.execute(delete(RetiredSurvey).where(RetiredSurvey.key == key).returning(RetiredSurvey.key)).first()
    if back is not None:
        _note(db, Happened.SURVEY_REVIVED, key, by=by, now=now)


def _note(db: Session, what: Happened, key: str, *, by: str, now: datetime, **detail: Any) -> None:
    audit.note(db, Event(what, by, now, detail={"survey": key, **detail}))


# A test to oneself


def send_test(db: Session, house: House, key: str, *, language: str, staff_id: int, by: str, now: datetime) -> None:
    """Mails the survey to the colleague who asks, marked as a test. Errors: NotFound; Refused where it asks nothing yet."""
    form = form_to_try(db, key)
    if not form.questions:
        raise Refused(N_("It asks nothing yet: add a question."))
    me = db.get_one(Staff, staff_id)
    score = form.first_score
    vendor = house.settings.vendor_name
    shown: dict[str, Any] = {
        "survey": form.name.told(language, vendor),
        "minutes": form.minutes,
        "path": f"/admin/surveys/{key}/try/{language}",
        "intro": form.intro.told(language, vendor),
    }
    asked = score or form.questions[0]
    shown["question"] = asked.asked(language, vendor)
    if score is not None:
        low, high = score.range or (0, 10)
        usual = _ENDS[score.kind]
        shown["scale"] = {
            "name": score.key,
            "low": low,
            "high": high,
            "low_label": score.low_label.told(language, vendor) or usual[0],
            "high_label": score.high_label.told(language, vendor) or usual[1],
        }
    mail.queue(
        db,
        Letter(
            key=f"survey_test:{key}:{language}:{staff_id}:{now.isoformat()}",
            kind=Kind.SURVEY_TEST,
            to_email=me.email,
            language=language,
            staff_id=staff_id,
            context=shown,
        ),
        now=now,
    )
    _note(db, Happened.SURVEY_TEST_SENT, key, by=by, now=now, language=language)


_ENDS = {
    QuestionKind.CSAT: (N_("very unhappy"), N_("very happy")),
    QuestionKind.NPS: (N_("not at all likely"), N_("certain")),
}


def compose_test(_db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """Where the form is tried. Errors: Withheld where the mail names no page."""
    path = row.context.get("path")
    if not path:
        raise Withheld(N_("The survey was withdrawn."))
    return {"answer_url": house.url(path)}


COMPOSERS: dict[Kind, mail.Composer] = {Kind.SURVEY_TEST: compose_test}

"""Erasing a person: no table of either database has a trace of them left, every count stays, and every page still works."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import LargeBinary, func, select, text, update
from starlette.testclient import TestClient

from portal import mail
from portal.accounts import people
from portal.accounts.models import Account, Contact
from portal.accounts.people_models import ColleagueInvitation, ErasureRequest
from portal.accounts.rules import Channel, Language
from portal.audit import AuditEvent, Event, Happened, note
from portal.db import Database
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import cases, stuck
from portal.journeys.import_models import Became, DealImport, ImportLine
from portal.journeys.models import GoalRow, Milestone, PendingIssue
from portal.journeys.rules import FlagOrigin, Outcome, Whose
from portal.learning.models import Tutorial, TutorialProgress
from portal.mail import Kind, Letter
from portal.messages import actions as messages
from portal.messages.actions import Draft
from portal.messages.models import IncomingMail
from portal.messages.rules import Became as MailBecame
from portal.messages.rules import Via
from portal.surveys.models import AnswerRow, Invitation, Quote, Survey
from portal.surveys.rules import Outcome as Judged
from portal.surveys.rules import Provenance, ShownAs
from portal.surveys.shipped import load_shipped_surveys
from portal.tables import EVERY
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road

HOUR_AGO = NOON - timedelta(hours=1)
PHONE = "+5511976543210"
COMMENT = "The pergola screen forgets my basil orders every single Monday."
SAID = "Could you look at the zeppelin report? It is in Klingon again."
STUCK = "The kumquat scanner says no, whatever I do with it."
MISSED = "I missed a chapter about marmalade."
ASKED = "Please forget my marzipan days with you."
GOAL = "Half an hour less a day with the tarpaulin"
TRACES = (
    *("João Lima", "João", "joao@lumen.example", PHONE, "97654"),
    *("pergola", "zeppelin", "kumquat", "marmalade", "marzipan", "tarpaulin", "Netscape", "gazpacho", "ocelot"),
)


@pytest.fixture
def joaos_life(database: Database, house: House, cast: Cast, road: Road) -> dict[str, int]:
    """Everything that João can leave behind, and everything that others can write about him."""
    by = f"contact:{cast.joao}"
    with database.write() as db:
        load_shipped_surveys(db, now=NOON)
        db.execute(
            update(Contact)
            .where(Contact.id == cast.joao)
            .values(phone=PHONE, birthday=date(1980, 5, 1), job_title="Ocelot keeper")
        )
        db.execute(
            update(Account).where(Account.id == cast.lumen).values(notes="Ask João Lima (joao@lumen.example) first.")
        )
        people.refresh_search(db, cast.lumen)
        survey = db.scalars(select(Survey).where(Survey.key == "pulse")).first() or db.scalars(select(Survey)).first()
        assert survey is not None
        asked = Invitation(
            survey_id=survey.id,
            account_id=cast.lumen,
            journey_id=road.lumen,
            contact_id=cast.joao,
            day=30,
            nonce="joaos-old-nonce",
            planned_at=HOUR_AGO,
            sent_at=HOUR_AGO,
            expires_at=NOON + timedelta(days=20),
        )
        db.add(asked)
        db.flush()
        answer = AnswerRow(
            invitation_id=asked.id,
            account_id=cast.lumen,
            journey_id=road.lumen,
            contact_id=cast.joao,
            day=30,
            csat=2,
            nps=3,
            comment=COMMENT,
            wants_help=True,
            others={},
            outcome=Judged.DISSATISFIED,
            provenance=Provenance.MAIL_LINK,
            by=by,
            submitted_at=HOUR_AGO,
            evidence={"browser": "Netscape Navigator 4"},
        )
        db.add(answer)
        db.flush()
        flag = cases.open_flag(
            db,
            house,
            journey_id=road.lumen,
            origin=FlagOrigin.ANSWER,
            by=by,
            contact_id=cast.joao,
            answer_id=answer.id,
            words=COMMENT,
            scores={"nps": 3, "csat": 2},
            now=HOUR_AGO,
        )
        db.add(
            Quote(
                answer_id=answer.id,
                account_id=cast.lumen,
                contact_id=cast.joao,
                words=COMMENT[:40],
                nonce="q",
                asked_at=HOUR_AGO,
                asked_by=f"staff:{cast.carla}",
                consented_at=HOUR_AGO,
                consent="I, João Lima, allow it",
                shown_as=ShownAs.NAME_AND_COMPANY,
            )
        )
        said = messages.post(
            db,
            house,
            Draft(account_id=cast.lumen, contact_id=cast.joao, text=SAID, key="m1", via=Via.PORTAL),
            now=HOUR_AGO,
        )
        messages.post(
            db,
            house,
            Draft(
                account_id=cast.lumen,
                staff_id=cast.carla,
                text=f"Olá João! You wrote: {SAID} Call you on +55 (11) 97654-3210?",
                key="m2",
                via=Via.PORTAL,
            ),
            now=HOUR_AGO,
        )
        milestone = db.scalars(
            select(Milestone).where(Milestone.journey_id == road.lumen).order_by(Milestone.id)
        ).first()
        assert milestone is not None
        stuck.note(db, house, milestone, contact_id=cast.joao, words=STUCK, now=HOUR_AGO)
        lesson = Tutorial(
            slug="jam", position=1, minutes=2, created_at=NOON, changed_at=NOON, published_at=NOON, stage_key=""
        )
        db.add(lesson)
        db.flush()
        db.add(
            TutorialProgress(
                contact_id=cast.joao, tutorial_id=lesson.id, started_at=NOON, helped=False, told_at=NOON, words=MISSED
            )
        )
        db.add(GoalRow(journey_id=road.lumen, day=30, title=GOAL, measure="", unit="", created_at=NOON, created_by=by))
        db.add(
            PendingIssue(
                journey_id=road.lumen,
                problem="João wants help",
                solution="Carla asks João Lima",
                whose=Whose.US,
                due_on=date(2026, 7, 1),
                created_at=NOON,
                created_by=f"staff:{cast.carla}",
            )
        )
        people.ask_to_be_forgotten(db, contact_id=cast.joao, words=ASKED, now=HOUR_AGO)
        journeys.log_conversation(
            db,
            house,
            journey_id=road.lumen,
            channel=Channel.PHONE,
            result=Outcome.NEUTRAL,
            note="João talked about his gazpacho for an hour",
            contact_id=cast.joao,
            by=f"staff:{cast.carla}",
            now=HOUR_AGO,
        )
        note(
            db,
            Event(
                Happened.NOTE_WRITTEN,
                f"staff:{cast.carla}",
                HOUR_AGO,
                cast.lumen,
                road.lumen,
                None,
                {"note": "João Lima rang from (11) 97654 3210"},
            ),
        )
        db.add(
            IncomingMail(
                key="k",
                received_at=HOUR_AGO,
                sender=by,
                account_id=cast.lumen,
                from_email="joao@lumen.example",
                subject="My ocelot",
                text="The ocelot is ill",
                became=MailBecame.AUTOMATIC,
            )
        )
        db.add(
            ColleagueInvitation(
                account_id=cast.lumen,
                email="bia@lumen.example",
                name="Bia",
                language=Language.EN,
                nonce="n",
                invited_by=by,
                inviter_name="João Lima",
                created_at=NOON,
                sent_at=NOON,
                expires_at=NOON + timedelta(days=9),
            )
        )
        mail.queue(
            db,
            Letter(
                "waits",
                Kind.WELCOME,
                "joao@lumen.example",
                "en",
                {"name": "João Lima"},
                account_id=cast.lumen,
                contact_id=cast.joao,
            ),
            now=NOON,
        )
        file = DealImport(
            file_name="old.csv", content=b"", by="import", uploaded_at=NOON, finished_at=NOON, confirmed_at=NOON
        )
        db.add(file)
        db.flush()
        db.add(
            ImportLine(
                import_id=file.id,
                line=2,
                became=Became.REFUSED,
                waiting=False,
                account_id=cast.lumen,
                company="Lumen",
                cells=["Lumen", "João Lima", "joao@lumen.example"],
            )
        )
    return {"answer": answer.id, "invitation": asked.id, "flag": flag, "message": said, "file": file.id}


_SQLITE_INDEX = text("SELECT title, names, text FROM search_index")
_POSTGRESQL_INDEX = text("SELECT CAST(title AS text), CAST(words AS text) FROM search_index")


def traces(database: Database) -> Iterator[tuple[str, str, str]]:
    """Where a trace of João is: every text and JSON column of every table, each database's own search index included."""
    with database.read() as db:
        for name, table in EVERY.items():
            columns = [column for column in table.columns if not isinstance(column.type, LargeBinary)]
            for row in db.execute(select(*columns)):
                for column, value in zip(columns, row, strict=True):
                    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
                    yield from ((name, column.name, trace) for trace in TRACES if trace.lower() in shown.lower())
        indexed = _SQLITE_INDEX if database.dialect == "sqlite" else _POSTGRESQL_INDEX
        for row in db.execute(indexed):
            folded = " ".join(map(str, row))
            yield from (("search_index", "", trace) for trace in ("joao", "zeppelin", "klingon") if trace in folded)


def erase(ana: TestClient, cast: Cast, person: int, typed: str, why: str = "asked") -> Any:
    return ana.post(f"/staff/customers/{cast.lumen}/people/{person}/erasure", data={"typed": typed, "why": why})


def counts(database: Database) -> dict[str, int]:
    with database.read() as db:
        kept = (
            "answers",
            "flags",
            "messages",
            "stuck_notes",
            "invitations",
            "conversations",
            "goals",
            "pending_issues",
            "contacts",
        )
        found = {name: db.execute(select(func.count()).select_from(EVERY[name])).scalar_one() for name in kept}
        found["nps"] = db.execute(select(func.sum(AnswerRow.nps))).scalar_one()
        return found


def test_nothing_of_the_person_is_left_and_every_count_stays(
    ana: TestClient, database: Database, cast: Cast, joaos_life: dict[str, int]
) -> None:
    before = counts(database)
    assert {trace for _, _, trace in traces(database)} == {*TRACES, "joao", "klingon"}  # the scan finds what there is
    answer = erase(ana, cast, cast.joao, "joao@lumen.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/privacy")
    assert sorted(set(traces(database))) == []
    assert counts(database) == before
    with database.read() as db:
        person = db.get_one(Contact, cast.joao)
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.PERSON_ERASED)).one()
        wishes = db.scalars(select(ErasureRequest.settled_by)).all()
    assert (person.name, person.email, person.disabled_at, person.erased_at) == ("Pessoa apagada", None, NOON, NOON)
    assert (told.by, told.contact_id, told.detail) == (f"staff:{cast.ana}", cast.joao, {"cause": "asked"})
    assert wishes == [f"staff:{cast.ana}"]

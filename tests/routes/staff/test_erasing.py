"""Erasing a person: no table of either database has a trace of them left, every count stays, and every page still works."""

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import LargeBinary, func, select, text, update
from starlette.testclient import TestClient

from portal import auth, erasing, mail
from portal.accounts import people
from portal.accounts.models import Account, Contact
from portal.accounts.people_models import ColleagueInvitation, ErasureRequest
from portal.accounts.rules import Channel, Language
from portal.audit import AuditEvent, Event, Happened, note
from portal.db import Database
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import cases, conduct, stuck
from portal.journeys.import_models import Became, DealImport, ImportLine
from portal.journeys.models import GoalRow, Milestone, PendingIssue
from portal.journeys.rules import FlagOrigin, Outcome, Whose
from portal.learning.models import Tutorial, TutorialProgress
from portal.mail import Kind, Letter, LetterRow, Purpose
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
from tests.routes.conftest import NOON, Cast, SignIn
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


def test_every_table_is_dealt_with() -> None:
    treated, untouched = set(erasing.TREATED), set(erasing.UNTOUCHED)
    assert treated & untouched == set()
    assert treated | untouched == set(EVERY), "say in portal/erasing.py what happens to it when a person is erased"


PAGES = (
    *("/staff", "/staff/customers", "/staff/customers/{lumen}", "/staff/customers/{lumen}/timeline", "/staff/inbox"),
    *(
        "/staff/pipeline",
        "/staff/flags/{flag}",
        "/staff/messages/{lumen}",
        "/staff/messages",
        "/staff/insights/surveys",
        "/admin/privacy",
    ),
    *("/staff/insights", "/staff/import", "/staff/insights/quotes"),
)
OWN_PAGES = ("/", "/plan", "/messages", "/check-ins", "/team", "/search?q=zeppelin", "/search?q=joao")


def test_every_page_that_showed_them_works_without_a_trace(
    ana: TestClient, maria: TestClient, cast: Cast, joaos_life: dict[str, int]
) -> None:
    places = {"lumen": cast.lumen, "flag": joaos_life["flag"]}
    there = [path.format(**places) for path in PAGES]
    before = {path: ana.get(path) for path in there} | {path: maria.get(path) for path in OWN_PAGES}
    assert {path: page.status_code for path, page in before.items()} == dict.fromkeys(before, 200)
    assert sum("João" in page.text for page in before.values()) > 5
    assert erase(ana, cast, cast.joao, "JOAO@lumen.example ").status_code == 303
    after = {path: ana.get(path) for path in there} | {path: maria.get(path) for path in OWN_PAGES}
    assert {path: page.status_code for path, page in after.items()} == {
        path: page.status_code for path, page in before.items()
    }
    # What was looked for stands in its own box.
    said = {path: page.text.replace('value="zeppelin"', "").replace("zeppelin", "", 0) for path, page in after.items()}
    left = {(path, trace) for path, page in said.items() for trace in TRACES if trace in page and "?q=" not in path}
    assert left == set()
    assert SAID not in said["/search?q=zeppelin"]


def test_old_ways_in_are_closed(
    ana: TestClient, signed_in: SignIn, database: Database, house: House, cast: Cast, joaos_life: dict[str, int]
) -> None:
    joao = signed_in(contact_id=cast.joao)
    assert joao.get("/").status_code == 200
    with database.write() as db:
        link = auth.welcome_link(db, cast.joao, now=NOON)
        path = auth.link_path(house.secret, link)
    assert joao.get(path).status_code == 200
    erase(ana, cast, cast.joao, "joao@lumen.example")
    assert joao.get("/").status_code == 303
    assert joao.get(path).status_code in (404, 410)
    with database.read() as db:
        waiting = db.scalars(
            select(LetterRow.id).where(
                LetterRow.contact_id == cast.joao, LetterRow.sent_at.is_(None), LetterRow.suppressed_at.is_(None)
            )
        ).all()
        nonce = db.get_one(Invitation, joaos_life["invitation"]).nonce
        refused = mail.refusals(db, "joao@lumen.example")
    assert waiting == []
    assert nonce != "joaos-old-nonce"
    assert refused == set(Purpose) - {Purpose.SERVICE}


def test_erased_twice_is_erased_once(
    ana: TestClient, database: Database, cast: Cast, joaos_life: dict[str, int]
) -> None:
    erase(ana, cast, cast.joao, "joao@lumen.example")
    again = erase(ana, cast, cast.joao, "joao@lumen.example")
    assert (again.status_code, again.headers["location"]) == (303, "/admin/privacy")
    assert ana.get(f"/staff/customers/{cast.lumen}/people/{cast.joao}/erasure").status_code == 200
    with database.read() as db:
        told = db.scalars(select(AuditEvent.id).where(AuditEvent.what == Happened.PERSON_ERASED)).all()
    assert len(told) == 1


def test_a_worker_that_turns_a_letter_of_theirs_and_the_erasing_never_wait_for_each_other(
    database: Database, house: House, cast: Cast, road: Road, joaos_life: dict[str, int]
) -> None:
    """Both hold the journey before the letter; the other way round PostgreSQL would have ended one of them."""
    with database.write() as db:
        letter = Letter(
            key="survey:30:joao", kind=Kind.SURVEY_30, to_email="joao@lumen.example", language="en", context={"days": 30},
            account_id=cast.lumen, journey_id=road.lumen, contact_id=cast.joao,
        )  # fmt: skip
        mail.queue(db, letter, now=NOON)
    failed: list[BaseException] = []

    def erase() -> None:
        try:
            with database.write() as db:
                erasing.erase(
                    db,
                    house,
                    contact_id=cast.joao,
                    account_id=cast.lumen,
                    why=erasing.Why.ASKED,
                    by="staff:1",
                    now=NOON,
                )
        except BaseException as crash:
            failed.append(crash)

    eraser = threading.Thread(target=erase)
    with database.write() as db:
        conduct.lock(db, road.lumen)
        eraser.start()
        _wait_until_somebody_waits(database)
        assert mail.suppress(db, keys=["survey:30:joao"], why="They called.", now=NOON) == 1
    eraser.join()
    assert failed == []
    with database.read() as db:
        assert db.get_one(Contact, cast.joao).erased_at == NOON


def _wait_until_somebody_waits(database: Database) -> None:
    """Until another connection waits for a lock; SQLite has one writer at a time, and nothing to look at."""
    if database.dialect != "postgresql":
        return
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with database.read() as db:
            if db.scalar(waiting):
                return
    raise AssertionError("nobody came to wait")


def test_the_main_contact_of_a_customer_stays_until_somebody_else_is(
    ana: TestClient, database: Database, house: House, cast: Cast, road: Road
) -> None:
    page = ana.get(f"/staff/customers/{cast.lumen}/people/{cast.maria}/erasure").text
    assert "É o contato principal." in page
    assert erase(ana, cast, cast.maria, "maria@lumen.example").status_code == 409
    ana.post(f"/staff/customers/{cast.lumen}/people/{cast.joao}/main-contact")
    assert erase(ana, cast, cast.maria, "maria@lumen.example").status_code == 303
    with database.write() as db:
        cases.churn(db, house, account_id=cast.lumen, on=NOON.date(), reason="Closed", by=f"staff:{cast.ana}", now=NOON)
    assert erase(ana, cast, cast.joao, "joao@lumen.example", "ended").status_code == 303
    assert ana.get(f"/staff/customers/{cast.lumen}").status_code == 200


def test_who_left_before_can_be_found_and_erased(ana: TestClient, database: Database, cast: Cast, road: Road) -> None:
    with database.write() as db:
        people.remove(db, contact_id=cast.joao, account_id=cast.lumen, by=f"staff:{cast.carla}", now=NOON)
    assert f"/people/{cast.joao}/erasure" in ana.get("/admin/privacy?q=joao@lumen").text
    assert erase(ana, cast, cast.joao, "joao@lumen.example").status_code == 303
    assert f"/people/{cast.joao}/erasure" not in ana.get("/admin/privacy?q=lumen").text


@pytest.mark.parametrize("given", [{"typed": "maria@lumen.example"}, {"typed": ""}, {"why": "because"}])
def test_a_wrong_word_erases_nobody(
    given: dict[str, str], ana: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    typed = {"typed": "joao@lumen.example", "why": "asked"} | given
    answer = ana.post(f"/staff/customers/{cast.lumen}/people/{cast.joao}/erasure", data=typed)
    assert (answer.status_code, f'id="{next(iter(given))}-e"' in answer.text) == (422, True)
    with database.read() as db:
        assert db.get_one(Contact, cast.joao).erased_at is None


def test_a_file_that_waits_with_them_in_it_is_dealt_with_first(
    ana: TestClient, database: Database, cast: Cast, joaos_life: dict[str, int]
) -> None:
    with database.write() as db:
        db.execute(update(DealImport).values(finished_at=None))
    answer = erase(ana, cast, cast.joao, "joao@lumen.example")
    assert (answer.status_code, "old.csv" in answer.text) == (409, True)
    with database.read() as db:
        assert db.get_one(Contact, cast.joao).name == "João Lima"


def test_only_an_administrator_erases_or_takes_a_copy(
    ana: TestClient, rui: TestClient, carla: TestClient, maria: TestClient, database: Database, cast: Cast
) -> None:
    at = f"/staff/customers/{cast.lumen}/people/{cast.joao}"
    for person, status in ((rui, 403), (carla, 403), (maria, 404)):
        assert person.get(f"{at}/erasure").status_code == status
        assert erase(person, cast, cast.joao, "joao@lumen.example").status_code == status
        assert person.post(f"{at}/data").status_code == status
        assert person.get("/admin/privacy").status_code == status
    assert ana.get(f"/staff/customers/{cast.other}/people/{cast.joao}/erasure").status_code == 404
    with database.read() as db:
        assert db.get_one(Contact, cast.joao).erased_at is None


def test_a_copy_holds_what_they_wrote_and_that_it_was_taken_is_on_record(
    ana: TestClient, database: Database, cast: Cast, joaos_life: dict[str, int]
) -> None:
    answer = ana.post(f"/staff/customers/{cast.lumen}/people/{cast.joao}/data")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        kept = json.loads(archive.read("my-data.json"))
    assert (kept["person"]["name"], kept["messages"][0]["text"], kept["answers"][0]["comment"]) == (
        "João Lima",
        SAID,
        COMMENT,
    )
    with database.read() as db:
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.DATA_EXPORTED)).one()
    assert (told.by, told.contact_id) == (f"staff:{cast.ana}", cast.joao)


def test_who_asked_stands_in_the_list_until_dealt_with(ana: TestClient, cast: Cast, joaos_life: dict[str, int]) -> None:
    assert ASKED in ana.get("/admin/privacy").text
    erase(ana, cast, cast.joao, "joao@lumen.example")
    page = ana.get("/admin/privacy").text
    assert (ASKED in page, "Pessoa apagada" in page) == (False, True)

"""Many customers at once, written straight into the tables: as they would stand after living up to a day of use."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, select

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Channel, Language, Role
from portal.clock import day_instant
from portal.db import Database, insert_new
from portal.journeys.models import (
    DueAction,
    FollowUpRow,
    JourneyRow,
    PipelineRow,
    StageRow,
    StageTally,
    Visit,
)
from portal.journeys.rules import Status
from portal.journeys.shipped import AFTER_SALE, load_shipped
from portal.surveys.shipped import load_shipped_surveys

ZONE = "America/Sao_Paulo"
STARTED_ON = date(2026, 3, 2)
"""A Monday; their day 30 is a Wednesday."""
DAY_30 = day_instant(STARTED_ON, 30, ZONE)
CONSULTANTS = 20
CHUNK = 2000


def write_crowd(database: Database, count: int) -> None:
    """`count` customers in deployment since `STARTED_ON`, each with a contact, its visits and its wake-ups."""
    began = datetime(2026, 2, 27, 12, 0, tzinfo=UTC)
    with database.write() as db:
        load_shipped(db, now=began)
        load_shipped_surveys(db, now=began)
        db.execute(insert(Staff), [_consultant(n, began) for n in range(CONSULTANTS)])
        pipeline_id = db.scalars(select(PipelineRow.id).where(PipelineRow.key == AFTER_SALE)).one()
        by_position = select(StageRow.id).where(StageRow.pipeline_id == pipeline_id).order_by(StageRow.position)
        stages = list(db.scalars(by_position))
    for first in range(1, count + 1, CHUNK):
        ids = range(first, min(first + CHUNK, count + 1))
        with database.write() as db:
            for table, rows in _rows(ids, pipeline_id, stages, began).items():
                insert_new(db, table.__table__, rows, known_by=["id"])
    if database.dialect == "postgresql":
        with database.write() as db:  # the numbers were given, so the sequences don't know of them
            for table in (Account, Contact, JourneyRow, Visit, FollowUpRow, DueAction, StageTally, Staff):
                last = func.max(table.id)
                db.execute(select(func.setval(func.pg_get_serial_sequence(table.__tablename__, "id"), last)))


def _consultant(n: int, now: datetime) -> dict[str, Any]:
    return {
        "id": n + 1,
        "email": f"consultant{n}@onward.example",
        "name": f"Consultant {n}",
        "role": Role.CONSULTANT,
        "language": Language.EN,
        "timezone": ZONE,
        "created_at": now,
    }


def _rows(ids: range, pipeline_id: int, stages: list[int], began: datetime) -> dict[type[Any], list[dict[str, Any]]]:
    entered = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    limits = (entered + timedelta(days=42), entered + timedelta(days=84))
    contact_days = (30, 60, 90)
    days = [(day, STARTED_ON + timedelta(days=day), day_instant(STARTED_ON, day, ZONE)) for day in contact_days]
    return {
        Account: [_account(n, began) for n in ids],
        Contact: [_contact(n, began) for n in ids],
        JourneyRow: [
            {
                "id": n,
                "account_id": n,
                "pipeline_id": pipeline_id,
                "pipeline_key": AFTER_SALE,
                "stage_id": stages[2],
                "position": 2,
                "visit": 3,
                "moved_back": False,
                "owner_id": n % CONSULTANTS + 1,
                "status": Status.OPEN,
                "zone": ZONE,
                "opened_at": began,
                "entered_at": entered,
                "use_started_on": STARTED_ON,
                "analysed_at": began,
                "first_contact_at": entered,
                "worked_at": entered,
                "open_flags": 0,
                "behind_at": limits[0],
                "stuck_at": limits[1],
                "alert_at": limits[0],
                "version": 4,
            }
            for n in ids
        ],
        Visit: [
            {
                "id": 3 * n + seq,
                "journey_id": n,
                "seq": seq + 1,
                "stage_id": stages[seq],
                "entered_at": [began, began, entered][seq],
                "left_at": [began, entered, None][seq],
                "moved_by": "import",
                "reason": "",
                "evidence": {},
            }
            for n in ids
            for seq in range(3)
        ],
        FollowUpRow: [
            {"id": 3 * n + i, "journey_id": n, "day": day, "due_on": on, "due_at": at, "converted_why": ""}
            for n in ids
            for i, (day, on, at) in enumerate(days)
        ],
        DueAction: [
            {
                "id": 3 * n + i,
                "journey_id": n,
                "kind": "wake",
                "key": f"wake:{day}",
                "day": day,
                "what": "",
                "due_at": at,
                "created_at": entered,
                "result": "",
                "error": "",
            }
            for n in ids
            for i, (day, _, at) in enumerate(days)
        ],
        StageTally: [
            {"id": n, "stage_id": stages[2], "owner_id": n % CONSULTANTS + 1, "journeys": 1, "flagged": 0} for n in ids
        ],
    }


def _account(n: int, now: datetime) -> dict[str, Any]:
    return {
        "id": n,
        "external_id": f"deal-{n}",
        "name": f"Customer {n}",
        "search": f"customer {n}",
        "plan": "Growth",
        "mrr_amount": Decimal("490.00"),
        "mrr_currency": "BRL",
        "interests": [],
        "notes": "",
        "consultant_id": n % CONSULTANTS + 1,
        "churn_reason": "",
        "created_at": now,
        "created_by": "import",
        "fingerprint": "",
    }


def _contact(n: int, now: datetime) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": n,
        "name": f"Person {n}",
        "email": f"person{n}@customer{n}.example",
        "phone": "",
        "channel": Channel.EMAIL,
        "language": Language.EN,
        "timezone": ZONE,
        "is_primary": True,
        "position": 0,
        "created_at": now,
    }

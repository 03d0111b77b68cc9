"""A portal full of customers: one is lived through with the product's own actions, the others are copied from its rows
by the database itself, spread over all stages, consultants and weeks. 100 000 take some seconds.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, case, cast, func, insert, literal, select, text, union_all
from sqlalchemy.orm import Session

from portal import auth
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Channel, Language, Role
from portal.clock import NO_HOLIDAYS, FixedClock
from portal.db import Database
from portal.house import House
from portal.journeys import actions, cases
from portal.journeys.models import Flag, GoalRow, JourneyRow, Milestone, StageRow, StageTally, Touchpoint, Visit
from portal.journeys.rules import FlagOrigin, Status
from portal.settings import Settings, read_settings
from portal.shipped import load_all

NOW = datetime(2026, 6, 23, 15, 0, tzinfo=UTC)
"""The moment at which the portal is looked at."""
ZONE = "America/Sao_Paulo"
CONSULTANTS = 20
WEEKS = 40
"""How far back the copies entered their stages."""
ONE_FLAGGED_IN = 50
PATTERN = 1
"""The number of the customer that was lived through; the copies' follow."""


class Filled(NamedTuple):
    """Who can look at it: cookies of customers with a whole plan, and of a manager."""

    customers: tuple[str, ...]
    manager: str


def settings_for(url: str) -> Settings:
    """Settings for a portal that only this machine talks to."""
    return read_settings(
        {
            "PORTAL_DATABASE_URL": url,
            "PORTAL_SECRET_KEY": "only for measuring, not a secret",
            "PORTAL_BASE_URL": "http://127.0.0.1",
        }
    )


def fill(database: Database, *, journeys: int, customers: int) -> Filled:
    """Writes that many journeys into a migrated, empty database; the first `customers` of them with plan and session."""
    house = House(settings_for(str(database.url)), database, FixedClock(NOW), NO_HOLIDAYS)
    began = NOW - timedelta(days=50)
    with database.write() as db:
        load_all(db, now=began)
        manager = _write_staff(db, began)
    journey_id = _live(house, began)
    copied = _Copying(journeys, customers)
    with database.write() as db:
        copied.write(db, journey_id)
        tokens = [
            auth.open_session(db, contact_id=PATTERN + n, way="bench", now=NOW - timedelta(seconds=30))
            for n in range(customers)
        ]
        watching = auth.open_session(db, staff_id=manager, way="bench", now=NOW - timedelta(seconds=30))
    with database.write() as db:
        db.execute(text("ANALYZE"))
    return Filled(tuple(tokens), watching)


def _write_staff(db: Session, now: datetime) -> int:
    people = [
        Staff(
            email=f"person{n}@onward.example",
            name=f"Consultant Number {n}" if n < CONSULTANTS else "Rui Prado",
            role=Role.CONSULTANT if n < CONSULTANTS else Role.MANAGER,
            phone="+5511912345678",
            whatsapp="+5511912345678",
            language=Language.EN,
            timezone=ZONE,
            created_at=now,
        )
        for n in range(CONSULTANTS + 1)
    ]
    db.add_all(people)
    db.flush()
    return people[-1].id


def _live(house: House, began: datetime) -> int:
    """The customer that the others are copied from: in use for some weeks, with goals, and one unhappy word."""
    with house.database.write() as db:
        db.add(
            Account(
                id=PATTERN,
                external_id="deal-0",
                name="Customer 0",
                search="customer",
                plan="Growth",
                mrr_amount=Decimal("490.00"),
                mrr_currency="BRL",
                consultant_id=1,
                created_at=began,
                created_by="import",
            )
        )
        db.flush()
        db.add(
            Contact(
                id=PATTERN,
                account_id=PATTERN,
                name="Maria Lima",
                email="maria@customer0.example",
                phone="+5511987654321",
                channel=Channel.EMAIL,
                language=Language.PT_BR,
                timezone=ZONE,
                is_primary=True,
                created_at=began,
            )
        )
    with house.database.write() as db:
        under_way = actions.UnderWay((NOW - timedelta(days=40)).date(), "")
        journey_id = actions.open_after_sale(
            db, house, account_id=PATTERN, owner_id=1, by="import", now=began, under_way=under_way
        )
        for day, title in ((30, "Every order written down"), (60, "Orders without paper"), (90, "One hour a day won")):
            db.add(
                GoalRow(
                    journey_id=journey_id,
                    day=day,
                    title=title,
                    measure="as both of us count it",
                    created_at=began,
                    created_by="staff:1",
                    met_at=NOW - timedelta(days=9) if day == 30 else None,
                )
            )
        cases.open_flag(
            db,
            house,
            journey_id=journey_id,
            origin=FlagOrigin.ANSWER,
            by=f"contact:{PATTERN}",
            contact_id=PATTERN,
            words="The tablet loses the count.",
            scores={"nps": 3, "csat": 2},
            now=NOW - timedelta(hours=1),
        )
    return journey_id


class _Copying:
    """Copies of one customer's rows, numbered 1, 2, 3 …; what has to differ is said as SQL of that number."""

    def __init__(self, journeys: int, customers: int) -> None:
        self.count = journeys - 1
        self.customers = customers - 1
        self.n = select(literal(1).label("n")).cte("numbers", recursive=True)
        self.n = self.n.union_all(select(self.n.c.n + 1).where(self.n.c.n < self.count))

    def write(self, db: Session, journey_id: int) -> None:
        n = self.n.c.n
        stages = db.execute(
            select(StageRow.id, StageRow.key, StageRow.ends)
            .where(StageRow.pipeline_id == JourneyRow.pipeline_id, JourneyRow.id == journey_id)
            .order_by(StageRow.position)
        ).all()
        position = n % len(stages)
        stage = case(*((position == i, row.id) for i, row in enumerate(stages)))
        is_won = position == next(i for i, row in enumerate(stages) if row.ends is not None)
        owner = 1 + n % CONSULTANTS
        entered = self._moment({i: NOW - timedelta(weeks=i, hours=i) for i in range(WEEKS)}, JourneyRow.entered_at)
        alert = self._moment({i: NOW + timedelta(weeks=8 - i) for i in range(WEEKS)}, JourneyRow.entered_at)
        is_flagged = (n % ONE_FLAGGED_IN == 0) & ~is_won
        name = literal("Customer ") + cast(n, Account.name.type)
        flag = func.coalesce(case((is_flagged, 1)), 0)
        self._copy(
            db,
            Account,
            PATTERN,
            {
                "id": PATTERN + n,
                "external_id": literal("deal-") + cast(n, Account.name.type),
                "name": name,
                "consultant_id": owner,
            },
        )
        self._copy(
            db,
            Contact,
            PATTERN,
            {
                "id": PATTERN + n,
                "account_id": PATTERN + n,
                "email": literal("maria@customer") + cast(n, Account.name.type) + ".example",
            },
        )
        self._copy(
            db,
            JourneyRow,
            journey_id,
            {
                "id": journey_id + n,
                "account_id": PATTERN + n,
                "stage_id": stage,
                "position": position,
                "owner_id": owner,
                "status": case((is_won, Status.WON.value), else_=Status.OPEN.value),
                "ended_at": case((is_won, entered)),
                "entered_at": entered,
                "behind_at": case((~is_won, alert)),
                "stuck_at": case((~is_won, alert)),
                "alert_at": case((~is_won, alert)),
                "open_flags": flag,
            },
        )
        visits = db.execute(select(Visit.id).where(Visit.journey_id == journey_id).order_by(Visit.seq)).scalars()
        last_visit = db.scalars(select(func.max(Visit.id))).one()
        for i, visit_id in enumerate(visits, 1):
            self._copy(
                db,
                Visit,
                visit_id,
                {"id": last_visit + i * (self.count + 1) + n, "journey_id": journey_id + n},
                most=None if i == 1 else self.customers,
            )
        (flag_id,) = db.scalars(select(Flag.id)).all()
        self._copy(
            db,
            Flag,
            flag_id,
            {
                "id": flag_id + n,
                "journey_id": journey_id + n,
                "account_id": PATTERN + n,
                "contact_id": PATTERN + n,
                "assignee_id": owner,
            },
            where=is_flagged,
        )
        for table in (Milestone, Touchpoint, GoalRow):
            ids = db.scalars(select(table.id).where(table.journey_id == journey_id).order_by(table.id)).all()
            for row_id in ids:
                self._copy(
                    db,
                    table,
                    row_id,
                    {"id": row_id + n * (ids[-1] - ids[0] + 1), "journey_id": journey_id + n},
                    most=self.customers,
                )
        columns = ("stage_id", "owner_id", "journeys", "flagged")
        counted = (
            select(JourneyRow.stage_id, JourneyRow.owner_id, func.count(), func.sum(JourneyRow.open_flags))
            .where(JourneyRow.id > journey_id)
            .group_by(JourneyRow.stage_id, JourneyRow.owner_id)
        )
        db.execute(insert(StageTally).from_select(columns, counted))

    def _moment(self, moments: Mapping[int, datetime], column: Any) -> ColumnElement[Any]:
        """One of the moments, by the copy's number."""
        known = union_all(
            *(select(literal(i).label("i"), literal(at, column.type).label("at")) for i, at in moments.items())
        ).cte()
        chosen: Select[Any] = select(known.c.at).where(known.c.i == self.n.c.n % len(moments))
        return chosen.correlate(self.n).scalar_subquery()

    def _copy(
        self,
        db: Session,
        model: type[Any],
        row_id: int,
        different: Mapping[str, Any],
        *,
        most: int | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> None:
        table = model.__table__
        values = [different.get(column.name, column) for column in table.c]
        rows = select(*values).select_from(self.n.join(table, table.c.id == row_id))
        if most is not None:
            rows = rows.where(cast(self.n.c.n, Integer) <= most)
        if where is not None:
            rows = rows.where(where)
        db.execute(insert(table).from_select([column.name for column in table.c], rows))

"""Who appears in the tests, always the same: Maria and her colleague João at one customer, Sofia at another one who must
see nothing of theirs; Carla the consultant, Rui the manager, Ana the administrator.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.orm import Session

from portal.accounts.rules import Channel, Language, Role
from portal.house import House
from tests import factories

MONDAY = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""When the stories begin: a Monday, 09:00 for the customers in São Paulo. No holidays, no daylight saving."""


class Cast(NamedTuple):
    """Everybody's ids."""

    carla: int
    rui: int
    ana: int
    padaria: int
    """Maria's and João's company."""
    maria: int
    joao: int
    floricultura: int
    """Sofia's company."""
    sofia: int


def put_on_stage(db: Session, house: House, *, now: datetime = MONDAY) -> Cast:
    """Writes the cast into an empty database, with the shipped pipelines and surveys; nobody has a journey yet."""
    factories.load_shipped_rules(db, now=now)
    carla = factories.staff(db, "Carla Souza", Role.CONSULTANT, now=now, phone="+5511912345678")
    rui = factories.staff(db, "Rui Prado", Role.MANAGER, now=now)
    ana = factories.staff(db, "Ana Braga", Role.ADMINISTRATOR, now=now)
    padaria = factories.account(
        db,
        "Padaria do João",
        now=now,
        plan="Growth",
        mrr_amount=Decimal("490.00"),
        sold_on=date(2026, 2, 27),
        renews_on=date(2027, 2, 27),
    )
    maria = factories.contact(
        db, padaria, "Maria Lima", now=now, is_primary=True, phone="+5511987654321", language=Language.PT_BR
    )
    joao = factories.contact(db, padaria, "João Lima", now=now, channel=Channel.WHATSAPP, phone="+5511976543210")
    floricultura = factories.account(db, "Floricultura Sofia", now=now, plan="Start")
    sofia = factories.contact(db, floricultura, "Sofia Reis", now=now, is_primary=True)
    return Cast(carla, rui, ana, padaria, maria, joao, floricultura, sofia)

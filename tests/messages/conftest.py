"""Maria and João at Lumen, Sofia elsewhere, Carla their consultant; answers to our mails come to reply.onward.example."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from portal import delivery, reply_addresses
from portal.accounts.models import Contact, Staff
from portal.clock import FixedClock
from portal.db import Database
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys.models import Activity
from portal.journeys.rules import ActivityKind
from portal.messages import actions, inbound
from portal.messages.actions import Draft
from portal.messages.inbound import Received
from portal.messages.models import IncomingMail, Message
from portal.reply_addresses import Answering
from portal.settings import Settings
from portal.worker import COMPOSERS
from tests.cast import MONDAY, Cast, put_on_stage

DOMAIN = "reply.onward.example"


@dataclass
class Stage:
    """The house with everybody in it, and what a test does there."""

    house: House
    clock: FixedClock
    cast: Cast
    journey: int

    @property
    def database(self) -> Database:
        return self.house.database

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def later(self, **span: float) -> None:
        self.clock.set(self.now + timedelta(**span))

    def with_settings(self, **changes: Any) -> House:
        return House(self.house.settings.model_copy(update=changes), self.database, self.clock, self.house.holidays)

    def write(self, text: str, *, contact_id: int | None = None, staff_id: int | None = None, key: str = "") -> int:
        """Somebody writes in the portal; Maria, unless somebody else is named."""
        if contact_id is None and staff_id is None:
            contact_id = self.cast.maria
        draft = Draft(
            account_id=self.cast.padaria,
            contact_id=contact_id,
            staff_id=staff_id,
            text=text,
            key=key or f"test:{text}:{self.now.isoformat()}",
        )
        with self.database.write() as db:
            return actions.post(db, self.house, draft, now=self.now)

    def address(self, *, contact_id: int | None = None, staff_id: int | None = None) -> str:
        """Where that person's answers belong; Maria's, unless somebody else is named."""
        if contact_id is None and staff_id is None:
            contact_id = self.cast.maria
        who = Answering(self.cast.padaria, contact_id=contact_id, staff_id=staff_id)
        return reply_addresses.reply_address(self.house.secret, DOMAIN, who, now=self.now)

    def a_mail(self, text: str = "Sim, pode ser!", *, to: str = "", sender: str = "", **headers: str) -> EmailMessage:
        """A mail as a person sends it; Maria answers, unless said otherwise."""
        made = EmailMessage()
        made["From"] = sender or f"Maria Lima <{self.email(self.cast.maria)}>"
        made["To"] = to or self.address()
        made["Subject"] = "Re: Carla wrote to you"
        made["Message-ID"] = f"<{abs(hash(text))}.{abs(hash(str(headers)))}@mail.example>"
        for name, value in headers.items():
            del made[name.replace("_", "-")]
            made[name.replace("_", "-")] = value
        made.set_content(text)
        return made

    def email(self, contact_id: int) -> str:
        with self.database.read() as db:
            return db.scalars(select(Contact.email).where(Contact.id == contact_id)).one() or ""

    def staff_email(self, staff_id: int) -> str:
        with self.database.read() as db:
            return db.scalars(select(Staff.email).where(Staff.id == staff_id)).one()

    def receive(self, mail: EmailMessage | bytes, *, envelope_from: str | None = "maria@mail.example") -> Received:
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        return inbound.receive(self.house, raw, to=None, envelope_from=envelope_from, now=self.now)

    def texts(self) -> list[str]:
        with self.database.read() as db:
            return list(db.scalars(select(Message.text).order_by(Message.id)))

    def became(self) -> list[str]:
        with self.database.read() as db:
            return [became.value for became in db.scalars(select(IncomingMail.became).order_by(IncomingMail.id))]

    def to_answer(self) -> list[bool]:
        """Whether each "Answer the message" that there ever was is done."""
        with self.database.read() as db:
            found = select(Activity.done_at).where(Activity.kind == ActivityKind.ANSWER_MESSAGE).order_by(Activity.id)
            return [done_at is not None for done_at in db.scalars(found)]

    def deliver(self, house: House | None = None) -> int:
        return delivery.deliver(house or self.house, composers=COMPOSERS, now=self.now)


@pytest.fixture
def stage(database: Database) -> Stage:
    clock = FixedClock(MONDAY)
    settings = Settings(
        secret_key=SecretStr("s" * 40),
        base_url="https://portal.onward.example",
        mail_from="Onward <hello@onward.example>",
        reply_domain=DOMAIN,
        database_url=database.url.render_as_string(hide_password=False),
    )
    house = House(settings, database, clock, frozenset())
    with database.write() as db:
        cast = put_on_stage(db, house)
        journey = journeys.open_after_sale(
            db, house, account_id=cast.padaria, owner_id=cast.carla, by="api:crm", now=MONDAY
        )
    return Stage(house, clock, cast, journey)
